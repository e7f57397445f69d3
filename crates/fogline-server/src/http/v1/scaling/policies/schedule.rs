//! `GET /api/v1/scaling/policies/{id}/schedule`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::ScheduleResponse;
use fogline_core::scaling::preview;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, PathId, visible_policy};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

const DEFAULT: u32 = 20;
const MOST: u32 = 1_000;

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Transitions, 1 to 1,000; 20 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    pub n: Option<u32>,
}

/// The next moments at which the policy's schedules do something, soonest first.
#[utoipa::path(
    get, path = "/api/v1/scaling/policies/{id}/schedule", operation_id = "previewSchedule", tag = "scaling",
    params(("id" = String, Path, description = "The policy's id, or the caller's own name for it"), Query),
    responses((status = 200, description = "The next transitions", body = ScheduleResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(query): Params<Query>,
) -> ApiResult<Json<ScheduleResponse>> {
    let count = query.n.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&count) {
        return Err(ApiError::field("n", format!("{count} is out of range"), format!("1 to {MOST}")));
    }
    let record = visible_policy(&app, &caller, &id).await?;
    let policy = super::checked(record.id, record.spec)?;
    let transitions = preview(&policy, app.shared.clock.now(), count as usize);
    Ok(Json(ScheduleResponse { policy_id: record.id, transitions }))
}
