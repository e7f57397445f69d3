//! Sending a request to a replica, and to another one where that is safe.
//!
//! Where nothing was sent (no connection could be made, or it was closed before), any request may go elsewhere. Where the
//! connection ended after something was sent, only a request without a body that may be repeated by its method is sent
//! once more: the replica may have acted on it. Tests: `tests/it/front/retries.rs`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::spec::{TrafficSpec, UpstreamProtocol};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::body::AnswerBody;
use super::headers::{self, Asked};
use super::http1::{Failure, Lease};
use super::http2::Stream;
use super::passage::Passage;
use super::upload::{Cut, Outgoing, Upload};
use super::{Stop, answer, bytes_of, is_own_want, stop, ticket, upgrade};
use crate::serve::{Link, WINDOW_BYTES};
use crate::service::{Permit, Service, Upstream};

/// Further replicas that are tried where no connection could be made.
const MORE_CONNECTS: usize = 2;

/// A request on its way.
pub(super) struct Sending<'a> {
    pub link: &'a Rc<Link>,
    pub service: &'a Arc<Service>,
    pub traffic: &'a TrafficSpec,
    pub host: &'a HeaderValue,
    /// The path and query to ask for, where they are other than asked.
    pub strip: Option<String>,
    pub asked: Asked,
    pub upgraded: Option<OnUpgrade>,
    pub upload: Option<Rc<Upload>>,
}

/// The answer, and what it came over.
struct Answered {
    answer: Response<Incoming>,
    over: Over,
}

/// What a request is sent over, kept until the last of its answer.
enum Over {
    Http1(Lease),
    Http2(Stream),
}

enum Outcome {
    Answered(Box<Answered>),
    /// No byte was sent.
    NotSent(Box<Request<Outgoing>>),
    /// No byte was sent, and no replica is to blame for it.
    NoMeans,
    /// Something was sent, and no answer came.
    Broke {
        /// Whether the connection had been used before.
        reused: bool,
    },
    TimedOut,
}

impl Sending<'_> {
    pub async fn run(
        mut self,
        mut parts: Parts,
        body: Outgoing,
        passage: &mut Passage,
    ) -> Result<Response<AnswerBody>, Stop> {
        self.address(&mut parts)?;
        let mut again = (body.is_end_stream() && may_be_repeated(&parts.method)).then(|| parts.clone());
        let mut request = Request::from_parts(parts, body);
        let mut tried: Vec<u64> = Vec::new();
        let mut permit = self.admit(&request, &tried, passage).await?;
        let mut fresh = false;
        loop {
            let upstream = Arc::clone(permit.upstream());
            let outcome = self.send(&upstream, request, fresh).await;
            let mut blamed = true;
            let (next, why) = match outcome {
                Outcome::Answered(answered) => {
                    permit.answered(answered.answer.status().as_u16());
                    return self.answer(*answered, permit, passage);
                }
                Outcome::NotSent(request) => {
                    permit.could_not_connect();
                    ((tried.len() < MORE_CONNECTS).then_some(*request), "no connection to a replica could be made")
                }
                Outcome::NoMeans => {
                    permit.broke(false);
                    return Err(answer::no_means());
                }
                Outcome::Broke { reused } => {
                    if let Some(cut) = self.upload.as_ref().and_then(|upload| upload.cut.get()) {
                        return Err(self.cut(cut));
                    }
                    // A replica may close a connection that rests just when it is used again: that is no failure of its own.
                    blamed = !reused;
                    permit.broke(blamed);
                    // Another that rests may have been closed just so.
                    fresh = true;
                    let request = again.take().map(|parts| Request::from_parts(parts, Outgoing::EMPTY));
                    (request, "the replica closed the connection without an answer")
                }
                Outcome::TimedOut => {
                    let whole = self.upload.as_ref().is_none_or(|upload| upload.whole.get());
                    permit.broke(whole);
                    if !whole {
                        // Nobody answers what has not been asked.
                        return Err(stalled(self.traffic.timeout_s));
                    }
                    let detail = format!("the replica did not answer within {} s", self.traffic.timeout_s);
                    return Err(stop(StatusCode::GATEWAY_TIMEOUT, detail));
                }
            };
            let Some(next) = next else { return Err(stop(StatusCode::BAD_GATEWAY, why)) };
            if blamed {
                tried.push(upstream.key);
            }
            drop(permit);
            permit = match self.service.admit_another(ticket(passage), &tried) {
                Some(permit) => permit,
                // What was believed to be ready was not: it waits, as if it had never been let in.
                None if self.service.view().ready.is_empty() => self.admit(&next, &[], passage).await?,
                None => return Err(stop(StatusCode::BAD_GATEWAY, why)),
            };
            if let Some(draft) = &mut passage.draft {
                draft.entry.retries += 1;
            }
            request = next;
        }
    }

    async fn admit(&self, request: &Request<Outgoing>, tried: &[u64], passage: &mut Passage) -> Result<Permit, Stop> {
        let bytes = || {
            let body = request.body().size_hint().upper().unwrap_or(u64::MAX).min(WINDOW_BYTES.into());
            // What a client of a shared connection may send before anybody takes it.
            bytes_of(request.headers(), request.uri()) + if self.link.is_multiplexed() { body } else { 0 }
        };
        let admitted = self.service.admit(ticket(passage), tried, bytes).await;
        admitted.map_err(|refusal| Box::new(answer::refused(refusal)))
    }

    /// Addresses the request to the replica.
    fn address(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let bad = || stop(StatusCode::BAD_REQUEST, "the path of the request is none");
        let path = match self.strip.take() {
            Some(path) => Some(PathAndQuery::try_from(path).map_err(|_| bad())?),
            None => parts.uri.path_and_query().cloned(),
        };
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if self.traffic.protocol == UpstreamProtocol::H2 {
            let host = self.host.to_str().ok().filter(|host| !host.is_empty()).unwrap_or("localhost");
            let uri = Uri::builder().scheme("http").authority(host).path_and_query(path).build();
            parts.uri = uri.map_err(|_| bad())?;
            parts.version = Version::HTTP_2;
            parts.headers.remove(header::HOST);
            self.upgraded = None;
        } else {
            // Nothing is built anew for what is in this form already, as most requests are.
            if parts.uri.authority().is_some() || parts.uri.path_and_query() != Some(&path) {
                parts.uri = Uri::from(path);
            }
            parts.version = Version::HTTP_11;
            if !parts.headers.contains_key(header::HOST) {
                parts.headers.insert(header::HOST, self.host.clone());
            }
            headers::join_cookies(&mut parts.headers);
        }
        if let (Some(wanted), true) = (&self.asked.upgrade, self.upgraded.is_some()) {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(header::UPGRADE, wanted.clone());
        } else if self.asked.trailers {
            parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
            if self.traffic.protocol == UpstreamProtocol::Http1 {
                parts.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
            }
        }
        Ok(())
    }

    async fn send(&self, upstream: &Arc<Upstream>, mut request: Request<Outgoing>, mut fresh: bool) -> Outcome {
        let patience = Duration::from_secs(self.traffic.timeout_s.into());
        loop {
            let over = if self.traffic.protocol == UpstreamProtocol::H2 {
                self.link.worker.http2(upstream, fresh).await.map(Over::Http2)
            } else {
                self.link.worker.http1(upstream, fresh).await.map(Over::Http1)
            };
            let mut over = match over {
                Ok(over) => over,
                Err(error) if is_own_want(&error) => return Outcome::NoMeans,
                Err(_) => return Outcome::NotSent(Box::new(request)),
            };
            let (sent, reused) = match &mut over {
                Over::Http1(lease) => (lease.send(request, patience, self.upload.as_deref()).await, lease.reused),
                Over::Http2(stream) => (stream.send(request, patience, self.upload.as_deref()).await, stream.reused),
            };
            match sent {
                Ok(answer) => return Outcome::Answered(Box::new(Answered { answer, over })),
                // It had been closed since it was last used, which says nothing of the replica.
                Err(Failure::NotSent(unsent)) if reused => {
                    request = *unsent;
                    fresh = true;
                }
                Err(Failure::NotSent(unsent)) => return Outcome::NotSent(unsent),
                Err(Failure::Broke) => return Outcome::Broke { reused },
                Err(Failure::TimedOut) => return Outcome::TimedOut,
            }
        }
    }

    fn answer(self, answered: Answered, permit: Permit, passage: &mut Passage) -> Result<Response<AnswerBody>, Stop> {
        let Answered { answer, over } = answered;
        if let Some(draft) = &mut passage.draft {
            draft.entry.replica = Some(permit.upstream().replica_id);
        }
        let idle = Duration::from_secs(self.traffic.idle_timeout_s.into());
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(upgraded), Over::Http1(lease)) = (self.upgraded, over) else {
                return Err(stop(StatusCode::BAD_GATEWAY, "the replica went over to a protocol that nobody asked for"));
            };
            return Ok(upgrade::go_over(answer, upgraded, lease, permit, passage, idle, self.link));
        }
        let (mut parts, body) = answer.into_parts();
        headers::take_from_answer(&mut parts.headers);
        parts.version = Version::HTTP_11;
        passage.permit = Some(permit);
        let body = match over {
            Over::Http1(lease) => AnswerBody::http1(body, lease, idle),
            Over::Http2(stream) => AnswerBody::http2(body, stream, idle),
        };
        Ok(Response::from_parts(parts, body.answering(self.upload)))
    }

    fn cut(&self, cut: Cut) -> Stop {
        match cut {
            Cut::TooLarge => {
                let detail = format!("the body is larger than {} MB", self.traffic.max_body_mb);
                stop(StatusCode::PAYLOAD_TOO_LARGE, detail)
            }
            Cut::Stalled => stalled(self.traffic.idle_timeout_s),
            Cut::Broken => stop(StatusCode::BAD_REQUEST, "the body of the request broke off"),
        }
    }
}

fn stalled(seconds: u32) -> Stop {
    stop(StatusCode::REQUEST_TIMEOUT, format!("nothing of the body has come for {seconds} s"))
}

fn may_be_repeated(method: &Method) -> bool {
    method.is_idempotent()
}
