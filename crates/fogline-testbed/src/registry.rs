//! A private image registry in an engine's network: Debian's `docker-registry`, with or without a password.
//!
//! Plain HTTP, which engines accept on loopback only. Invariant: an image that was pushed here is not in the engine, so
//! that pulling it is real. Tests: `tests/it/registry.rs`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::child::Server;
use crate::directory::Directory;
use crate::engine::{Engine, answers};
use crate::patience::wait_for;
use crate::{port, program};

/// A user of a registry and its password.
pub const USER: (&str, &str) = ("puller", "pull-password-7f3a");
/// How often a new registry tries another port because somebody took the one that was free.
const TRIES: usize = 10;

/// A running registry. Ended when it is dropped; it holds its engine.
#[derive(Debug)]
pub struct Registry {
    server: Mutex<Option<Server>>,
    address: SocketAddr,
    with_password: bool,
    directory: Directory,
    // Last: the registry lives in its network.
    engine: Arc<Engine>,
}

impl Registry {
    /// One where everybody may pull and push.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start(engine: &Arc<Engine>) -> Self {
        Self::create(engine, false)
    }

    /// One that answers only to [`USER`].
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start_with_password(engine: &Arc<Engine>) -> Self {
        Self::create(engine, true)
    }

    /// Where it listens in the engine's network, such as `127.0.0.1:61000`: the first part of its images' names.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The full name of the image `service` with this tag; it need not exist.
    #[must_use]
    pub fn image(&self, tag: &str) -> String {
        format!("{}/service:{tag}", self.address)
    }

    /// Makes the test image of `version`, pushes it under `tag`, and takes it from the engine. A tag that exists is moved.
    /// Gives the digest by which the registry knows it, `sha256:…`.
    ///
    /// # Panics
    /// When the engine or the registry refuses.
    pub fn push(&self, tag: &str, version: &str) -> String {
        let image = self.image(tag);
        self.engine.make_image(&image, version);
        let said = self.ok(&["push", &image]);
        self.engine.ok(&["rmi", "--force", &image]);
        let digest = said.split_whitespace().skip_while(|word| *word != "digest:").nth(1);
        digest.unwrap_or_else(|| panic!("`docker push` names no digest: {said}")).to_owned()
    }

    /// Runs the docker command line against the engine, as somebody who knows this registry's password.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        self.engine.docker_with(&self.path("cli"), arguments)
    }

    /// The same, and gives its standard output without white space at the ends.
    ///
    /// # Panics
    /// When it fails; with what it said.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.engine.output_of(arguments, &self.docker(arguments))
    }

    /// Ends it: pulls are refused until [`Registry::restart`]. Nothing where it is ended.
    pub fn stop(&self) {
        if let Some(mut server) = self.server().take() {
            server.end(Signal::TERM);
        }
    }

    /// Starts it again, on the same address and with the same images.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    pub fn restart(&self) {
        self.stop();
        let started = wait_for("the registry to start again", || self.launch().ok());
        *self.server() = Some(started);
    }

    /// What it has logged: each request stands there.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    fn create(engine: &Arc<Engine>, with_password: bool) -> Self {
        let mut registry = Self {
            server: Mutex::new(None),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            with_password,
            directory: Directory::new("registry"),
            engine: Arc::clone(engine),
        };
        if with_password {
            fs::write(registry.path("htpasswd"), htpasswd()).expect("a file can be written");
        }
        for _ in 0..TRIES {
            registry.address = engine.inside(port::spare);
            fs::write(registry.path("config.yml"), registry.config()).expect("a file can be written");
            match registry.launch() {
                Ok(server) => {
                    *registry.server() = Some(server);
                    if with_password {
                        let (user, password) = USER;
                        registry.ok(&["login", "--username", user, "--password", password, &registry.address()]);
                    }
                    return registry;
                }
                Err(said) if said.contains("address already in use") => {}
                Err(said) => panic!("docker-registry did not start:\n{said}"),
            }
        }
        panic!("docker-registry found {TRIES} ports taken");
    }

    fn launch(&self) -> Result<Server, String> {
        let mut command = Command::new(program::find("docker-registry", "docker-registry"));
        command.arg("serve").arg(self.path("config.yml"));
        let log = self.path("log");
        self.engine.inside(|| {
            let mut server = Server::start("docker-registry", "KILL", None, &command, log);
            let ended = wait_for("docker-registry to answer", || {
                server.ended().map(|_| true).or_else(|| answers(self.address).then_some(false))
            });
            if ended { Err(server.tail()) } else { Ok(server) }
        })
    }

    fn config(&self) -> String {
        let storage = self.path("data").display().to_string();
        let mut text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\nstorage:\n  filesystem: {{rootdirectory: {storage}}}\n  \
             delete: {{enabled: true}}\nhttp: {{addr: '{}'}}\n",
            self.address
        );
        if self.with_password {
            let file = self.path("htpasswd").display().to_string();
            text.push_str(&format!("auth:\n  htpasswd: {{realm: test, path: {file}}}\n"));
        }
        text
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        // A panic while it was held was one of waiting in vain, after which it can still be ended.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line of the password file.
fn htpasswd() -> String {
    let (user, password) = USER;
    format!("{user}:{}\n", bcrypt(password))
}

/// A password by bcrypt, which is all that some servers know. Perl asks the C library for it.
pub(crate) fn bcrypt(password: &str) -> String {
    let hash = "print crypt($ARGV[0], '$2y$05$ofatestregistryofatest.')";
    let mut perl = program::command(&program::find("perl", "perl-base"));
    let hashed = program::run(perl.args(["-e", hash, password]));
    assert!(hashed.starts_with("$2y$"), "the C library of this machine knows no bcrypt: perl said {hashed:?}");
    hashed
}
