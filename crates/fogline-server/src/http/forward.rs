//! Passing a request on to the server that leads.
//!
//! Which endpoints only a leader answers is said in the route table ([`super::routes`]): each of those has [`by_leader`]
//! around it, which does nothing where this server leads. Bodies stream through both ways, so nothing of them is kept here
//! and a log that is followed for hours costs a socket. Must never send anything twice: what was sent and not answered may
//! have been done, and only the caller knows whether a repetition is safe. Invariant: one hop at most, so two servers that
//! take each other for the leader end in a clear refusal. Tests: `tests/it/leadership`.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fogline_api::http::ProblemKind;
use fogline_core::causes::chain;
use futures_util::StreamExt;
use http_body_util::{LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::app::App;
use super::guard::changes;
use super::problem::ApiError;
use super::read_on::read_on;
use crate::leadership::{Leader, Role};

/// Says that a request was passed on, by whom for whom.
const PASSED_ON: HeaderName = HeaderName::from_static("x-fogline-passed-on");

/// How long the leader may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection is kept without a request: less than the leader keeps it.
const IDLE: Duration = Duration::from_secs(5);
/// How soon the system asks whether the leader's end of a silent connection is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Headers of one connection, not of the request (RFC 9110, section 7.6.1), and those that are this server's to say.
const OF_ONE_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Connections to other servers.
pub(super) type PassOn = Client<HttpConnector, Body>;

/// None yet.
pub(super) fn connections() -> PassOn {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector.set_keepalive(Some(KEEP_ALIVE));
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector)
}

/// Around an endpoint that only a leader answers.
pub(super) async fn by_leader(request: Request, next: Next) -> Response {
    let Some(app) = request.extensions().get::<App>().cloned() else { return next.run(request).await };
    // Whoever refuses it, here or there, may do so before its body has come.
    let request = read_on(request);
    match app.shared.leadership.role() {
        Role::Leading(_) | Role::Stopping => next.run(request).await,
        Role::Standby { leader: None } => {
            no_leader("no server leads at the moment: try again in a second").into_response()
        }
        Role::Standby { leader: Some(_) } if request.headers().contains_key(PASSED_ON) => {
            // Whoever passed it on will soon know better.
            let detail = "this server does not lead, and the one that passed the request on took it for the leader: try \
                          again in a second";
            ApiError::new(ProblemKind::NotLeader, detail).retry_after_s(1).into_response()
        }
        Role::Standby { leader: Some(leader) } => {
            pass_on(&app, &leader, request).await.unwrap_or_else(IntoResponse::into_response)
        }
    }
}

/// Gives a request that another server passed on the address of its own client.
pub(super) fn note_origin(app: &App, request: &mut Request) {
    let Some(vouched) = request.headers().get(PASSED_ON).and_then(|value| value.to_str().ok()) else { return };
    let (method, path) = (request.method().as_str(), path_of(request.uri()));
    if let Some(Some(client)) = app.peers.client(vouched, method, path, app.shared.clock.now()) {
        request.extensions_mut().insert(ConnectInfo(client));
    }
}

async fn pass_on(app: &App, leader: &Arc<Leader>, request: Request) -> Result<Response, ApiError> {
    let most = app.shared.config.max_body_bytes;
    let too_large = || ApiError::new(ProblemKind::TooLarge, format!("the body is larger than {most} bytes: send less"));
    let told = request.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let changing = changes(request.method());
    let forwarded = forwarded(app, leader, request, most)?;
    let answer = tokio::select! {
        answer = app.pass_on.request(forwarded) => answer,
        // Frozen, or cut off: nothing will come of it any more, whatever it has done before.
        () = app.shared.leadership.left(leader) => {
            measure(app, "abandoned");
            return Err(unanswered(changing, "the leader did not answer, and does not lead any more"));
        }
    };
    match answer {
        Ok(mut response) => {
            measure(app, "answered");
            drop_hop_headers(response.headers_mut());
            // One that is followed has no end of its own, and a frozen leader would never send one.
            let (leadership, leader) = (app.shared.leadership.clone(), Arc::clone(leader));
            let left = async move { leadership.left(&leader).await };
            Ok(response.map(|body| Body::from_stream(Body::new(body).into_data_stream().take_until(Box::pin(left)))))
        }
        Err(error) if is_too_long(&error) => Err(too_large()),
        Err(error) => {
            tracing::warn!(leader = leader.http, error = %chain(&error), "a request could not be passed on to the leader");
            if error.is_connect() {
                measure(app, "unreachable");
                Err(no_leader("the leader cannot be reached: nothing was done, try again in a second"))
            } else {
                measure(app, "broken");
                Err(unanswered(changing, "the connection to the leader broke before it had answered"))
            }
        }
    }
}

/// The request as the leader gets it.
fn forwarded(app: &App, leader: &Leader, request: Request, most: usize) -> Result<Request<Body>, ApiError> {
    let (mut parts, body) = request.into_parts();
    let path = path_of(&parts.uri).to_owned();
    let uri: Uri = format!("http://{}{path}", leader.http).parse().map_err(|_| {
        tracing::error!(leader = leader.http, "the leader's advertised address cannot be called");
        no_leader("the leader advertises an address that cannot be called: `advertise` of its settings is wrong")
    })?;
    let client = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| *client);
    let vouched = app.peers.vouch(client, parts.method.as_str(), &path, app.shared.clock.now());
    drop_hop_headers(&mut parts.headers);
    parts.headers.insert(PASSED_ON, HeaderValue::from_str(&vouched).expect("digits and punctuation"));
    let mut forwarded = Request::new(Body::new(Limited::new(body, most)));
    *forwarded.method_mut() = parts.method;
    *forwarded.uri_mut() = uri;
    *forwarded.version_mut() = Version::HTTP_11;
    *forwarded.headers_mut() = parts.headers;
    Ok(forwarded)
}

fn path_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_HOP) {
        headers.remove(name);
    }
}

/// Nothing was done.
fn no_leader(detail: &str) -> ApiError {
    ApiError::new(ProblemKind::NoLeader, detail).retry_after_s(1)
}

/// It was sent, and nothing came back.
fn unanswered(changing: bool, why: &str) -> ApiError {
    if !changing {
        return no_leader(&format!("{why}: try again in a second"));
    }
    let detail =
        format!("{why}: whether the change was made is not known; look, or repeat it with the same Idempotency-Key");
    ApiError::new(ProblemKind::OutcomeUnknown, detail).retry_after_s(1)
}

/// Whether it was this server that cut the body off.
fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn measure(app: &App, outcome: &'static str) {
    app.shared.telemetry.record(|| metrics::counter!("fogline_passed_on_total", "outcome" => outcome).increment(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_hop_stays_on_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-own"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("host", "a.example"),
            ("te", "trailers"),
            ("authorization", "Bearer x"),
            ("idempotency-key", "k"),
            ("content-length", "3"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        drop_hop_headers(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "content-length", "idempotency-key"]);
    }

    #[test]
    fn only_a_change_may_have_been_made() {
        assert_eq!(unanswered(true, "x").problem().known_kind(), Some(ProblemKind::OutcomeUnknown));
        assert_eq!(unanswered(false, "x").problem().known_kind(), Some(ProblemKind::NoLeader));
        for error in [unanswered(true, "x"), unanswered(false, "x"), no_leader("x")] {
            assert_eq!((error.problem().status, error.problem().retry_after_s), (503, Some(1)));
        }
    }
}
