//! The body of an answer on its way out, carrying what ends with the request.
//!
//! While it comes, its own silence alone cuts nothing as long as the request's body moves: one side of a conversation may
//! listen for as long as the other speaks. Invariant: it holds the request's ticket and permit, so that they end when its
//! last byte is handed over, or when the client has gone. Tests: `tests/it/front/bodies.rs`.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::headers;
use super::http1::Lease;
use super::http2::Stream;
use super::passage::Passage;
use super::stall::Stall;
use super::upload::{Cut, Question, Upload};
use crate::serve::Taken;

/// The body of an answer on its way to a client.
pub(crate) struct AnswerBody {
    source: Source,
    question: Option<Question>,
    taken: Option<Taken>,
    passage: Option<Passage>,
}

enum Source {
    /// The proxy's own.
    Whole(Option<Bytes>),
    Http1 {
        body: Incoming,
        /// Given back after the body: a body that is not wanted to its end closes the connection.
        lease: Lease,
        stall: Stall,
    },
    Http2 {
        body: Incoming,
        stall: Stall,
        /// Its part of the connection.
        _stream: Stream,
    },
}

impl AnswerBody {
    pub fn whole(body: Bytes) -> Self {
        Self::of(Source::Whole((!body.is_empty()).then_some(body)))
    }

    fn of(source: Source) -> Self {
        Self { source, question: None, taken: None, passage: None }
    }

    pub(super) fn http1(body: Incoming, lease: Lease, idle: Duration) -> Self {
        Self::of(Source::Http1 { body, lease, stall: Stall::new(idle) })
    }

    pub(super) fn http2(body: Incoming, stream: Stream, idle: Duration) -> Self {
        Self::of(Source::Http2 { body, stall: Stall::new(idle), _stream: stream })
    }

    /// What it answers, where that had a body.
    pub(super) fn answering(self, upload: Option<Rc<Upload>>) -> Self {
        Self { question: upload.map(Question::new), ..self }
    }

    /// Ends what is in the passage with this body, and notes whether the client takes it.
    pub(super) fn carry(&mut self, passage: Passage, taken: Option<Taken>) {
        self.passage = Some(passage);
        self.taken = taken;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        if let Some(taken) = &this.taken {
            taken.asked();
        }
        let (polled, stall) = match &mut this.source {
            Source::Whole(bytes) => {
                let bytes = bytes.take();
                if let (Some(bytes), Some(passage)) = (&bytes, &mut this.passage) {
                    passage.sent(bytes.len());
                }
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Source::Http1 { body, lease, stall } => {
                let mut polled = Pin::new(&mut *body).poll_frame(cx);
                if polled.is_pending() {
                    // The connection has no task of its own: it moves when its body is asked for.
                    lease.drive(cx);
                    polled = Pin::new(body).poll_frame(cx);
                }
                (polled, stall)
            }
            Source::Http2 { body, stall, .. } => (Pin::new(body).poll_frame(cx), stall),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                stall.moved();
                if let (Some(data), Some(passage)) = (frame.data_ref(), &mut this.passage) {
                    passage.sent(data.len());
                }
                if let Some(taken) = &this.taken {
                    taken.handed_over();
                }
                Poll::Ready(Some(Ok(headers::passed_on(frame))))
            }
            Poll::Ready(Some(Err(_))) => {
                // Where the request's own body broke off, the replica is not to blame.
                let cut = this.question.as_ref().and_then(|question| question.cut());
                if let (Some(passage), None) = (&mut this.passage, cut) {
                    passage.broke();
                }
                Poll::Ready(Some(Err(Cut::Broken)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                while stall.poll(cx).is_ready() {
                    if !this.question.as_mut().is_some_and(Question::has_moved) {
                        return Poll::Ready(Some(Err(Cut::Stalled)));
                    }
                    stall.moved();
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Http1 { body, .. } | Source::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Http1 { body, .. } | Source::Http2 { body, .. } => body.size_hint(),
        }
    }
}
