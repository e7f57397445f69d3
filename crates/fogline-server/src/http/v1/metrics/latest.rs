//! `GET /api/v1/metrics`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::MetricsResponse;
use fogline_core::scaling::decision::InputRecord;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, visible_target};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Of what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// `deployment:<id or name>`, `<target_type>:<target_id>` as one's own policy says, or a policy's `resolved_target`.
    pub target: String,
}

/// The last reading of each metric that was pushed for a target or that the system measures of it: source, value, age, or
/// why there is none. What a policy's own sources say is in its decisions.
#[utoipa::path(
    get, path = "/api/v1/metrics", operation_id = "getMetrics", tag = "scaling",
    params(Query),
    responses((status = 200, description = "The latest readings", body = MetricsResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> ApiResult<Json<MetricsResponse>> {
    let target = visible_target(&app, &caller, &query.target).await?;
    let (readings, at) = (app.scaler()?.latest(&target), app.shared.clock.now());
    let metrics = readings.iter().map(|(metric, reading)| InputRecord::of(metric, Some(reading), at)).collect();
    Ok(Json(MetricsResponse { target, at, metrics }))
}
