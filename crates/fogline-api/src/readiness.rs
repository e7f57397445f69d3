//! The readiness check as it goes over the wire: asked by agents, and by proxies that have requests waiting.
//!
//! Must never read more than a status line, whatever the other side sends; who asks bounds the time. Redirects are not
//! followed: 300 to 399 is an answer, and so the replica is ready. Tests: below.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest status line that is read.
const STATUS_LINE_BYTES: usize = 1_024;

/// Asks `endpoint` (`address:port`) once, in the name of `who`: for a connection, or with a path for a good answer.
///
/// # Errors
/// How it did not answer: no connection, no status line of HTTP, or another status than 200 to 399.
pub async fn ask(endpoint: &str, path: Option<&str>, who: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(endpoint).await?;
    let Some(path) = path else { return Ok(()) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {endpoint}\r\nUser-Agent: {who}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
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

    /// Answers one connection with these bytes.
    async fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let endpoint = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        });
        endpoint
    }

    #[tokio::test]
    async fn http_answers() {
        let long: &'static [u8] = Box::leak(vec![b'x'; 100_000].into_boxed_slice());
        let table: [(&[u8], &str); 9] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", ""),
            (b"HTTP/1.0 301 Moved\r\n\r\n", ""),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
            (b"HTTP/1.1 503\r\n\r\n", "status 503"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP"),
            (b"SSH-2.0-x\r\n", "no HTTP"),
            (b"HTTP/1.1 20\xff OK\r\n", "no HTTP"),
            (b"HTTP/1.1", "closed without an answer"),
            (long, "no HTTP"),
        ];
        for (answer, words) in table {
            match ask(&server(answer).await, Some("/ok"), "test").await {
                Ok(()) => assert_eq!(words, ""),
                Err(error) => assert!(!words.is_empty() && error.to_string().contains(words), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn without_a_path_a_connection_will_do() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let endpoint = listener.local_addr().expect("bound").to_string();
        ask(&endpoint, None, "test").await.expect("somebody listens");
        drop(listener);
        let error = ask(&endpoint, None, "test").await.expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
