//! Asks a replica whether it is ready.
//!
//! Must never hang or read more than a status line, whatever the other side sends. Redirects are not followed: 300 to
//! 399 is an answer, and so the replica is ready. Tests: below.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::supervisor::ProbeTarget;

/// The longest status line that is read.
const STATUS_LINE_BYTES: usize = 1_024;

/// Asks once.
///
/// # Errors
/// In words: how the replica did not answer.
pub async fn ask(address: &str, target: &ProbeTarget, timeout: Duration) -> Result<(), String> {
    let (what, answer) = match target {
        ProbeTarget::Tcp { port } => {
            let what = format!("TCP connection to {address}:{port}");
            (what, tokio::time::timeout(timeout, connect(address, *port)).await)
        }
        ProbeTarget::Http { port, path } => {
            let what = format!("GET http://{address}:{port}{path}");
            (what, tokio::time::timeout(timeout, get(address, *port, path)).await)
        }
    };
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: no answer within {timeout:?}")),
    }
}

/// Whether another program listens on the port, on any address of this machine.
#[must_use]
pub fn port_is_taken(port: u16) -> bool {
    let bound = TcpSocket::new_v4().and_then(|socket| {
        // As servers do: what the system keeps of old connections does not count.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    });
    // Anything else that may be wrong, the program will tell better.
    matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

async fn connect(address: &str, port: u16) -> io::Result<()> {
    TcpStream::connect((address, port)).await.map(drop)
}

async fn get(address: &str, port: u16, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: fogline-agent\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::with_capacity(64);
    while !line.contains(&b'\n') {
        if line.len() >= STATUS_LINE_BYTES {
            return Err(io::Error::other("the answer is no HTTP: its first line does not end"));
        }
        if stream.read_buf(&mut line).await? == 0 {
            return Err(io::Error::other("the connection was closed without an answer"));
        }
    }
    match status(&line) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(io::Error::other(format!("status {status}, where 200 to 399 would do"))),
        None => Err(io::Error::other("the answer is no HTTP")),
    }
}

/// The code of a status line such as `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.split(|byte| matches!(byte, b'\r' | b'\n')).next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes; without bytes it says nothing and stays.
    async fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            let _ = stream.write_all(answer).await;
        });
        port
    }

    #[tokio::test]
    async fn http_answers() {
        let long: &'static [u8] = Box::leak(vec![b'x'; 100_000].into_boxed_slice());
        let table: [(&[u8], &str); 8] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", ""),
            (b"HTTP/1.0 301 Moved\r\n\r\n", ""),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
            (b"HTTP/1.1 503\r\n\r\n", "status 503"),
            (b"SSH-2.0-x\r\n", "no HTTP"),
            (b"HTTP/1.1 20\xff OK\r\n", "no HTTP"),
            (b"HTTP/1.1", "closed without an answer"),
            (long, "no HTTP"),
        ];
        for (answer, words) in table {
            let target = ProbeTarget::Http { port: server(answer).await, path: "/ok".to_owned() };
            match ask("127.0.0.1", &target, Duration::from_secs(20)).await {
                Ok(()) => assert_eq!(words, ""),
                Err(error) => assert!(!words.is_empty() && error.contains(words), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let target = ProbeTarget::Http { port: server(b"").await, path: "/".to_owned() };
        let error = ask("127.0.0.1", &target, Duration::from_millis(200)).await.expect_err("silent");
        assert!(error.contains("no answer within 200ms"), "{error}");
    }

    #[tokio::test]
    async fn tcp_and_taken_ports() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert_eq!(ask("127.0.0.1", &ProbeTarget::Tcp { port }, Duration::from_secs(20)).await, Ok(()));
        assert!(port_is_taken(port));
        drop(listener);
        assert!(!port_is_taken(port));
        let error = ask("127.0.0.1", &ProbeTarget::Tcp { port }, Duration::from_secs(20)).await.expect_err("nobody");
        assert!(error.contains(&port.to_string()) && error.contains("refused"), "{error}");
    }
}
