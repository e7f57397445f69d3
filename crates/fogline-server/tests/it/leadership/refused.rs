//! Requests that are refused before their body has come: the answer reaches a client that reads it late, or never stops
//! sending.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::cluster::Ground;
use crate::rig::soon;

/// A client that does one thing after the other, as many do.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(server).await.expect("a connection")))
    }

    async fn send(&mut self, bytes: &[u8]) {
        soon("the sending", self.0.get_mut().write_all(bytes)).await.expect("the server reads");
    }

    /// The head of a request to deploy something.
    async fn begin(&mut self, token: &str, framing: &str) {
        let head = format!(
            "POST /api/v1/deployments HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n{framing}\r\n\r\n"
        );
        self.send(head.as_bytes()).await;
    }

    /// The status and the body of the next answer.
    async fn answer(&mut self) -> (u16, Value) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = soon("the head of an answer", self.0.read_line(&mut head)).await.expect("an answer");
            assert!(read > 0, "the connection ended after {head:?}");
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.expect("a length")];
        soon("the rest of an answer", self.0.read_exact(&mut body)).await.expect("the rest");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn refused(&mut self, status: u16, kind: &str) {
        let (answered, problem) = self.answer().await;
        assert_eq!((answered, &problem["type"]), (status, &Value::from(format!("/problems/{kind}"))), "{problem}");
    }

    /// Whether it can go on as if nothing had been.
    async fn goes_on(mut self) {
        self.send(b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(self.answer().await.0, 200);
    }
}

fn chunk(bytes: usize) -> Vec<u8> {
    [format!("{bytes:x}\r\n").as_bytes(), &vec![b'x'; bytes], b"\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_late_finds_the_answer_and_its_connection_whole() {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let token = leader.login().await;
    for server in [leader.http(), standby.http()] {
        // It says beforehand how large the body is.
        let mut client = Client::connect(server).await;
        client.begin(&token, "content-length: 2097152").await;
        client.refused(413, "too-large").await;
        client.send(&vec![b'x'; 2 << 20]).await;
        client.goes_on().await;

        // It turns out.
        let mut client = Client::connect(server).await;
        client.begin(&token, "transfer-encoding: chunked").await;
        client.send(&chunk((1 << 20) + 1)).await;
        client.refused(413, "too-large").await;
        client.send(&[chunk(1 << 20), b"0\r\n\r\n".to_vec()].concat()).await;
        client.goes_on().await;

        // The body is of no interest.
        let mut client = Client::connect(server).await;
        client.begin("nobody's", "content-length: 500000").await;
        client.refused(401, "not-authenticated").await;
        client.send(&vec![b'x'; 500_000]).await;
        client.goes_on().await;

        // It asks first, and is not told to go on.
        let mut client = Client::connect(server).await;
        client.begin(&token, "content-length: 2097152\r\nexpect: 100-continue").await;
        client.refused(413, "too-large").await;
        assert_eq!(soon("the end", client.0.read(&mut [0])).await.expect("no reset"), 0);
    }
    standby.end().await;
    leader.end().await;
}
