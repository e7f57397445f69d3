//! What a Prometheus scrapes: metrics that the test sets.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server of metrics on loopback. Gone when it is dropped.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    text: Arc<Mutex<String>>,
    ended: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Exporter {
    /// One that shows these lines, such as `queue_length{queue="a"} 7`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(lines: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it listens");
        let text = Arc::new(Mutex::new(String::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let serving = std::thread::spawn({
            let (text, ended) = (Arc::clone(&text), Arc::clone(&ended));
            move || {
                for stream in listener.incoming() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let lines = text.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    // Whoever hangs up early asks again.
                    let _ = stream.and_then(|stream| answer(stream, &lines));
                }
            }
        });
        let exporter = Self { address, text, ended, serving: Some(serving) };
        exporter.set(lines);
        exporter
    }

    /// Shows these lines from now on.
    pub fn set(&self, lines: &str) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = format!("{}\n", lines.trim_end());
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }
}

fn answer(mut stream: TcpStream, lines: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{lines}",
        lines.len()
    )
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes it up, so that it sees.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}
