//! Around every request: its id, its time limit, its place among those in flight, panics, figures, security headers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fogline_api::http::ProblemKind;
use fogline_api::protocol::MAX_EXEC_TIME;
use fogline_core::id::UserId;
use futures_util::FutureExt;
use tracing::Instrument;

use super::app::App;
use super::forward;
use super::problem::{ApiError, Refused, render};
use crate::auth::{hex, random_bytes};

/// How long an answer may take to begin. Longer than any commit that still helps its caller.
const TIMEOUT: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing that the API answers is a page.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page to try the API is served whole from here.
const DOCS_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// Who a request turns out to come from, for the layer that sees what becomes of it.
#[derive(Clone, Default, Debug)]
pub(super) struct Identified(Arc<OnceLock<UserId>>);

impl Identified {
    /// Remembers the user.
    pub(super) fn set(&self, user: UserId) {
        // A request has one caller, however often it is asked for.
        let _ = self.0.set(user);
    }

    fn get(&self) -> Option<&UserId> {
        self.0.get()
    }
}

/// The outermost layer.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let docs = request.uri().path().starts_with("/docs");
    let span = tracing::info_span!("request", %id, %method, path = %request.uri().path());
    let started = app.shared.clock.now();
    let identified = Identified::default();
    request.extensions_mut().insert(identified.clone());
    request.extensions_mut().insert(Arc::clone(&app));
    forward::note_origin(&app, &mut request);
    // Where it is passed on, it goes by the same name there.
    if let Ok(id) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, id);
    }

    let mut response = answer(&app, request, next).instrument(span.clone()).await;
    if let Some(Refused { mut problem, audited }) = response.extensions_mut().remove::<Refused>() {
        if let Some(user) = identified.get().filter(|_| audited && changes(&method)) {
            app.refusals.count(*user, app.shared.clock.now());
        }
        problem.request_id = Some(id.clone());
        let headers = std::mem::take(response.headers_mut());
        response = render(&problem);
        for (name, value) in &headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        // The length of the body without the id.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }

    let status = response.status();
    let took = app.shared.clock.now().since(started);
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), took_us = took.as_micros(), "answered");
        } else {
            tracing::debug!(status = status.as_u16(), took_us = took.as_micros(), "answered");
        }
    });
    measure(&app, &method, route.as_ref().map_or("unmatched", MatchedPath::as_str), status, took);
    harden(response.headers_mut(), docs);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Whether a request wants to change something, as far as its method tells.
pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn answer(app: &App, request: Request, next: Next) -> Response {
    let Ok(_place) = app.in_flight.try_acquire() else {
        let detail = "the server answers as many requests as it takes on at once: try again in a second";
        return ApiError::new(ProblemKind::Busy, detail).retry_after_s(1).into_response();
    };
    let changes = changes(request.method());
    // A command in a replica has a deadline of its own, which the caller has chosen.
    let timeout = if request.uri().path().ends_with("/exec") { TIMEOUT + MAX_EXEC_TIME } else { TIMEOUT };
    let whole = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(timeout, whole).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            ApiError::internal("a panic", &text).into_response()
        }
        Err(_) if changes => {
            let detail =
                "no answer within 30 s; the change may still be made: look, or repeat it with its Idempotency-Key";
            ApiError::new(ProblemKind::TimedOut, detail).into_response()
        }
        Err(_) => ApiError::new(ProblemKind::TimedOut, "no answer within 30 s").into_response(),
    }
}

/// The caller's own id where it can be written to a log without harm, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(plain).map_or_else(|| hex(&random_bytes::<8>()), ToOwned::to_owned)
}

fn measure(app: &App, method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let (route, status) = (route.to_owned(), status.as_u16().to_string());
    app.shared.telemetry.record(|| {
        metrics::counter!("fogline_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
            .increment(1);
        metrics::histogram!("fogline_http_request_seconds", "method" => method, "route" => route).record(took.as_secs_f64());
    });
}

fn harden(headers: &mut HeaderMap, docs: bool) {
    let policy = if docs { DOCS_POLICY } else { API_POLICY };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use crate::http::app::{Http, MAX_IN_FLIGHT};
    use crate::{ServerConfig, start};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_a_problem_that_tells_nothing_and_the_next_request_is_answered() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = ServerConfig::new(directory.path().join("data"));
        config.listen = ([127, 0, 0, 1], 0).into();
        config.agent_listen = ([127, 0, 0, 1], 0).into();
        let stop = CancellationToken::new();
        let running = start(config, stop.clone()).await.expect("it starts");
        let app = App::new(Http::new(Arc::clone(running.shared())));
        async fn broken() -> &'static str {
            panic!("the canary of the inside")
        }
        let router = Router::new()
            .route("/broken", get(broken))
            .route("/whole", get(|| async { "fine" }))
            .layer(from_fn_with_state(app.clone(), guard))
            .with_state(app.clone());
        for _ in 0..3 {
            let request = Request::get("/broken").body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            let problem: fogline_api::http::Problem = serde_json::from_slice(&body).expect("a problem");
            assert_eq!(problem.known_kind(), Some(ProblemKind::Internal));
            assert!(!problem.detail.contains("canary") && problem.request_id.is_some(), "{problem:?}");
        }
        let request = Request::get("/whole").body(Body::empty()).expect("a request");
        assert_eq!(router.clone().oneshot(request).await.expect("an answer").status(), StatusCode::OK);

        // Every place is taken: the next one is told to come back, and is let in when a place is free.
        let places = app.in_flight.acquire_many(u32::try_from(MAX_IN_FLIGHT).expect("few")).await.expect("all of them");
        let request = || Request::get("/whole").body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        drop(places);
        assert_eq!(router.oneshot(request()).await.expect("an answer").status(), StatusCode::OK);
        stop.cancel();
        drop(app);
        running.wait().await.expect("it stops");
    }

    #[test]
    fn only_a_plain_id_of_the_callers_is_kept() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("a header"));
            request_id(&headers)
        };
        assert_eq!(of("trace-1.a_B"), "trace-1.a_B");
        for id in ["", "two words", "a\"b", &"x".repeat(65)] {
            assert_eq!(of(id).len(), 16, "{id}");
        }
    }
}
