//! `GET /metrics`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::app::App;
use crate::http::extract::Caller;
use crate::http::problem::ApiError;
use crate::http::problem_docs::ReadProblems;
use crate::proxies::Detail;

/// The server's own figures, in the text format that Prometheus reads. Those of requests are the leader's to show: their
/// sums to everybody; to an administrator, who shows an access token, those of at most 1000 deployments and 2000 replicas
/// by id, and of all other deployments together.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "probes",
    responses((status = 200, description = "Figures", body = String, content_type = "text/plain"), ReadProblems),
    security(()),
)]
pub async fn handler(State(app): State<App>, caller: Option<Caller>) -> Result<Response, ApiError> {
    let is_admin = caller.is_some_and(|caller| caller.is_admin());
    let mut text = app.shared.telemetry.render();
    if let Some(term) = app.shared.leadership.term() {
        let detail = if is_admin { Detail::ByDeployment } else { Detail::Sums };
        text.push_str(&term.traffic.render(detail));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
