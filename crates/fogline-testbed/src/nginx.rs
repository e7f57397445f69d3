//! A private nginx: as what answers, or as a proxy that another one is compared with. One process, on loopback.
//!
//! Invariant: it keeps connections to what it passes on to, as any proxy should that is to be compared. Tests:
//! `tests/it/proxies.rs`.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Pid;

use crate::child::Server;
use crate::directory::Directory;
use crate::patience::wait_for;
use crate::program;
use crate::seat::Seat;

/// A running nginx. Ended when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    // Before the directory: it ends first.
    seat: Seat,
    directory: Directory,
}

impl Nginx {
    /// One that answers every request with so many bytes.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn answering(bytes: usize) -> Self {
        let text = "x".repeat(bytes);
        Self::start("", &format!("default_type text/plain; location / {{ return 200 '{text}'; }}"))
    }

    /// One that passes requests on to these, with at most `kept` idle connections, and tells them of the client what Fogline
    /// would.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn proxy(to: &[SocketAddr], kept: usize) -> Self {
        let servers = to.iter().fold(String::new(), |mut all, server| {
            let _ = write!(all, "server {server}; ");
            all
        });
        let upstream =
            format!("upstream behind {{ least_conn; {servers} keepalive {kept}; keepalive_requests 1000000; }}");
        let location = "location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ''; \
                        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
                        proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; \
                        proxy_set_header X-Forwarded-Host $http_host; \
                        proxy_set_header Forwarded 'for=$remote_addr;proto=$scheme;host=\"$http_host\"'; }";
        Self::start(&upstream, location)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.seat.address()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.seat.pid().expect("it runs as long as this value")
    }

    fn start(before: &str, server: &str) -> Self {
        let made = Self { seat: Seat::of("nginx"), directory: Directory::new("nginx") };
        made.seat.open(|| made.launch(before, server));
        made
    }

    fn launch(&self, before: &str, server: &str) -> Result<Server, String> {
        let dir = self.directory.path();
        let at = dir.display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().fold(String::new(), |mut all, name| {
            let _ = write!(all, "{name}_temp_path {at}/{name}; ");
            all
        });
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; keepalive_requests 100000000; {paths}\n{before}\n\
             server {{ listen {} backlog=4096; {server} }} }}\n",
            self.seat.address()
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, text).expect("a file can be written");
        let mut command = Command::new(program::find("nginx", "nginx-light"));
        command.arg("-e").arg("stderr").arg("-c").arg(&file).arg("-p").arg(dir);
        let mut server = Server::start("nginx", "KILL", None, &command, dir.join("log"));
        answers_or_ended(&mut server, self.seat.address()).then_some(()).ok_or_else(|| server.tail()).map(|()| server)
    }
}

/// Waits until somebody listens there, or the server has ended: then false.
pub(crate) fn answers_or_ended(server: &mut Server, address: SocketAddr) -> bool {
    wait_for("a proxy to listen", || {
        // The one that listens may be somebody else, where it has ended.
        if server.ended().is_some() {
            return Some(false);
        }
        std::net::TcpStream::connect(address).is_ok().then_some(true)
    })
}
