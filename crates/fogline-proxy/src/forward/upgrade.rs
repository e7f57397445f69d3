//! A request that goes over to another protocol, such as WebSocket: from then on bytes are passed on as they are.
//!
//! Invariant: it counts as open, and as a connection, until both ends have closed. Tests: `tests/it/front/protocols.rs`.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::body::AnswerBody;
use super::headers;
use super::http1::Lease;
use super::passage::Passage;
use super::relay::{Moved, relay};
use crate::serve::Link;
use crate::service::Permit;

/// The answer that goes over; a task passes bytes on from then, and ends what ends with the request.
pub(super) fn go_over(
    answer: Response<Incoming>,
    upgraded: OnUpgrade,
    lease: Lease,
    permit: Permit,
    passage: &mut Passage,
    idle: Duration,
    link: &Rc<Link>,
) -> Response<AnswerBody> {
    let (mut parts, _) = answer.into_parts();
    let protocol = parts.headers.get(header::UPGRADE).cloned();
    headers::take_from_answer(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        parts.headers.insert(header::UPGRADE, protocol);
    }
    let mut open = Passage::new(link.begin(), passage.draft.take());
    open.ticket = passage.ticket.take();
    open.permit = Some(permit);
    open.answered(StatusCode::SWITCHING_PROTOCOLS);
    let link = Rc::clone(link);
    let tracked = link.worker.connections.clone();
    tokio::task::spawn_local(tracked.track_future(async move {
        let moved = Moved::default();
        if let (Ok(client), Some((mut replica, early))) = (upgraded.await, lease.into_stream().await) {
            let mut client = TokioIo::new(client);
            if client.write_all(&early).await.is_ok() {
                moved.to_client.add(early.len());
                // However it ends, both ends are closed by that, and there is nobody else to tell.
                let _ = relay(&mut client, &mut replica, idle, &moved).await;
            }
        }
        if let Some(draft) = &mut open.draft {
            draft.entry.bytes_in += moved.from_client.get();
            draft.entry.bytes_out += moved.to_client.get();
        }
        drop(open);
        // The client's connection has ended only now.
        drop(link);
    }));
    Response::from_parts(parts, AnswerBody::whole(Bytes::new()))
}
