//! Starts real `fogline dev` processes and proves that nothing of them is left.
//!
//! Each [`Dev`] has a temporary directory and ports of its own, so tests run side by side. Everything is waited for with a
//! deadline, and ended by process id. Invariant: when a `Dev` is dropped, no process of its directory runs; a test in
//! which one was left over fails.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

/// The program under test.
pub const FOGLINE: &str = env!("CARGO_BIN_EXE_fogline");
/// The administrator's password in every test.
pub const PASSWORD: &str = "admin123";
/// How long anything may take on a busy machine before it counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports that replicas of one `Dev` get.
const PORTS: u16 = 200;

/// What a program that was run has said.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Asserts that it went well, and gives its output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts that it failed with this code, and that its words are those of a program for people.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in:\n{}", self.stderr);
        }
        for trace in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "Err("] {
            assert!(!self.stderr.contains(trace), "{trace:?} is no word for people:\n{}", self.stderr);
        }
        self.stderr
    }
}

/// Runs `fogline` in an environment of nothing but `variables`, with `HOME` in `home`.
pub fn run_in(home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    run_with_input(home, variables, args, "")
}

/// The same, with something to read on standard input.
pub fn run_with_input(home: &Path, variables: &[(&str, &str)], args: &[&str], input: &str) -> Ran {
    let mut command = clean_command(home);
    command
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("fogline starts");
    // A program that does not read closes the pipe: no failure of the test.
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes());
    let output = child.wait_with_output().expect("fogline ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test passes on what programs need to be found and to write")]
fn clean_command(home: &Path) -> Command {
    let mut command = Command::new(FOGLINE);
    command.env_clear().env("HOME", home).current_dir(home);
    for kept in ["PATH", "LANG", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// Starts `fogline` in such an environment and does not wait for it; what it says goes to `log`.
pub fn spawn_in(home: &Path, variables: &[(&str, &str)], args: &[&str], log: &Path) -> Child {
    let log = File::create(log).expect("a log file");
    clean_command(home)
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("fogline starts")
}

/// Waits until `seen` gives something.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Where a server says that it is reached.
pub struct Addresses {
    /// By people.
    pub url: String,
    /// By agents.
    pub agents: String,
}

/// Waits until a `fogline server` that writes to `log` serves.
pub fn served_by(server: &mut Child, log: &Path) -> Addresses {
    let said = wait_for("the server to serve", || {
        let said = fs::read_to_string(log).unwrap_or_default();
        if let Some(status) = server.try_wait().ok().flatten() {
            panic!("fogline server ended with {status}:\n{said}");
        }
        said.contains("--token-file").then_some(said)
    });
    let after = |words: &str| {
        let start = said.find(words).expect("it says where") + words.len();
        said[start..].split_whitespace().next().expect("a word").to_owned()
    };
    Addresses { url: after("serves "), agents: after("fogline agent --server ") }
}

/// A server with its nodes on this machine: a `fogline dev` process, its agent, its replicas.
#[derive(Debug)]
pub struct Dev {
    home: TempDir,
    /// The data directory.
    pub data: PathBuf,
    /// Where the server answers, such as `http://127.0.0.1:40001`; the same after a restart.
    pub url: String,
    args: Vec<String>,
    /// What the first administrator's password is said to be; generated where nothing is said.
    password: Option<&'static str>,
    /// More that the person who starts it has in the environment.
    variables: Vec<(&'static str, &'static str)>,
    ports: String,
    starts: u32,
    child: Option<Child>,
}

impl Dev {
    /// With six nodes of 8 cores and 16 GB in two regions.
    pub fn start() -> Self {
        Self::start_with(&["--nodes", "6", "--region", "eu-west,us-east"])
    }

    /// With these flags beside `--data` and `--listen`.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_as(args, Some(PASSWORD), &[])
    }

    /// With this password of the first administrator, or a generated one, and this in the environment.
    pub fn start_as(args: &[&str], password: Option<&'static str>, variables: &[(&'static str, &'static str)]) -> Self {
        let home = tempfile::Builder::new().prefix("fogline-test-").tempdir().expect("a directory");
        // As the kernel shows it in /proc, whatever links lead there.
        let root = fs::canonicalize(home.path()).expect("a path");
        let mut dev = Self {
            data: root.join("data"),
            home,
            url: String::new(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            password,
            variables: variables.to_vec(),
            ports: some_ports(),
            starts: 0,
            child: None,
        };
        dev.launch();
        dev
    }

    /// Starts `fogline dev` (again), on the same data and address, and waits until it serves and its nodes are there.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let listen = self.url.strip_prefix("http://").unwrap_or("127.0.0.1:0").to_owned();
        let path = self.log_path();
        let log = File::create(&path).expect("a log file");
        let child = clean_command(self.home.path())
            .arg("dev")
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", &listen])
            .args(&self.args)
            .envs(self.password.map(|password| ("FOGLINE_ADMIN_PASSWORD", password)))
            .envs(self.variables.iter().copied())
            .env("FOGLINE_AGENT_PORTS", &self.ports)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("fogline dev starts");
        self.child = Some(child);
        let url = wait_for("fogline dev to serve", || {
            let said = fs::read_to_string(&path).unwrap_or_default();
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                panic!("fogline dev ended with {status}:\n{said}");
            }
            // The last of its first words, which come when the nodes are there.
            said.contains("Ctrl-C stops everything").then(|| {
                let start = said.find("serves http://").expect("it says where") + "serves ".len();
                said[start..].lines().next().expect("a line").trim().to_owned()
            })
        });
        self.url = url;
    }

    /// Other flags for the next start.
    pub fn set_args(&mut self, args: &[&str]) {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    }

    /// Other ports of replicas for the next start.
    pub fn set_other_ports(&mut self) {
        self.ports = some_ports();
    }

    /// What the current `fogline dev` process has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join(format!("dev-{}.log", self.starts))
    }

    /// What the agent has logged.
    pub fn agent_said(&self) -> String {
        fs::read_to_string(self.data.join("agent/agent.log")).unwrap_or_default()
    }

    /// A directory of this test's own, removed at its end.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `fogline` with `args` against this server; [`Self::log_in`] first.
    pub fn cli(&self, args: &[&str]) -> Ran {
        run_in(self.home.path(), &[("FOGLINE_SERVER", &self.url)], args)
    }

    /// Logs in as the administrator, so that [`Self::cli`] works.
    pub fn log_in(&self) {
        run_in(self.home.path(), &[("FOGLINE_SERVER", &self.url), ("FOGLINE_PASSWORD", PASSWORD)], &["login"]).ok();
    }

    /// An access token of the administrator, for calls without the command line.
    pub fn token(&self) -> String {
        let variables = [("FOGLINE_SERVER", self.url.as_str()), ("FOGLINE_PASSWORD", PASSWORD)];
        run_in(self.home.path(), &variables, &["login", "--print-token"]).ok().trim().to_owned()
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("it runs").id().try_into().expect("a pid")
    }

    /// The agent's process, where one runs.
    pub fn agent_pid(&self) -> Option<i32> {
        let agent = "\0agent\0";
        self.processes().into_iter().find(|(_, line)| line.contains(agent)).map(|(pid, _)| pid)
    }

    /// Kills the server with SIGKILL; agent and replicas run on.
    pub fn kill_server(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Asks the server to stop as Ctrl-C does, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = self.pid();
        signal(pid, Signal::INT);
        let mut child = self.child.take().expect("it runs");
        wait_for("fogline dev to stop", || child.try_wait().expect("it can be waited for"))
    }

    /// Every process that belongs to this directory, by its id: its command line names the directory, or it works there.
    pub fn processes(&self) -> BTreeMap<i32, String> {
        processes_of(self.data.parent().expect("the data directory is in a temporary one"))
    }

    /// Every process of every replica, with the replica it belongs to.
    pub fn all_replica_processes(&self) -> Vec<(String, i32)> {
        replica_processes_of(&self.processes())
    }

    /// The processes of a replica: its program and whatever that started, not the shim.
    pub fn replica_processes(&self, replica: &str) -> Vec<i32> {
        let wanted = format!("FOGLINE_REPLICA_ID={replica}");
        let has = |pid: i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()))
        };
        all_pids().filter(|pid| has(*pid)).collect()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id().try_into().unwrap_or(0), Signal::TERM);
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_EVERY);
            }
            // Where it has ended, this does nothing.
            let _ = child.kill();
            let _ = child.wait();
        }
        let mut left = self.processes();
        // A process that was killed a moment ago may take that moment.
        for _ in 0..100 {
            if left.is_empty() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
            left = self.processes();
        }
        for pid in left.keys() {
            signal(*pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- fogline dev said:\n{}\n--- its agent said:\n{}", self.said(), self.agent_said());
        } else {
            assert!(left.is_empty(), "these were left running: {left:#?}");
        }
    }
}

/// Ends what an agent that was killed has left to the next one, where none will come: its replicas' processes, and the
/// cgroups that it would have removed.
pub fn end_leftovers(dir: &Path) {
    let left = processes_of(dir);
    let replicas = replica_processes_of(&left);
    for pid in left.keys() {
        signal(*pid, Signal::KILL);
    }
    if std::thread::panicking() {
        return;
    }
    wait_for("everything to be gone", || processes_of(dir).is_empty().then_some(()));
    let own = fs::read_to_string("/proc/self/cgroup").expect("readable");
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        for (replica, _) in &replicas {
            // One hierarchy for all, or one for each; it is gone, or was never made, where the machine has no such limits.
            for controller in controllers.split(',') {
                let _ = fs::remove_dir(format!("/sys/fs/cgroup/{controller}{path}/fogline/{replica}"));
            }
        }
    }
}

/// Those of these processes that run replicas, with the replica that each belongs to.
pub fn replica_processes_of(processes: &BTreeMap<i32, String>) -> Vec<(String, i32)> {
    let replica = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
        variables.find_map(|variable| Some(variable.strip_prefix("FOGLINE_REPLICA_ID=")?.to_owned()))
    };
    processes.keys().filter_map(|pid| Some((replica(pid)?, *pid))).collect()
}

/// Sends a signal to one process, by its id; none where it is gone.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) {
        let _ = kill_process(pid, signal);
    }
}

/// Ports that no other `Dev` of this test binary gives to replicas.
pub fn some_ports() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test binaries may run at the same time: start somewhere of one's own.
    let offset = u16::try_from(std::process::id() % 20).expect("small") * PORTS * 2;
    let first = 15_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed) * PORTS) % 16_000;
    format!("{first}-{}", first + PORTS - 1)
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

/// Every process whose command line names `dir`, or that works in it.
pub fn processes_of(dir: &Path) -> BTreeMap<i32, String> {
    let name = dir.to_str().expect("a temporary directory has a plain name");
    let own = i32::try_from(std::process::id()).expect("a pid");
    all_pids()
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let line = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).ok()?).into_owned();
            // A process that has ended and waits for its parent has neither.
            let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
            (line.contains(name) || works_there).then_some((pid, line))
        })
        .collect()
}
