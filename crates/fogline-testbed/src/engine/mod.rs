//! A private container engine: a real `dockerd` with its own containerd, or Podman's service, which speaks the same.
//! Each has data, a network and cgroups of its own.
//!
//! It lives in namespaces of its own, so it sees no container of the machine, reaches no network but its own, and leaves
//! nothing. Two consequences for what uses it: published ports answer on `127.0.0.1` of *its* network, which a test joins
//! with [`Engine::enter`]; and process numbers that the engine tells are those of its process namespace. Paths are the
//! machine's, except `/run` and `/opt`, which it has for itself, and what is mounted after its start. Tests: `tests/it/engine.rs`,
//! `tests/it/nothing_is_left.rs`.

mod dockerd;
mod image;
mod podman;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::{Pid, Signal};

use crate::child::{Server, children_of, signal_all};
use crate::directory::Directory;
use crate::namespace::Namespace;
use crate::patience::{PATIENCE, wait_at_most, wait_for};
use crate::program;

/// A running engine. Ended when it is dropped, with everything that runs in it.
#[derive(Debug)]
pub struct Engine {
    make: Make,
    // In the order of ending: the engine's process, everything beside it, the files.
    server: Mutex<Option<Server>>,
    namespace: Namespace,
    cgroups: String,
    directory: Directory,
}

/// Whose program it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    /// Docker's `dockerd`.
    Docker,
    /// Podman's `podman system service`.
    Podman,
}

impl Make {
    /// As its log and its failures name it.
    const fn name(self) -> &'static str {
        match self {
            Self::Docker => "dockerd",
            Self::Podman => "podman",
        }
    }
}

impl Engine {
    /// A fresh `dockerd` without any image. Takes a second or two.
    ///
    /// # Panics
    /// When the process is not root, or the engine does not start; with the end of its log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_of(Make::Docker)
    }

    /// A fresh one of this make.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn start_of(make: Make) -> Self {
        let directory = Directory::new("engine");
        let name = directory.path().file_name().expect("a directory has a name").to_string_lossy().into_owned();
        let namespace = Namespace::new(&name);
        let engine = Self { make, server: Mutex::new(None), namespace, cgroups: name, directory };
        engine.launch();
        engine
    }

    /// The `dockerd` that the tests of this process share, for as long as one of them holds it. Do not stop it, and name your
    /// containers so that no other test takes them for its own.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        Self::shared_of(Make::Docker)
    }

    /// The one of this make, in the same way.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn shared_of(make: Make) -> Arc<Self> {
        static SHARED: [Mutex<Weak<Engine>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
        // A test that failed while it started one has left nothing half done in here.
        let mut shared = SHARED[make as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start_of(make));
        *shared = Arc::downgrade(&started);
        started
    }

    /// Whose program it is.
    #[must_use]
    pub const fn make(&self) -> Make {
        self.make
    }

    /// Moves the calling thread into the engine's network for good; threads and processes that it starts from now on are
    /// there too. Call it first in a test, before a runtime is made.
    pub fn enter(&self) {
        self.namespace.enter();
    }

    /// Runs `what` in the engine's network, while the calling thread stays where it is.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(what)
    }

    /// Its API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("s")
    }

    /// The cgroup below which its containers' are, such as `fogline-engine-x`, from the root of each hierarchy.
    #[must_use]
    pub fn cgroups(&self) -> &str {
        &self.cgroups
    }

    /// Runs the docker command line with these arguments against it, however that ends.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        self.docker_with(&self.path("cli"), arguments)
    }

    /// The same with what the command line keeps in the directory `config`, such as passwords of registries.
    #[track_caller]
    pub(crate) fn docker_with(&self, config: &Path, arguments: &[&str]) -> Output {
        let mut command = program::command(&program::find("docker", "docker.io or docker-cli"));
        command.arg("--config").arg(config).arg("-H").arg(format!("unix://{}", self.socket().display()));
        program::output(command.args(arguments))
    }

    /// The same, and gives its standard output without white space at the ends.
    ///
    /// # Panics
    /// When it fails; with what it said.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.output_of(arguments, &self.docker(arguments))
    }

    /// What a command that must not fail has printed.
    #[track_caller]
    pub(crate) fn output_of(&self, arguments: &[&str], output: &Output) -> String {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {} failed: {said}\n{}", arguments[0], self.log_tail());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The names of its containers, running or not, that begin with `prefix`; sorted.
    #[must_use]
    pub fn containers(&self, prefix: &str) -> Vec<String> {
        let all = self.ok(&["ps", "--all", "--format", "{{.Names}}"]);
        let mut found: Vec<_> = all.lines().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        found.sort();
        found
    }

    /// What `GET path` answers at an address in its network: the body; nothing where nobody answers.
    #[must_use]
    pub fn http(&self, address: SocketAddr, path: &str) -> Option<String> {
        self.inside(|| get(address, path))
    }

    /// Kills the engine's own process with -9. Its containers run on, but their published ports do not answer;
    /// [`Engine::restart`] ends them, as an engine without live restore does, and starts those whose policy says so. Podman's
    /// containers do not notice.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Ends the engine in order, which stops Docker's containers; Podman's run on. Nothing where it is ended.
    pub fn stop(&self) {
        self.end(Signal::TERM);
    }

    /// Starts it again on the same socket and data, after stopping it where it runs.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    pub fn restart(&self) {
        self.stop();
        self.launch();
    }

    /// Stops the engine's own process where it is, so that it accepts calls and answers none, until [`Engine::thaw`].
    pub fn freeze(&self) {
        let server = self.server();
        let own = server.as_ref().map(|server| (server.pid(), children_of(server.pid())));
        let (outer, inner) = own.expect("an engine that is to be frozen runs");
        signal_all(&inner, Signal::STOP);
        // The program that entered the namespaces stops itself when it sees that.
        wait_for("the engine to stand still", || is_stopped(outer).then_some(()));
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        if let Some(server) = &*self.server() {
            thaw(server);
        }
    }

    /// The last lines of what it has logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        crate::child::tail(&self.path("log"))
    }

    fn launch(&self) {
        let command = match self.make {
            Make::Docker => dockerd::command(self),
            Make::Podman => podman::command(self),
        };
        let name = self.make.name();
        let mut server = Server::start(name, "KILL", None, &command, self.path("log"));
        wait_for(&format!("{name} to answer"), || {
            assert!(server.ended().is_none(), "{name} did not start:\n{}", self.log_tail());
            self.docker(&["version"]).status.success().then_some(())
        });
        *self.server() = Some(server);
    }

    /// The start of a command line that runs `program` where the engine lives.
    fn command(&self, program: &Path) -> Command {
        self.namespace.command(program)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn end(&self, signal: Signal) {
        let Some(mut server) = self.server().take() else { return };
        signal_all(&children_of(server.pid()), signal);
        // A frozen one hears nothing else.
        thaw(&server);
        let ended = wait_at_most(PATIENCE, || server.ended());
        assert!(ended.is_some(), "{} did not end:\n{}", self.make.name(), self.log_tail());
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        // A panic while it was held was one of waiting in vain, after which it can still be ended.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets an engine go on, and the program above it that entered the namespaces.
fn thaw(server: &Server) {
    signal_all(&children_of(server.pid()), Signal::CONT);
    signal_all(&[server.pid()], Signal::CONT);
}

/// Whether a process was stopped by a signal.
fn is_stopped(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// Whether somebody answers HTTP at an address in the network of the calling thread.
pub(crate) fn answers(address: SocketAddr) -> bool {
    get(address, "/").is_some()
}

/// One request by HTTP/1.1, from the network of the calling thread.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect_timeout(&address, std::time::Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let mut request = String::new();
    write!(request, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("a string takes all");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_head, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// Where the program of the test image lies: it runs as a plain process too. What it does stands in
/// `service/main.rs` of this crate.
#[must_use]
pub fn service_program() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/service"))
}
