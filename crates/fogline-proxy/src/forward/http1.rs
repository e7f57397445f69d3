//! Connections to replicas that speak HTTP/1.1.
//!
//! A connection has no task of its own: whoever sends a request on it drives it, and so does the body of the answer. That
//! spares two wake-ups a request. Invariant: a connection is given back to the pool only when it stands between two
//! requests; in all other cases it is closed. Tests: `tests/it/front/retries.rs`.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::upload::{Outgoing, Upload};
use crate::clock::micros;
use crate::serve::{Bell, Waits, Worker};
use crate::service::Upstream;

/// Heads of answers, all headers together.
const HEAD_BYTES: usize = 256 << 10;

/// A connection to a replica.
pub(crate) struct Http1 {
    sender: SendRequest<Outgoing>,
    connection: Connection<TokioIo<TcpStream>, Outgoing>,
    ended: bool,
    deadline: Rc<Deadline>,
    /// When it was put into the pool.
    pub idle_us: u64,
}

/// Until when an answer is waited for.
#[derive(Default)]
struct Deadline {
    /// 0 where none is waited for.
    ends_us: Cell<u64>,
    bell: Bell,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Not a byte was sent: here is the request.
    NotSent(Box<Request<Outgoing>>),
    /// The connection ended before the head of the answer came.
    Broke,
    /// The head of the answer did not come in time.
    TimedOut,
}

impl Http1 {
    /// A new connection of this worker's.
    pub async fn over(stream: TcpStream, worker: &Worker) -> hyper::Result<Self> {
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await?;
        let deadline = Rc::default();
        worker.rounds.add(&deadline);
        Ok(Self { sender, connection, ended: false, deadline, idle_us: 0 })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = self.connection.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Whether it stands between two requests and is open, as far as is known. Nobody is woken any more by what it does.
    pub fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

impl Deadline {
    fn begins(&self, now_us: u64, patience: Duration) {
        self.ends_us.set(now_us.saturating_add(micros(patience)));
        self.bell.hush();
    }

    fn over(&self) {
        self.ends_us.set(0);
    }
}

impl Waits for Deadline {
    fn is_due(&self, now_us: u64) -> bool {
        let ends_us = self.ends_us.get();
        ends_us != 0 && now_us >= ends_us
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// A connection in use. Dropping it gives it back, if it can be used again.
pub(crate) struct Lease {
    connection: Option<Box<Http1>>,
    upstream: Arc<Upstream>,
    worker: Rc<Worker>,
    /// Whether it has been used before.
    pub reused: bool,
}

impl Lease {
    pub fn new(connection: Box<Http1>, upstream: Arc<Upstream>, worker: Rc<Worker>, reused: bool) -> Self {
        Self { connection: Some(connection), upstream, worker, reused }
    }

    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            connection.drive(cx);
        }
    }

    /// Sends a request and waits for the head of its answer: for `patience`, or as long again after the last of its body.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
        patience: Duration,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, Failure> {
        let Some(http1) = self.connection.as_deref_mut() else { return Err(Failure::NotSent(Box::new(request))) };
        let mut answer = pin!(http1.sender.try_send_request(request));
        http1.deadline.begins(self.worker.coarse_us(), patience);
        let mut uploaded = 0;
        let waited = poll_fn(|cx| {
            http1.drive(cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            if http1.ended {
                return Poll::Ready(None);
            }
            if http1.deadline.bell.was_rung(cx) {
                let bytes = upload.map_or(0, |upload| upload.bytes.get());
                if bytes == uploaded {
                    return Poll::Ready(None);
                }
                // It is still being told what is asked of it.
                uploaded = bytes;
                http1.deadline.begins(self.worker.coarse_us(), patience);
            }
            Poll::Pending
        });
        let waited = waited.await;
        http1.deadline.over();
        let answer = match waited {
            Some(answer) => answer,
            None if http1.ended => {
                // One that ended between two requests keeps the next one in its hands, and answers it only when it is dropped.
                self.connection = None;
                answer.await
            }
            None => return Err(Failure::TimedOut),
        };
        answer.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::NotSent(Box::new(request)),
            None => Failure::Broke,
        })
    }

    /// The bare stream and what was read of it too far, once the replica has agreed to speak something else.
    pub(super) async fn into_stream(mut self) -> Option<(TcpStream, Bytes)> {
        let mut http1 = self.connection.take()?;
        poll_fn(|cx| {
            http1.drive(cx);
            if http1.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = http1.connection.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_usable()
        {
            self.worker.pool().put(&self.upstream, connection, self.worker.now_us(), self.worker.most_idle);
        }
    }
}
