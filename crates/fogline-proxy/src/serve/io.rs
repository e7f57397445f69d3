//! A client's stream, watched: since when it is in the middle of a head, and since when it takes nothing.
//!
//! That is what tells a slow client from one that holds on to a connection. Noted in passing, so that no timer is touched on
//! the way of a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::{Clock, micros};
use crate::limits::Patience;

/// What is noted of a stream. Only its own worker writes it; it is atomic because hyper wants streams that may be sent.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Clock,
    patience: Patience,
    /// Requests in hand.
    pub open: AtomicU32,
    pub had_one: AtomicBool,
    /// Since when there is none in hand.
    resting_us: AtomicU64,
    /// When the first byte came since then; 0 where none has.
    head_us: AtomicU64,
    /// Since when the client takes nothing; 0 where it does.
    blocked_us: AtomicU64,
}

/// What to do with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// It rests for too long, some of it is not taken, or the proxy stops: it may end in good order.
    Rested,
    /// It takes too long in the middle of something.
    Lost,
}

impl Watch {
    pub fn new(clock: Clock, patience: Patience) -> Arc<Self> {
        let now_us = clock.now_us();
        Arc::new(Self {
            clock,
            patience,
            open: AtomicU32::new(0),
            had_one: AtomicBool::new(false),
            resting_us: AtomicU64::new(now_us),
            head_us: AtomicU64::new(0),
            blocked_us: AtomicU64::new(0),
        })
    }

    /// The last request in hand has ended.
    pub fn rests(&self) {
        self.head_us.store(0, Relaxed);
        self.resting_us.store(self.clock.coarse_us().max(1), Relaxed);
    }

    /// Whether the client takes too long. `multiplexed` connections speak between requests, so only rest counts.
    pub(super) fn verdict(&self, now_us: u64, multiplexed: bool, most_blocked_us: u64) -> Verdict {
        let (head_us, rest_us) = (micros(self.patience.head), micros(self.patience.rest));
        let longer = |since_us: u64, most_us: u64| since_us != 0 && now_us.saturating_sub(since_us) >= most_us;
        if longer(self.blocked_us.load(Relaxed), most_blocked_us) {
            return Verdict::Lost;
        }
        if self.open.load(Relaxed) > 0 {
            return Verdict::Fine;
        }
        let resting_us = self.resting_us.load(Relaxed);
        if !self.had_one.load(Relaxed) && longer(resting_us.max(1), head_us) {
            return Verdict::Lost;
        }
        if !multiplexed && longer(self.head_us.load(Relaxed), head_us) {
            return Verdict::Lost;
        }
        // One that is in the middle of a head, which came with the request before it, cannot end in good order.
        if longer(resting_us, rest_us.saturating_add(head_us)) {
            return Verdict::Lost;
        }
        if longer(resting_us, rest_us) { Verdict::Rested } else { Verdict::Fine }
    }

    fn read(&self) {
        if self.open.load(Relaxed) == 0 && self.head_us.load(Relaxed) == 0 {
            self.head_us.store(self.clock.coarse_us().max(1), Relaxed);
        }
    }

    fn blocked(&self) {
        if self.blocked_us.load(Relaxed) == 0 {
            self.blocked_us.store(self.clock.now_us().max(1), Relaxed);
        }
    }
}

/// A watched stream, with what has been read of it already.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    begun: Bytes,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, begun: Bytes, watch: Arc<Watch>) -> Self {
        Self { stream, begun, watch }
    }

    fn note_write<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() {
            self.watch.blocked();
        } else if self.watch.blocked_us.load(Relaxed) != 0 {
            self.watch.blocked_us.store(0, Relaxed);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let length = self.begun.len().min(buffer.remaining());
            buffer.put_slice(&self.begun[..length]);
            self.begun.advance(length);
            self.watch.read();
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.watch.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
