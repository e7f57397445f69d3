//! A private HAProxy, as a proxy that another one is compared with. One process with one thread, on loopback.
//!
//! Tests: `tests/it/proxies.rs`.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Pid;

use crate::child::Server;
use crate::directory::Directory;
use crate::nginx::answers_or_ended;
use crate::program;
use crate::seat::Seat;

/// A running HAProxy. Ended when it is dropped.
#[derive(Debug)]
pub struct Haproxy {
    // Before the directory: it ends first.
    seat: Seat,
    directory: Directory,
}

impl Haproxy {
    /// One that passes requests on to these, to whoever has the fewest open, and tells them of the client what Fogline would.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn proxy(to: &[SocketAddr]) -> Self {
        let made = Self { seat: Seat::of("HAProxy"), directory: Directory::new("haproxy") };
        made.seat.open(|| made.launch(to));
        made
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

    fn launch(&self, to: &[SocketAddr]) -> Result<Server, String> {
        let servers = to.iter().enumerate().fold(String::new(), |mut all, (number, server)| {
            let _ = writeln!(all, "  server s{number} {server}");
            all
        });
        let text = format!(
            "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  option forwardfor\n  http-reuse always\n  \
             timeout connect 5s\n  timeout client 60s\n  timeout server 60s\nfrontend in\n  bind {}\n  \
             http-request set-header X-Real-IP %[src]\n  http-request set-header X-Forwarded-Proto http\n  \
             http-request set-header X-Forwarded-Host %[req.hdr(host)]\n  \
             http-request set-header Forwarded for=%[src];proto=http;host=\\\"%[req.hdr(host)]\\\"\n  \
             default_backend behind\nbackend behind\n  balance leastconn\n{servers}",
            self.seat.address()
        );
        let file = self.directory.path().join("haproxy.cfg");
        fs::write(&file, text).expect("a file can be written");
        let mut command = Command::new(program::find("haproxy", "haproxy"));
        command.arg("-db").arg("-f").arg(&file);
        let mut server = Server::start("HAProxy", "KILL", None, &command, self.directory.path().join("log"));
        answers_or_ended(&mut server, self.seat.address())
            .then_some(())
            .ok_or_else(|| server.tail().replace("Address already in use", "address already in use"))
            .map(|()| server)
    }
}
