//! A client that writes what it likes, byte by byte if need be.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEADLINE;

/// What came back on a connection until it was closed.
#[derive(Clone, Debug)]
pub struct Back(pub Vec<u8>);

impl Back {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The statuses of all answers.
    pub fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        let lines = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5));
        lines.filter_map(|status| status.parse().ok()).collect()
    }
}

/// Writes these bytes, and reads until the proxy closes.
pub async fn write_and_read_to_end(address: SocketAddr, bytes: &[u8]) -> Back {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // The proxy may refuse and close while this is being written.
    let _ = stream.write_all(bytes).await;
    read_to_end(&mut stream).await
}

/// Reads until the proxy closes.
pub async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Back {
    let mut back = Vec::new();
    let read = async {
        let mut buffer = [0; 4_096];
        // A reset is an end, too: what was sent before it has been read.
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            back.extend_from_slice(&buffer[..count]);
        }
    };
    let ended = tokio::time::timeout(DEADLINE, read).await.is_ok();
    assert!(ended, "the connection is still open; so far: {}", String::from_utf8_lossy(&back));
    Back(back)
}

/// A well-behaved GET; gives the status.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let back = write_and_read_to_end(address, request.as_bytes()).await;
    back.statuses().first().copied().unwrap_or(0)
}
