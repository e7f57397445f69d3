//! A relay before an HTTP API on a Unix socket, such as a container engine's, that sees each request and may spoil it.
//!
//! Each connection carries one request: the relay asks the server to close after it (unless the connection is upgraded),
//! so that neither bodies nor answers need to be understood. Must never change more of a request than that. Tests:
//! `tests/it/relay.rs`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::door::Door;
use super::stream::{Stream, exchange, flow};
use super::switch::{Switch, Ticket};
use crate::directory::Directory;

/// More than any engine's client sends before a body.
const LONGEST_HEAD: usize = 64 << 10;

/// The first line of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// With the query, such as `/v1.41/containers/create?name=x`.
    pub target: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It reaches the server, and the answer the client.
    Pass,
    /// It does not reach the server; the client's connection ends without an answer.
    Lose,
    /// The server carries it out to the end, then the client's connection ends without an answer.
    LoseReply,
    /// It does not reach the server; the connection stays open without an answer, until the relay is cut.
    Hang,
    /// The server carries it out, but the connection stays open without an answer, until the relay is cut.
    HangReply,
    /// It does not reach the server; the relay answers with this status and a message as engines give it.
    Answer(u16, String),
}

type Judge = Box<dyn FnMut(&Request) -> Deed + Send>;

/// What the relay's threads share.
struct Desk {
    upstream: PathBuf,
    judge: Mutex<Judge>,
    seen: Mutex<Vec<Request>>,
    switch: Arc<Switch>,
}

/// A relay to a Unix socket, on another. Passes everything at first. Gone when dropped.
pub struct UnixRelay {
    desk: Arc<Desk>,
    door: Door,
    directory: Directory,
}

impl UnixRelay {
    /// One that leads to the socket `upstream`, where nobody need listen yet.
    #[must_use]
    pub fn to(upstream: &Path) -> Self {
        let directory = Directory::new("relay");
        let switch = Arc::new(Switch::default());
        let desk = Arc::new(Desk {
            upstream: upstream.to_owned(),
            judge: Mutex::new(Box::new(|_| Deed::Pass)),
            seen: Mutex::new(Vec::new()),
            switch: Arc::clone(&switch),
        });
        let serving = Arc::clone(&desk);
        let door =
            Door::unix(directory.path().join("s"), &switch, move |client, ticket| serving.serve(&client, ticket));
        door.open();
        Self { desk, door, directory }
    }

    /// The socket where clients connect; the same for as long as the relay is there.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// From now on `judge` says what becomes of each request, in place of an earlier one. It is called for one request at
    /// a time.
    pub fn on_request(&self, judge: impl FnMut(&Request) -> Deed + Send + 'static) {
        *locked(&self.desk.judge) = Box::new(judge);
    }

    /// The next request that `chosen` picks meets `deed`; everything else passes, and so does all that comes after it.
    pub fn once(&self, chosen: impl Fn(&Request) -> bool + Send + 'static, deed: Deed) {
        let mut waiting = Some(deed);
        self.on_request(move |request| if chosen(request) { waiting.take().unwrap_or(Deed::Pass) } else { Deed::Pass });
    }

    /// Every request that came, in order, whatever became of it.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.desk.seen).clone()
    }

    /// Everything flows, also what was held back by `hang`. What `on_request` says still holds.
    pub fn pass(&self) {
        self.desk.switch.pass();
        self.door.open();
    }

    /// Connections stay open and new ones are accepted, but nothing flows either way until `pass` or `cut`.
    pub fn hang(&self) {
        self.desk.switch.hang();
        self.door.open();
    }

    /// Connections end, and new ones are refused.
    pub fn cut(&self) {
        self.door.close();
        self.desk.switch.cut();
    }
}

impl Drop for UnixRelay {
    fn drop(&mut self) {
        self.door.close();
        self.desk.switch.end();
    }
}

impl std::fmt::Debug for UnixRelay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("UnixRelay").field("to", &self.desk.upstream).finish_non_exhaustive()
    }
}

impl Desk {
    /// One connection, from its first byte to its last.
    fn serve(&self, client: &Stream, ticket: Ticket) {
        let Some((head, rest)) = head(client) else { return client.abort() };
        if !self.switch.wait_to_flow(ticket) {
            return client.abort();
        }
        let mut words = head.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return client.abort() };
        let request = Request { method, target };
        locked(&self.seen).push(request.clone());
        let deed = (*locked(&self.judge))(&request);
        match deed {
            Deed::Lose => client.abort(),
            Deed::Hang => self.switch.wait_for_cut(ticket),
            Deed::Answer(status, message) => answer(client, status, &message),
            Deed::Pass | Deed::LoseReply | Deed::HangReply => {
                let Ok(server) = UnixStream::connect(&self.upstream) else { return client.abort() };
                let server = Stream::Unix(server);
                if (&server).write_all(closing(&head).as_bytes()).and_then(|()| (&server).write_all(&rest)).is_err() {
                    return client.abort();
                }
                if deed == Deed::Pass {
                    return exchange(client, &server, &self.switch, ticket);
                }
                self.without_reply(client, &server, ticket);
                match deed {
                    Deed::HangReply => self.switch.wait_for_cut(ticket),
                    _ => client.abort(),
                }
            }
        }
    }

    /// Lets the server carry out what the client asks, and keeps the answer.
    fn without_reply(&self, client: &Stream, server: &Stream, ticket: Ticket) {
        if !self.switch.join(ticket, server) {
            return;
        }
        std::thread::scope(|scope| {
            let body = scope.spawn(|| flow(client, server, &self.switch, ticket));
            let mut reply = Vec::new();
            // To its end: then the server has done it. It may also break off.
            let _ = { server }.read_to_end(&mut reply);
            // Whoever still sends a body writes into a closed connection from here on.
            server.abort();
            match client {
                Stream::Unix(stream) => drop(stream.shutdown(std::net::Shutdown::Read)),
                Stream::Tcp(stream) => drop(stream.shutdown(std::net::Shutdown::Read)),
            }
            drop(body.join());
        });
    }
}

/// The head of a request as it was sent, and what came of the body with it. Nothing where the client sends no such thing.
fn head(mut client: &Stream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return String::from_utf8(read).ok().map(|head| (head, rest));
        }
        let count = client.read(&mut buffer).ok().filter(|count| *count > 0 && read.len() < LONGEST_HEAD)?;
        read.extend_from_slice(&buffer[..count]);
    }
}

/// The same head, asking for the connection to be closed after the answer, unless it asks for an upgrade.
fn closing(head: &str) -> String {
    let is_connection =
        |line: &&str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("connection"));
    let lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    let upgrade = lines.iter().filter(|line| is_connection(line)).any(|line| line.to_lowercase().contains("upgrade"));
    if upgrade {
        return head.to_owned();
    }
    let mut kept: Vec<&str> = lines.into_iter().filter(|line| !is_connection(line)).collect();
    kept.push("Connection: close");
    kept.join("\r\n") + "\r\n\r\n"
}

/// Answers in place of the server.
fn answer(mut client: &Stream, status: u16, message: &str) {
    let body = format!("{{\"message\":\"{}\"}}", message.replace('\\', "\\\\").replace('"', "\\\""));
    let head = format!("HTTP/1.1 {status} Spoiled\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    let _ = client.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes());
    client.finish();
    // What the client still sends is read, because closing before would take the answer from it.
    let _ = std::io::copy(&mut client, &mut std::io::sink());
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
