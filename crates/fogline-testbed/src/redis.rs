//! A private Redis: real, on loopback, in a directory of its own, nothing on disk.
//!
//! Invariant: after `stop`, `kill` and drop no process of it is left; `restart` listens where it listened, and is empty.
//! Tests: `tests/it/redis.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::child::Server;
use crate::directory::Directory;
use crate::patience::wait_for;
use crate::seat::Seat;
use crate::{program, tls};

/// The password of one that has one.
const PASSWORD: &str = "redis-password-55d0";

/// A running Redis. Ended when it is dropped.
#[derive(Debug)]
pub struct Redis {
    // Before the directory: it ends first.
    seat: Seat,
    ca_file: Option<PathBuf>,
    directory: Directory,
}

impl Redis {
    /// One that answers to everybody.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start() -> Self {
        Self::create(false)
    }

    /// One that answers only by TLS, with a certificate for `127.0.0.1` and `localhost` that [`Redis::ca_file`] signed, and
    /// only to who knows [`Redis::password`].
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start_closed() -> Self {
        Self::create(true)
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis{}://{}", if self.ca_file.is_some() { "s" } else { "" }, self.addr())
    }

    /// Where it listens, or listened before it was stopped.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.seat.address()
    }

    /// The password of a closed one.
    #[must_use]
    pub fn password() -> &'static str {
        PASSWORD
    }

    /// The certificate, in PEM, that signed the one of this server.
    ///
    /// # Panics
    /// When it is none that was started closed.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.ca_file.clone().expect("this Redis was started without TLS: use start_closed")
    }

    /// Runs one command, such as `["RPUSH", "queue", "a"]`, and gives what it says.
    ///
    /// # Panics
    /// When it does not answer, or with an error.
    #[track_caller]
    pub fn run(&self, command: &[&str]) -> String {
        program::run(self.cli().args(command)).trim_end().to_owned()
    }

    /// Stops it in order. Nothing where it is stopped.
    pub fn stop(&self) {
        self.seat.end(Signal::TERM);
    }

    /// Kills it with -9.
    pub fn kill(&self) {
        self.seat.end(Signal::KILL);
    }

    /// Starts it again, on the same address, empty.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    pub fn restart(&self) {
        self.seat.open_again(|| self.launch());
    }

    fn create(closed: bool) -> Self {
        let directory = Directory::new("redis");
        let ca_file = closed.then(|| tls::prepare(tls::Source::New, &directory.path().join("tls")));
        let made = Self { seat: Seat::of("Redis"), ca_file, directory };
        made.seat.open(|| made.launch());
        made
    }

    fn launch(&self) -> Result<Server, String> {
        let mut command = Command::new(program::find("redis-server", "redis-server"));
        let port = self.seat.address().port().to_string();
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(self.directory.path());
        match &self.ca_file {
            None => {
                command.args(["--port", &port]);
            }
            Some(ca) => {
                command.args([
                    "--port",
                    "0",
                    "--tls-port",
                    &port,
                    "--tls-auth-clients",
                    "no",
                    "--requirepass",
                    PASSWORD,
                ]);
                command.arg("--tls-ca-cert-file").arg(ca);
                command.arg("--tls-cert-file").arg(ca.with_file_name(tls::CERTIFICATE));
                command.arg("--tls-key-file").arg(ca.with_file_name(tls::KEY));
            }
        }
        let log = self.directory.path().join("log");
        let mut server = Server::start("Redis", "KILL", None, &command, log);
        let ended = wait_for("Redis to answer", || {
            let answers = || {
                let said = program::output(self.cli().arg("PING"));
                said.stdout.starts_with(b"PONG").then_some(false)
            };
            server.ended().map(|_| true).or_else(answers)
        });
        if ended { Err(server.tail()) } else { Ok(server) }
    }

    fn cli(&self) -> Command {
        let mut command = program::command(&program::find("redis-cli", "redis-tools"));
        command.args(["-e", "-h", "127.0.0.1", "-p", &self.seat.address().port().to_string()]);
        if let Some(ca) = &self.ca_file {
            command.env("REDISCLI_AUTH", PASSWORD).arg("--tls").arg("--cacert").arg(ca);
        }
        command
    }
}
