//! `GET /api/v1/events`: changes as they happen, as server-sent events.
//!
//! A watcher holds a position in the feed of this term and nothing else. Invariant: what a watcher may not see in a list,
//! they are not told of here; each `id` is a revision up to which everything has been sent, so that a client that comes back
//! with it misses nothing. Tests: below, and `tests/it/http/events.rs`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fogline_api::http::{EventResponse, Problem, ProblemKind};
use futures_util::FutureExt;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::watch::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::events::{Lost, Position};
use crate::http::app::App;
use crate::http::extract::{Caller, Params};
use crate::http::problem::{ApiError, ApiResult, shown};
use crate::http::problem_docs::ReadProblems;
use crate::http::turns::Turn;
use crate::http_listener::Closing;
use crate::leadership::Term;

/// The header of a browser that comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The last `id` that was received: what came after it is sent first. From now on when nothing is said.
    pub since: Option<u64>,
}

/// Changes as they happen. Open it first, then read the lists, then apply what comes: nothing is missed, and what comes twice
/// says the same. The stream ends when the server stops or leads no more, when the login is over, and when it is read too
/// slowly; go on with the last `id`.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "watchEvents", tag = "events",
    params(
        Query,
        ("Last-Event-ID" = Option<u64>, Header, description = "As `since`, and goes before it: browsers send it"),
    ),
    responses(
        (
            status = 200,
            description = "Server-sent events; the `data` of each is one change. A sign of life comes every 15 s",
            body = EventResponse, content_type = "text/event-stream"
        ),
        (
            status = 410,
            description = "What came after `since` is not kept any more: read the lists again",
            body = Problem, content_type = "application/problem+json"
        ),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
    headers: HeaderMap,
    closing: Option<Extension<Closing>>,
) -> ApiResult<Response> {
    let since = last_event_id(&headers)?.or(query.since);
    let term = app.term()?;
    let turn = app.watchers.take(caller.user.id)?;
    let news = term.feed.news();
    let position = term.feed.position(since).map_err(|lost| gone(since, lost))?;
    let mut heartbeat = interval(app.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where nobody says when this server stops, it does not.
    let closing = closing.map_or_else(CancellationToken::new, |Extension(Closing(token))| token);
    let watch = Watch { app: Arc::clone(&app), caller, term, position, news, heartbeat, closing, _turn: turn };
    let body = ResponseBody::from_stream(unfold(watch, |mut watch| async {
        let piece = watch.next().await?;
        Some((Ok::<_, Infallible>(piece), watch))
    }));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// Somebody who watches.
struct Watch {
    app: App,
    caller: Caller,
    term: Arc<Term>,
    position: Position,
    news: Receiver<u64>,
    heartbeat: Interval,
    closing: CancellationToken,
    _turn: Turn,
}

impl Watch {
    /// What to send next, as soon as there is something; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Whoever is slow to read, or was frozen, may come here long after the end.
            if self.closing.is_cancelled() || !self.term.mandate.holds() {
                return None;
            }
            // The first is due at once: the client hears where it is.
            if self.heartbeat.tick().now_or_never().is_some() {
                return self.sign_of_life().await;
            }
            self.news.mark_unchanged();
            let chunk = self.term.feed.read(&mut self.position, self.caller.sees()).ok()?;
            if !chunk.events.is_empty() {
                return Some(text(&chunk.events, self.position.revision));
            }
            if !chunk.caught_up {
                continue;
            }
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = self.term.mandate.over() => return None,
                _ = self.heartbeat.tick() => return self.sign_of_life().await,
                changed = self.news.changed() => changed.ok()?,
            }
        }
    }

    /// A comment, and where the client is by now. None when the caller may not see any more what they saw.
    async fn sign_of_life(&self) -> Option<Bytes> {
        if !self.caller.is_still_logged_in(&self.app).await {
            return None;
        }
        Some(format!(":\nid: {}\n\n", self.position.revision).into())
    }
}

/// Changes as events, and up to where everything is sent with them. An `id` alone is no event for a browser.
fn text(events: &[EventResponse], revision: u64) -> Bytes {
    let mut text = String::new();
    for event in events {
        let data = serde_json::to_string(event).expect("wire types have text keys and cannot fail to serialise");
        text.push_str("data: ");
        text.push_str(&data);
        text.push_str("\n\n");
    }
    text.push_str(&format!("id: {revision}\n\n"));
    text.into()
}

fn last_event_id(headers: &HeaderMap) -> ApiResult<Option<u64>> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|id| id.parse().ok());
    let not_one = || {
        let sent = shown(&String::from_utf8_lossy(value.as_bytes()));
        ApiError::field("Last-Event-ID", format!("{sent:?} is no id of an event"), "the last `id` that was received")
    };
    id.map(Some).ok_or_else(not_one)
}

fn gone(since: Option<u64>, Lost { floor, latest }: Lost) -> ApiError {
    let since = since.map_or_else(String::new, |since| format!(" {since}"));
    let detail = format!(
        "changes after revision{since} cannot be told: this server knows those after {floor}, up to {latest}. Watch from now \
         on, without `since`, then read the lists again"
    );
    ApiError::new(ProblemKind::EventsGone, detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use fogline_core::command::{self, Command, Outcome};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::auth::RefreshToken;
    use crate::http::app::Http;
    use crate::{ServerConfig, start};

    async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("{what} did not come"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_watch_lives_as_long_as_the_login() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = ServerConfig::new(directory.path().join("data"));
        config.listen = ([127, 0, 0, 1], 0).into();
        config.agent_listen = ([127, 0, 0, 1], 0).into();
        let stop = CancellationToken::new();
        let running = start(config, stop.clone()).await.expect("it starts");
        let mut http = Http::new(Arc::clone(running.shared()));
        http.heartbeat = Duration::from_millis(20);
        let app = App::new(http);
        let now = app.shared.clock.now();
        let admin = app.shared.writer.view(|cluster, _| cluster.user_named("admin").map(|user| user.id));
        let user_id = admin.await.expect("a look").expect("there is one");
        let open = Command::OpenSession {
            user_id,
            refresh_hash: RefreshToken::generate().hash(),
            expires_at: now.plus(Duration::from_secs(3_600)),
        };
        let opened = app.shared.writer.submit(command::Request::system(open)).await.expect("accepted");
        let Outcome::SessionOpened { session_id } = opened.outcome else { panic!("{opened:?}") };
        let token = app.tokens.issue(user_id, session_id, now).expect("a token");

        let router = Router::new().route("/", get(handler)).with_state(Arc::clone(&app));
        let request = Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}"));
        let response = router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut body = response.into_body();
        for _ in 0..3 {
            let frame = soon("a sign of life", body.frame()).await.expect("more").expect("whole");
            let text = String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text");
            assert_eq!(text, format!(":\nid: {}\n\n", app.shared.writer.revision()));
        }
        let revoke = command::Request::system(Command::RevokeSession { session_id });
        app.shared.writer.submit(revoke).await.expect("accepted");
        soon("the end", async { while body.frame().await.is_some() {} }).await;
        drop((body, app));
        stop.cancel();
        running.wait().await.expect("it stops");
    }
}
