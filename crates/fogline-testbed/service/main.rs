//! The program that test workloads run: a small HTTP server, which does on request what a test wants to see.
//!
//! It is the only program of the test image, linked statically, and runs as a plain process just as well. It listens on
//! `PORT` (8080 without), prints `started` when it does, a line a request to standard output, and `started` to standard
//! error too. Connections stay until the other side closes them, and after SIGTERM until their next answer. SIGTERM ends it
//! with 0, after `GRACE_MS` where that is set. Built by `build.rs` with nothing but std. Must
//! never be more than a test needs: it does what strangers ask. Its answers are described at `answer`.
//!
//! Flags: `--exit N` end at once with this code; `--ignore-term` go on after SIGTERM; `--version-text X` say this instead of
//! what is in the file `/version`; `--wait-ms N` listen only after that; `--sleep-ms N` do nothing else, then end. For
//! commands beside it, in their order: `--say X`, `--complain X` to standard error, `--fill N` so many bytes, `--show NAME` a
//! variable, `--where` the working directory; `--spawn` a child that sleeps on, in a session of its own process group.

mod websocket;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, hint, process, thread};

/// Set by SIGTERM.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// What `/health` answers.
static HEALTH: AtomicU16 = AtomicU16::new(200);
/// Who has it is the one that `/work` is done for.
static WORKER: Mutex<()> = Mutex::new(());
/// What `/eat` has eaten.
static EATEN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_term(_number: i32) {
    TERMINATED.store(true, Ordering::SeqCst);
}

fn main() {
    let mut version = fs::read_to_string("/version").unwrap_or_default().trim().to_owned();
    let mut heeds_term = true;
    let mut wait = 0;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        match argument.as_str() {
            "--exit" => process::exit(number() as i32),
            "--sleep-ms" => return thread::sleep(milliseconds(number())),
            "--wait-ms" => wait = number(),
            "--ignore-term" => heeds_term = false,
            "--say" => println!("{}", arguments.next().unwrap_or_default()),
            "--complain" => eprintln!("{}", arguments.next().unwrap_or_default()),
            "--fill" => println!("{}", "x".repeat(number() as usize)),
            "--show" => println!("{}", variable(&arguments.next().unwrap_or_default())),
            "--where" => println!("{}", env::current_dir().unwrap_or_default().display()),
            "--spawn" => drop(Command::new("/proc/self/exe").args(["--sleep-ms", "60000"]).spawn()),
            "--version-text" => version = arguments.next().unwrap_or_default(),
            other => {
                eprintln!("no such flag: {other}");
                process::exit(64);
            }
        }
    }
    // As process 1 of a container it gets no signal without a handler.
    // SAFETY: the handler only stores into an atomic.
    unsafe { signal(15, on_term) };
    thread::sleep(milliseconds(wait));

    let port = variable("PORT").parse().unwrap_or(8080u16);
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| {
        eprintln!("cannot listen on port {port}: {error}");
        process::exit(98);
    });
    println!("started {version}");
    eprintln!("started {version} (standard error)");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let version = version.clone();
            // A container without room for another thread answers on this one.
            let copy = stream.try_clone();
            let name = version.clone();
            if thread::Builder::new().spawn(move || serve(stream, &version)).is_err() {
                copy.into_iter().for_each(|stream| serve(stream, &name));
            }
        }
    });
    while !(heeds_term && TERMINATED.load(Ordering::SeqCst)) {
        thread::sleep(milliseconds(10));
    }
    println!("stopping");
    thread::sleep(milliseconds(variable("GRACE_MS").parse().unwrap_or(0)));
    println!("stopped");
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, version: &str) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(&stream);
    while let Some(stays) = exchange(&mut reader, &stream, version) {
        if !stays {
            return;
        }
    }
}

/// Reads one request and answers it; says whether the connection stays. Nothing when there is none any more.
fn exchange(reader: &mut BufReader<&TcpStream>, stream: &TcpStream, version: &str) -> Option<bool> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    // HTTP/1.0 has no connections that stay.
    let (mut length, mut stays, mut key) = (0, line.trim_end().ends_with("HTTP/1.1"), None);
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|read| read > 0) && !header.trim().is_empty() {
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "connection" => stays &= !value.to_ascii_lowercase().contains("close"),
            "sec-websocket-key" => key = Some(value.trim().to_owned()),
            _ => {}
        }
        header.clear();
    }
    if let Some(key) = key {
        let accept = websocket::accept(&key);
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        (&*stream).write_all(format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes()).ok()?;
        websocket::echo(reader, stream).ok()?;
        return None;
    }
    let mut body = Vec::new();
    let _ = reader.take(length).read_to_end(&mut body);
    let target = line.split_whitespace().nth(1)?;
    println!("{}", line.trim());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<&str, String> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key, decoded(value))).collect();
    let (status, text) = answer(path, &query, version);
    stays &= !TERMINATED.load(Ordering::SeqCst);
    let connection = if stays { "keep-alive" } else { "close" };
    let head = format!("HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n", text.len());
    let text = if line.starts_with("HEAD ") { "" } else { &text };
    (&*stream).write_all(format!("{head}Connection: {connection}\r\n\r\n{text}").as_bytes()).ok()?;
    Some(stays)
}

/// What it does, by path.
fn answer(path: &str, query: &BTreeMap<&str, String>, version: &str) -> (u16, String) {
    let text = |key: &str| query.get(key).cloned().unwrap_or_default();
    let number = |key: &str| text(key).parse::<u64>().unwrap_or(0);
    let done = match path {
        // Who answers.
        "/" => {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let replica = variable("FOGLINE_REPLICA_ID");
            format!("host={}\nversion={version}\nreplica={replica}\npid={}\n", host.trim(), process::id())
        }
        // Its environment, sorted, a line each.
        "/env" => {
            let all: BTreeMap<_, _> = env::vars_os().collect();
            all.iter().map(|(key, value)| format!("{}={}\n", key.display(), value.display())).collect()
        }
        // 200, or what `?set=N` said.
        "/health" => {
            if query.contains_key("set") {
                HEALTH.store(number("set") as u16, Ordering::SeqCst);
                return (200, "set\n".to_owned());
            }
            return (HEALTH.load(Ordering::SeqCst), "health\n".to_owned());
        }
        // Ends the program, without an answer.
        "/exit" => process::exit(number("code") as i32),
        // Prints `text`, `n` times, to standard output, or with `to=err` to standard error.
        "/print" => {
            for _ in 0..number("n").max(1) {
                if text("to") == "err" { eprintln!("{}", text("text")) } else { println!("{}", text("text")) }
            }
            "printed\n".to_owned()
        }
        // Uses one processor for `ms`.
        "/burn" => {
            let start = Instant::now();
            let mut rounds = 0u64;
            while start.elapsed() < milliseconds(number("ms")) {
                rounds = hint::black_box(rounds.wrapping_mul(31) + 7);
            }
            "burned\n".to_owned()
        }
        // Answers after `ms`.
        "/wait" => {
            thread::sleep(milliseconds(number("ms")));
            "waited\n".to_owned()
        }
        // Answers after `ms` of work that one request at a time can have, as if there were one worker.
        "/work" => {
            let _one = WORKER.lock().unwrap();
            thread::sleep(milliseconds(number("ms")));
            "worked\n".to_owned()
        }
        // So many bytes.
        "/bytes" => "x".repeat(number("n") as usize),
        // Takes `mb` more of memory, touches it, and keeps it.
        "/eat" => {
            let mut eaten = EATEN.lock().unwrap();
            eaten.extend((0..number("mb")).map(|_| vec![0xa5; 1 << 20]));
            format!("holds {} MB\n", eaten.len())
        }
        // Writes the file `path`, and says `written` or why not.
        "/write" => match fs::write(text("path"), text("text")) {
            Ok(()) => "written\n".to_owned(),
            Err(error) => format!("not written: {error}\n"),
        },
        // What is in the file or directory `path`, or why not.
        "/read" => read(&text("path")).unwrap_or_else(|error| format!("not read: {error}\n")),
        // What the kernel lets it do.
        "/whoami" => {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            let wanted = ["Uid:", "Gid:", "Groups:", "NoNewPrivs:", "CapEff:", "CapBnd:", "Seccomp:"];
            status.lines().filter(|line| wanted.iter().any(|key| line.starts_with(key))).fold(
                String::new(),
                |mut all, line| {
                    let _ = writeln!(all, "{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
                    all
                },
            )
        }
        // Starts `n` threads (or `what=process`) at the same time, and says how many there could be.
        "/spawn" => format!(
            "spawned {}\n",
            if text("what") == "process" { processes(number("n")) } else { threads(number("n")) }
        ),
        // Connects to `to`, such as 10.0.0.1:80, and says `connected` or why not.
        "/connect" => match text("to").parse().map(|to| TcpStream::connect_timeout(&to, milliseconds(2000))) {
            Ok(Ok(_)) => "connected\n".to_owned(),
            Ok(Err(error)) => format!("not connected: {error}\n"),
            Err(error) => format!("not connected: {error}\n"),
        },
        _ => return (404, format!("nothing at {path}\n")),
    };
    (200, done)
}

fn read(path: &str) -> std::io::Result<String> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned());
    }
    let mut names: Vec<_> = fs::read_dir(path)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    Ok(names.iter().map(|name| format!("{}\n", name.display())).collect())
}

/// How many threads there are at most, of `wanted`, until one cannot be started.
fn threads(wanted: u64) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..wanted)
        .map_while(|_| {
            let over = Arc::clone(&over);
            let waits = move || {
                while !over.load(Ordering::SeqCst) {
                    thread::park_timeout(milliseconds(20))
                }
            };
            thread::Builder::new().stack_size(64 << 10).spawn(waits).ok()
        })
        .collect();
    over.store(true, Ordering::SeqCst);
    let count = all.len() as u64;
    all.into_iter().for_each(|thread| drop(thread.join()));
    count
}

/// The same with processes.
fn processes(wanted: u64) -> u64 {
    let own = env::current_exe().expect("it runs");
    let start = || Command::new(&own).args(["--sleep-ms", "60000"]).spawn().ok();
    let mut all: Vec<_> = (0..wanted).map_while(|_| start()).collect();
    for child in &mut all {
        let _ = child.kill();
        let _ = child.wait();
    }
    all.len() as u64
}

/// `%2F` and its like, and `+`.
fn decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = value.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                found.push(byte);
                at += 2;
            }
            (b'+', _) => found.push(b' '),
            (byte, _) => found.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&found).into_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
