//! A server on loopback that does what a test tells it to, and remembers what it was sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it does with whoever connects.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Takes what it is sent and says nothing.
    Hang,
    /// Says this, and hangs up.
    Say(Vec<u8>),
    /// Says this, and then this again and again, as fast as it is taken.
    Flood(Vec<u8>, Vec<u8>),
    /// Says this, and then this again and again, ten times a second.
    Drip(Vec<u8>, Vec<u8>),
}

/// The server. Gone, with every connection, when it is dropped.
pub struct Hostile {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    ended: AtomicBool,
    connections: AtomicUsize,
    sent: AtomicUsize,
    heard: Mutex<Vec<u8>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Hostile {
    pub fn start(deed: Deed) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it listens");
        let seen = Arc::new(Seen::default());
        let accepting = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let mut serving = Vec::new();
                for stream in listener.incoming() {
                    if seen.ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    lock(&seen.open).push(stream.try_clone().expect("a second handle"));
                    let (seen, deed) = (Arc::clone(&seen), deed.clone());
                    serving.push(std::thread::spawn(move || seen.serve(stream, &deed)));
                }
                for one in serving {
                    one.join().expect("no thread of it panics");
                }
            }
        });
        Self { address, seen, accepting: Some(accepting) }
    }

    /// One that answers every request by HTTP with this.
    pub fn http(status: &str, headers: &[&str], body: &str) -> Self {
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        for header in headers {
            answer.push_str(header);
            answer.push_str("\r\n");
        }
        Self::start(Deed::Say(format!("{answer}\r\n{body}").into_bytes()))
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many bytes were taken from it.
    pub fn sent(&self) -> usize {
        self.seen.sent.load(Ordering::SeqCst)
    }

    /// All that it was sent.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen.heard)).into_owned()
    }
}

impl Seen {
    fn serve(&self, mut stream: TcpStream, deed: &Deed) {
        let mut first = [0; 4_096];
        let Ok(count) = stream.read(&mut first) else { return };
        lock(&self.heard).extend_from_slice(&first[..count]);
        match deed {
            Deed::Hang => {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
            Deed::Say(words) => {
                let _ = self.send(&mut stream, words);
                let _ = stream.shutdown(Shutdown::Write);
                // Whoever is cut off while it sends may not read what it was told.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
            Deed::Flood(words, more) => {
                let mut going = self.send(&mut stream, words);
                while going {
                    going = self.send(&mut stream, more);
                }
            }
            Deed::Drip(words, more) => {
                let mut going = self.send(&mut stream, words);
                while going && !self.ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(100));
                    going = self.send(&mut stream, more);
                }
            }
        }
    }

    fn send(&self, stream: &mut TcpStream, words: &[u8]) -> bool {
        let taken = stream.write_all(words).is_ok();
        self.sent.fetch_add(if taken { words.len() } else { 0 }, Ordering::SeqCst);
        taken
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::SeqCst);
        // Wakes it up, so that it sees.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.seen.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
