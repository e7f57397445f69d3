//! One request from its head to its answer.
//!
//! Invariant: every request gets one answer, its replica's or a problem that says why not; a request whose body was begun
//! to be sent is never sent twice. Tests: `tests/it/front`.

mod answer;
mod attempt;
mod body;
mod forwarded;
mod headers;
mod http1;
mod http2;
mod log;
mod network;
mod passage;
mod pool;
mod relay;
mod stall;
mod target;
mod upgrade;
mod upload;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::spec::TrafficSpec;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};

use crate::router::{NoRoute, normalised, stripped};
use crate::serve::Link;
use crate::service::{Service, Ticket};
use attempt::Sending;
use log::Draft;
use passage::Passage;
use upload::Outgoing;

pub(crate) use body::AnswerBody;
pub(crate) use forwarded::Client;
pub use network::Network;
pub(crate) use pool::{Pool, connect, is_own_want};
pub(crate) use relay::{Moved, relay};

/// An answer in the replica's place, boxed because it is rare and large.
type Stop = Box<Response<AnswerBody>>;

/// Answers one request.
pub(crate) async fn handle(link: Rc<Link>, request: Request<Incoming>) -> Response<AnswerBody> {
    let draft = link.door().log.as_ref().map(|log| {
        let client = link.client.address(request.headers(), &link.door().trusted_proxies);
        Draft::new(log, link.door().front.clock(), &request, client, link.client.tls)
    });
    let mut passage = Passage::new(link.begin(), draft);
    let mut answer = pass(&link, request, &mut passage).await.unwrap_or_else(|stop| *stop);
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        passage.answered(answer.status());
        let taken = link.answers(passage.most_blocked);
        answer.body_mut().carry(passage, taken);
    }
    answer
}

fn stop(status: StatusCode, detail: impl Into<String>) -> Stop {
    Box::new(answer::problem(status, detail))
}

async fn pass(
    link: &Rc<Link>,
    mut request: Request<Incoming>,
    passage: &mut Passage,
) -> Result<Response<AnswerBody>, Stop> {
    let host = target::host_of(&request).map_err(|(status, detail)| {
        let mut refusal = stop(status, detail);
        if request.version() < Version::HTTP_2 {
            // Who frames or addresses one request in two ways is not read on.
            refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        refusal
    })?;
    let (service, strip) = route(link, &request, &host, passage)?;
    let (traffic, serving, asleep) = {
        let view = service.view();
        (Arc::clone(&view.told.traffic), view.told.serving, view.told.asleep && view.ready.is_empty())
    };
    let most = u64::from(traffic.max_body_mb) << 20;
    let ticket = passage.ticket.insert(service.begin(is_counted(&traffic, &request)));
    if request.body().size_hint().lower() > most {
        return Err(stop(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MB", traffic.max_body_mb)));
    }
    if asleep
        && serving
        && ticket.counted()
        && let Some(spec) = &traffic.hold.placeholder
        && answer::is_browser(request.method(), request.headers())
    {
        service.wake_for_another();
        return Err(Box::new(answer::placeholder(spec)));
    }
    let asked = headers::take_from_request(request.headers_mut());
    let upgraded = asked.upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    link.client.tell(request.headers_mut(), &host, &link.door().trusted_proxies);
    let idle = Duration::from_secs(traffic.idle_timeout_s.into());
    passage.most_blocked = Some(idle);
    let (parts, incoming) = request.into_parts();
    let (body, upload) = Outgoing::new(incoming, most, idle);
    if let Some(draft) = &mut passage.draft {
        draft.upload.clone_from(&upload);
    }
    let sending = Sending { link, service: &service, traffic: &traffic, host: &host, strip, asked, upgraded, upload };
    sending.run(parts, body, passage).await
}

fn route(
    link: &Link,
    request: &Request<Incoming>,
    host: &HeaderValue,
    passage: &mut Passage,
) -> Result<(Arc<Service>, Option<String>), Stop> {
    let bad = || stop(StatusCode::BAD_REQUEST, "the host that the request names is none");
    let name = host.to_str().map_err(|_| bad())?;
    // Only an old client names none; it gets to what takes any host.
    let name = if name.is_empty() { "".into() } else { normalised(name).ok_or_else(bad)? };
    let uri = request.uri();
    let path = uri.path();
    if let Some(draft) = &mut passage.draft {
        draft.entry.host = name.clone().into_owned();
    }
    let table = link.door().front.table();
    match table.router.find(&name, path) {
        Ok(found) => {
            let whole = uri.path_and_query().map_or(path, |path_and_query| path_and_query.as_str());
            let strip = found.strip.map(|prefix| stripped(whole, prefix));
            if let Some(draft) = &mut passage.draft {
                draft.entry.deployment = Some(Arc::clone(&found.target.view().told.name));
            }
            Ok((Arc::clone(found.target), strip))
        }
        Err(_) if !table.told => Err(Box::new(answer::no_table())),
        Err(NoRoute::Unknown) => Err(stop(StatusCode::NOT_FOUND, "nothing is served under this host and path")),
        Err(NoRoute::Ambiguous) => {
            let detail = "the path can be read in two ways that lead to different places: send it without dot segments, \
                          doubled slashes and needless percent-encoding";
            Err(stop(StatusCode::BAD_REQUEST, detail))
        }
    }
}

fn is_counted(traffic: &TrafficSpec, request: &Request<Incoming>) -> bool {
    if traffic.not_counted.is_empty() {
        return true;
    }
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    !traffic.not_counted.iter().any(|rule| {
        rule.path.as_deref().is_some_and(|path| path == request.uri().path())
            || rule.user_agent.as_deref().is_some_and(|beginning| agent.starts_with(beginning))
    })
}

/// About how many bytes a head takes while it waits.
fn bytes_of(headers: &HeaderMap, uri: &hyper::Uri) -> u64 {
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    (headers + uri.path().len() + uri.query().map_or(0, str::len)) as u64
}

/// The ticket of a request that has been routed.
fn ticket(passage: &mut Passage) -> &mut Ticket {
    passage.ticket.as_mut().expect("a request is given its ticket before it is sent anywhere")
}
