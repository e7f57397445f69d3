//! `POST /api/v1/deployments/explain`: what if. Changes nothing.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{ExplainResponse, ProblemKind};
use fogline_core::id::{DeploymentId, IdSource};
use fogline_core::placement::{self, Siblings};
use fogline_core::spec::DeploymentSpec;

use crate::http::app::App;
use crate::http::extract::{Body, Caller};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// Whether a spec would find its places now, and where. Nothing is created and nothing is reserved.
#[utoipa::path(
    post, path = "/api/v1/deployments/explain", operation_id = "explainSpec", tag = "deployments",
    request_body = DeploymentSpec,
    responses((status = 200, description = "The explanation", body = ExplainResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    _: Caller,
    Body { value: spec, .. }: Body<DeploymentSpec>,
) -> ApiResult<Json<ExplainResponse>> {
    spec.validate().map_err(|errors| ApiError::fields(ProblemKind::InvalidRequest, errors))?;
    let _place = app.place_to_explain()?;
    let placement = app
        .shared
        .writer
        .view(move |cluster, now| {
            // Stands for the id that a deployment would get; ties between nodes may fall otherwise then.
            let id: DeploymentId = IdSource::new(0).next(now);
            let demand = cluster.demand(id, &spec);
            let age = cluster.settings().load_max_age;
            placement::explain(cluster.nodes(), &demand, &Siblings::default(), spec.replicas, now, age)
        })
        .await?;
    let fits = placement.found >= placement.needed;
    let message = placement.summary();
    Ok(Json(ExplainResponse { deployment_id: None, status: None, fits, message, placement, replicas: Vec::new() }))
}
