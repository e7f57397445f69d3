//! Requests and WebSockets at a steady rate, each of which is accounted for.
//!
//! A client as browsers and libraries are: it keeps its connections, and makes a new one where the other side has said
//! that it closes. It repeats nothing, so that whatever is lost is seen. Invariant: each request that was begun ends in
//! one line of the report. Tests: `tests/it/proxies.rs`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Failures that are kept word by word.
const MOST_WORDS: usize = 20;

/// What is asked.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Whom.
    pub to: SocketAddr,
    /// In whose name.
    pub host: String,
    /// What.
    pub path: String,
    /// Over so many connections, one request after the other on each.
    pub connections: usize,
    /// Requests a second, over all of them; as many as there can be when nothing is said.
    pub rate: Option<u32>,
    /// Beside them, so many WebSockets at `path`, on each of which a message is said back ten times, and then the next.
    pub websockets: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Answers by status.
    pub answers: BTreeMap<u16, u64>,
    /// WebSockets that said everything back and were closed in order.
    pub websockets: u64,
    /// What had neither, with why; the first few.
    pub failures: Vec<String>,
    /// How many of these there were.
    pub failed: u64,
}

impl LoadReport {
    /// Answers with 200.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.answers.get(&200).copied().unwrap_or(0)
    }

    /// Whether every answer was a 200 and every WebSocket went through.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.failed == 0 && self.answers.keys().all(|status| *status == 200)
    }
}

/// A load that goes on until it is stopped.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    report: Arc<Mutex<LoadReport>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins.
    #[must_use]
    pub fn start(plan: &LoadPlan) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let report = Arc::new(Mutex::new(LoadReport::default()));
        let count = u32::try_from(plan.connections.max(1)).expect("few");
        let pause = plan.rate.map(|rate| Duration::from_secs(count.into()) / rate.max(1));
        let client = |asks: fn(&Client)| {
            let client = Client { plan: plan.clone(), pause, over: Arc::clone(&over), report: Arc::clone(&report) };
            let thread = std::thread::Builder::new().stack_size(256 * 1_024);
            thread.spawn(move || asks(&client)).expect("a thread starts")
        };
        let requests = (0..plan.connections).map(|_| client(Client::requests));
        let websockets = (0..plan.websockets).map(|_| client(Client::websockets));
        let clients = requests.chain(websockets).collect();
        Self { over, report, clients }
    }

    /// What came of it so far.
    #[must_use]
    pub fn so_far(&self) -> LoadReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins nothing new, waits for what is under way, and tells.
    ///
    /// # Panics
    /// When a client has panicked.
    #[must_use]
    pub fn stop(mut self) -> LoadReport {
        self.over.store(true, Ordering::SeqCst);
        for client in std::mem::take(&mut self.clients) {
            client.join().expect("clients do not panic");
        }
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// One connection's worth of it.
struct Client {
    plan: LoadPlan,
    pause: Option<Duration>,
    over: Arc<AtomicBool>,
    report: Arc<Mutex<LoadReport>>,
}

impl Client {
    fn requests(&self) {
        let mut connection = None;
        while !self.over.load(Ordering::SeqCst) {
            let asked = self.ask(&mut connection);
            if asked.is_err() {
                connection = None;
            }
            self.note(asked.map(Some));
            if let Some(pause) = self.pause {
                std::thread::sleep(pause);
            }
        }
    }

    fn websockets(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let said = self.talk();
            self.note(said.map(|()| None));
        }
    }

    fn note(&self, outcome: io::Result<Option<u16>>) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(Some(status)) => *report.answers.entry(status).or_default() += 1,
            Ok(None) => report.websockets += 1,
            Err(error) => {
                report.failed += 1;
                if report.failures.len() < MOST_WORDS {
                    report.failures.push(error.to_string());
                }
            }
        }
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.plan.to).map_err(|error| at("connecting", &error))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }

    fn ask(&self, connection: &mut Option<BufReader<TcpStream>>) -> io::Result<u16> {
        let mut reader = match connection.take() {
            Some(reader) => reader,
            None => self.connect()?,
        };
        let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.plan.path, self.plan.host);
        reader.get_mut().write_all(head.as_bytes()).map_err(|error| at("asking", &error))?;
        let answer = Head::read(&mut reader).map_err(|error| at("reading an answer", &error))?;
        let mut body = vec![0; answer.length];
        reader.read_exact(&mut body).map_err(|error| at("reading a body", &error))?;
        *connection = answer.stays.then_some(reader);
        Ok(answer.status)
    }

    /// A handshake, ten messages back and forth, a close.
    fn talk(&self) -> io::Result<()> {
        let mut reader = self.connect()?;
        let LoadPlan { path, host, .. } = &self.plan;
        let handshake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{handshake}\r\n");
        reader.get_mut().write_all(head.as_bytes()).map_err(|error| at("asking for a WebSocket", &error))?;
        let answer = Head::read(&mut reader).map_err(|error| at("reading a handshake", &error))?;
        // What RFC 6455 (1.3) has for its own example of a key.
        if answer.status != 101 || answer.accept.as_deref() != Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
            return Err(io::Error::other(format!("a handshake was answered {answer:?}")));
        }
        for number in 0..10 {
            let text = format!("message {number}");
            send(reader.get_mut(), 0x81, text.as_bytes())?;
            let back = receive(&mut reader).map_err(|error| at("waiting for a message", &error))?;
            if back != text.as_bytes() {
                return Err(io::Error::other(format!("{text:?} came back as {:?}", String::from_utf8_lossy(&back))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        send(reader.get_mut(), 0x88, &[])?;
        receive(&mut reader).map_err(|error| at("waiting for the close", &error)).map(drop)
    }
}

/// The part of an answer's head that matters.
#[derive(Debug)]
struct Head {
    status: u16,
    length: usize,
    stays: bool,
    accept: Option<String>,
}

impl Head {
    fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("{line:?} is no answer")))?;
        let mut head = Self { status, length: 0, stays: true, accept: None };
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (name, value) = line.trim_end().split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "" => return Ok(head),
                "content-length" => head.length = value.trim().parse().map_err(io::Error::other)?,
                "connection" => head.stays = !value.to_ascii_lowercase().contains("close"),
                "sec-websocket-accept" => head.accept = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

/// A frame as clients send it: masked (RFC 6455, 5.3).
fn send(writer: &mut TcpStream, first: u8, payload: &[u8]) -> io::Result<()> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("short messages");
    let mut frame = vec![first, 0x80 | length];
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(place, byte)| byte ^ mask[place % 4]));
    writer.write_all(&frame).map_err(|error| at("sending a message", &error))
}

fn receive(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    reader.read_exact(&mut payload)?;
    Ok(payload)
}

fn at(doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}
