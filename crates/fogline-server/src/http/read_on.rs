//! Reads on, and drops, what is left of a body when its request is refused.
//!
//! Whoever closes a connection with bytes in it that nobody has read resets it, and a client that still sends finds an error
//! in place of its answer (RFC 9112, section 9.6). hyper closes once nobody has the body any more, so somebody has it here,
//! beside the answer. Must never hold what it reads, nor go on without end, nor ask for a body that a client keeps back
//! until it is asked (`Expect`). Tests: `tests/it/leadership/refused.rs`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// As long as a connection is kept on which no request is answered.
const READ_FOR: Duration = Duration::from_secs(10);
/// Whoever sends more may well be cut off.
const READ_BYTES: usize = 64 * 1024 * 1024;

/// The mark of a request that has it already.
#[derive(Clone, Copy)]
struct ReadsOn;

/// The request, whose body is read on when it is dropped before its end.
pub(super) fn read_on(mut request: Request) -> Request {
    // HTTP/2 ends a stream without ending its connection.
    let needs_none = request.version() >= Version::HTTP_2 || request.body().is_end_stream();
    if needs_none || request.extensions_mut().insert(ReadsOn).is_some() {
        return request;
    }
    let is_awaited = request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Whole { body, is_awaited, is_over: false }))
}

/// A body that does not end before its end.
struct Whole {
    body: Body,
    /// Its client waits to be asked for it.
    is_awaited: bool,
    is_over: bool,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_awaited = false;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.is_over |= matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.is_awaited || self.is_over || self.body.is_end_stream() {
            return;
        }
        let mut rest = Limited::new(std::mem::take(&mut self.body), READ_BYTES);
        // Where there is no runtime any more, there is no connection either.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(READ_FOR, async move { while let Some(Ok(_)) = rest.frame().await {} }));
        }
    }
}
