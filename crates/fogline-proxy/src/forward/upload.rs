//! The body of a request on its way to a replica: bounded and watched.
//!
//! Once the answer has begun, silence here cuts nothing: one side of a conversation may listen for as long as the other
//! speaks, and the answer is watched. Tests: `tests/it/front/{bodies,protocols}.rs`.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::headers;
use super::stall::Stall;

/// Why a body ended before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It is larger than the deployment takes.
    TooLarge,
    /// Nothing has come for too long.
    Stalled,
    /// The other end has gone, or broke the rules.
    Broken,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the body is larger than allowed",
            Self::Stalled => "nothing has moved on the body for too long",
            Self::Broken => "the body ended before its end",
        })
    }
}

impl std::error::Error for Cut {}

/// How far the body of a request is.
#[derive(Debug, Default)]
pub(super) struct Upload {
    pub cut: Cell<Option<Cut>>,
    pub bytes: Cell<u64>,
    /// Whether all of it has come.
    pub whole: Cell<bool>,
    /// Whether its answer is on its way.
    answering: Cell<bool>,
}

/// The body of a request on its way to a replica.
pub(crate) struct Outgoing(Option<Carried>);

struct Carried {
    body: Incoming,
    most: u64,
    stall: Stall,
    upload: Rc<Upload>,
}

impl Outgoing {
    pub const EMPTY: Self = Self(None);

    /// At most `most` bytes, and no pause longer than `idle`.
    pub(super) fn new(body: Incoming, most: u64, idle: Duration) -> (Self, Option<Rc<Upload>>) {
        if body.is_end_stream() {
            return (Self::EMPTY, None);
        }
        let upload = Rc::<Upload>::default();
        let carried = Carried { body, most, stall: Stall::new(idle), upload: Rc::clone(&upload) };
        (Self(Some(carried)), Some(upload))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(carried) = &mut self.0 else { return Poll::Ready(None) };
        let cut = |carried: &Carried, cut| {
            carried.upload.cut.set(Some(cut));
            Poll::Ready(Some(Err(cut)))
        };
        match Pin::new(&mut carried.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                carried.stall.moved();
                // Who knows that this is the last will not ask for more.
                carried.upload.whole.set(carried.body.is_end_stream());
                let bytes = carried.upload.bytes.get() + frame.data_ref().map_or(0, |data| data.len() as u64);
                carried.upload.bytes.set(bytes);
                if bytes > carried.most {
                    return cut(carried, Cut::TooLarge);
                }
                Poll::Ready(Some(Ok(headers::passed_on(frame))))
            }
            Poll::Ready(Some(Err(_))) => cut(carried, Cut::Broken),
            Poll::Ready(None) => {
                carried.upload.whole.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                while carried.stall.poll(cx).is_ready() {
                    if !carried.upload.answering.get() {
                        return cut(carried, Cut::Stalled);
                    }
                    carried.stall.moved();
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|carried| carried.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |carried| carried.body.size_hint())
    }
}

/// The body of the request that an answer answers. Dropping it ends the answer.
pub(super) struct Question {
    upload: Rc<Upload>,
    /// How far it was when that was last looked at.
    bytes: u64,
}

impl Question {
    pub fn new(upload: Rc<Upload>) -> Self {
        upload.answering.set(true);
        Self { bytes: upload.bytes.get(), upload }
    }

    /// Why it was cut, where it was.
    pub fn cut(&self) -> Option<Cut> {
        self.upload.cut.get()
    }

    /// Whether some of it has come since that was last asked.
    pub fn has_moved(&mut self) -> bool {
        let before = std::mem::replace(&mut self.bytes, self.upload.bytes.get());
        self.bytes != before
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.upload.answering.set(false);
    }
}
