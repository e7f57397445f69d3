//! Connections to replicas that speak HTTP/2: many requests share one.
//!
//! Invariant: the windows of all requests of a connection fit into the connection's own. So a client that takes nothing of
//! its answer keeps nobody else on the same connection from theirs. Tests: `tests/it/front/protocols.rs`.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::http1::Failure;
use super::upload::{Outgoing, Upload};
use crate::serve::Local;

const HEAD_BYTES: u32 = 256 << 10;
/// Requests that share a connection; for more there is another one.
const MOST_STREAMS: u32 = 100;
/// Of one answer, what may have come before its client takes it.
const WINDOW_BYTES: u32 = 128 << 10;

/// A connection to a replica that many requests share.
pub(super) struct Http2 {
    sender: SendRequest<Outgoing>,
    streams: Rc<Cell<u32>>,
}

/// One request's part of a connection, until the last of its answer.
pub(crate) struct Stream {
    sender: SendRequest<Outgoing>,
    streams: Rc<Cell<u32>>,
    /// Whether the connection has been used before.
    pub reused: bool,
}

impl Http2 {
    /// A new connection, with a task that drives it.
    pub async fn over(stream: TcpStream) -> hyper::Result<Self> {
        let mut builder = http2::Builder::new(Local);
        builder.timer(TokioTimer::new()).max_header_list_size(HEAD_BYTES);
        builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(MOST_STREAMS * WINDOW_BYTES);
        builder.keep_alive_interval(Duration::from_secs(20)).keep_alive_timeout(Duration::from_secs(20));
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // Each of its requests is told itself.
            let _ = connection.await;
        });
        Ok(Self { sender, streams: Rc::default() })
    }

    /// Room for one more request, where there is any.
    pub fn stream(&self, reused: bool) -> Option<Stream> {
        let open = self.streams.get();
        if open >= MOST_STREAMS || self.is_closed() {
            return None;
        }
        self.streams.set(open + 1);
        Some(Stream { sender: self.sender.clone(), streams: Rc::clone(&self.streams), reused })
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether nothing is open on it.
    pub fn is_idle(&self) -> bool {
        self.streams.get() == 0
    }
}

impl Stream {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
        patience: Duration,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut uploaded = 0;
        loop {
            match tokio::time::timeout(patience, &mut answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(mut error)) => {
                    let unsent = error.take_message().map(|request| Failure::NotSent(Box::new(request)));
                    return Err(unsent.unwrap_or(Failure::Broke));
                }
                Err(_) => {
                    let bytes = upload.map_or(0, |upload| upload.bytes.get());
                    if bytes == uploaded {
                        return Err(Failure::TimedOut);
                    }
                    // It is still being told what is asked of it.
                    uploaded = bytes;
                }
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.set(self.streams.get().saturating_sub(1));
    }
}
