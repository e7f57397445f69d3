//! A private Prometheus: real, on loopback, in a directory of its own; it scrapes what a test tells it to, every second.
//!
//! Invariant: after `stop`, `kill` and drop no process of it is left; `restart` listens where it listened and knows what it
//! knew. Tests: `tests/it/prometheus.rs`.

mod exporter;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::child::Server;
use crate::directory::Directory;
use crate::patience::wait_for;
use crate::registry::bcrypt;
use crate::seat::Seat;
use crate::{program, tls};

pub use exporter::Exporter;

/// The user of one with a password.
const USER: (&str, &str) = ("asker", "ask-password-91c2");

/// A running Prometheus. Ended when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    // Before the directory: it ends first.
    seat: Seat,
    ca_file: Option<PathBuf>,
    directory: Directory,
}

impl Prometheus {
    /// One that scrapes these and answers to everybody.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start(targets: &[SocketAddr]) -> Self {
        Self::create(targets, false)
    }

    /// The same, which answers only by TLS, with a certificate for `127.0.0.1` and `localhost` that
    /// [`Prometheus::ca_file`] signed, and only to [`Prometheus::user`].
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start_closed(targets: &[SocketAddr]) -> Self {
        Self::create(targets, true)
    }

    /// `http://127.0.0.1:PORT`, or `https://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.ca_file.is_some() { "s" } else { "" }, self.addr())
    }

    /// Where it listens, or listened before it was stopped.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.seat.address()
    }

    /// Name and password of the user of a closed one.
    #[must_use]
    pub fn user() -> (&'static str, &'static str) {
        USER
    }

    /// The certificate, in PEM, that signed the one of this server.
    ///
    /// # Panics
    /// When it is none that was started closed.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.ca_file.clone().expect("this Prometheus was started without TLS: use start_closed")
    }

    /// What it answers to a query at this moment, as JSON.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn query(&self, query: &str) -> String {
        let mut command = self.curl("/api/v1/query");
        program::run(command.args(["--data-urlencode", &format!("query={query}")]))
    }

    /// Waits until a query gives something.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for(&self, query: &str) {
        wait_for(&format!("Prometheus to know {query}"), || self.query(query).contains("\"value\":").then_some(()));
    }

    /// Stops it in order. Nothing where it is stopped.
    pub fn stop(&self) {
        self.seat.end(Signal::TERM);
    }

    /// Kills it with -9.
    pub fn kill(&self) {
        self.seat.end(Signal::KILL);
    }

    /// Starts it again, on the same address.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    pub fn restart(&self) {
        self.seat.open_again(|| self.launch());
    }

    fn create(targets: &[SocketAddr], closed: bool) -> Self {
        let directory = Directory::new("prometheus");
        let ca_file = closed.then(|| tls::prepare(tls::Source::New, &directory.path().join("tls")));
        let made = Self { seat: Seat::of("Prometheus"), ca_file, directory };
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: test\n  static_configs:\n  \
             - targets: [{}]\n",
            targets.join(", ")
        );
        fs::write(made.path("config.yml"), config).expect("a file can be written");
        fs::write(made.path("web.yml"), made.web()).expect("a file can be written");
        made.seat.open(|| made.launch());
        made
    }

    fn launch(&self) -> Result<Server, String> {
        let mut command = Command::new(program::find("prometheus", "prometheus"));
        command
            .arg(format!("--config.file={}", self.path("config.yml").display()))
            .arg(format!("--web.config.file={}", self.path("web.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.path("data").display()))
            .arg(format!("--web.listen-address={}", self.seat.address()))
            .arg("--log.level=warn");
        let mut server = Server::start("Prometheus", "KILL", None, &command, self.path("log"));
        let ended = wait_for("Prometheus to answer", || {
            let ready = || program::output(&mut self.curl("/-/ready")).status.success().then_some(false);
            server.ended().map(|_| true).or_else(ready)
        });
        if ended { Err(server.tail()) } else { Ok(server) }
    }

    /// How it lets people in.
    fn web(&self) -> String {
        let Some(ca) = &self.ca_file else { return String::new() };
        let file = |name| ca.with_file_name(name).display().to_string();
        let (user, password) = USER;
        format!(
            "tls_server_config: {{cert_file: '{}', key_file: '{}'}}\nbasic_auth_users: {{{user}: '{}'}}\n",
            file(tls::CERTIFICATE),
            file(tls::KEY),
            bcrypt(password)
        )
    }

    fn curl(&self, path: &str) -> Command {
        let mut command = program::command(&program::find("curl", "curl"));
        command.args(["--silent", "--show-error", "--fail", "--max-time", "10"]).arg(format!("{}{path}", self.url()));
        if let Some(ca) = &self.ca_file {
            let (user, password) = USER;
            command.arg("--cacert").arg(ca).args(["--user", &format!("{user}:{password}")]);
        }
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
