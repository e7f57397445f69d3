//! Scaling policies: their rows, and what the cluster remembers of them.

use std::collections::HashMap;

use fogline_api::http::{PolicyExecutor, PolicyResponse};
use fogline_core::Cluster;
use fogline_core::id::PolicyId;
use fogline_core::record::{PolicyRecord, ScalingTarget};
use fogline_core::scaling::policy::Mode;
use fogline_core::spec::FieldError;
use fogline_core::time::Timestamp;

use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// What is in no row of a policy's.
#[derive(Default)]
struct Remembered {
    paused_until: Option<Timestamp>,
    faults: Vec<FieldError>,
}

/// Policies, in the order of their rows.
///
/// # Errors
/// When the writer cannot be asked.
pub async fn policies(app: &Http, records: Vec<PolicyRecord>) -> ApiResult<Vec<PolicyResponse>> {
    let ids: Vec<(PolicyId, ScalingTarget)> = records.iter().map(|one| (one.id, one.target.clone())).collect();
    let view = app.shared.writer.view(move |cluster, now| {
        ids.into_iter().map(|(id, target)| (id, remembered(cluster, id, &target, now))).collect()
    });
    let mut known: HashMap<PolicyId, Remembered> = view.await?;
    Ok(records
        .into_iter()
        .map(|record| {
            let remembered = known.remove(&record.id).unwrap_or_default();
            shown(record, remembered)
        })
        .collect())
}

/// One policy.
///
/// # Errors
/// When the writer cannot be asked.
pub async fn policy(app: &Http, record: PolicyRecord) -> ApiResult<PolicyResponse> {
    let id = record.id;
    let shown = policies(app, vec![record]).await?.pop();
    shown.ok_or_else(|| ApiError::not_found("scaling policy", &id.to_string()))
}

fn remembered(cluster: &Cluster, id: PolicyId, target: &ScalingTarget, now: Timestamp) -> Remembered {
    Remembered {
        paused_until: cluster.scaling_state(target).and_then(|state| state.memory.paused(id, now)),
        faults: cluster.policy_faults(id).to_vec(),
    }
}

fn shown(record: PolicyRecord, remembered: Remembered) -> PolicyResponse {
    PolicyResponse {
        id: record.id,
        executor: executor(&record),
        paused_until: remembered.paused_until,
        faults: remembered.faults,
        spec: (*record.spec).clone(),
        user_id: record.user_id,
        version: record.version,
        resolved_target: record.target,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

fn executor(record: &PolicyRecord) -> PolicyExecutor {
    match &record.target {
        _ if record.spec.dry_run || record.spec.mode == Mode::Shadow => PolicyExecutor::Logging,
        ScalingTarget::Deployment(_) => PolicyExecutor::Deployment,
        ScalingTarget::Outside { .. } if record.spec.callback_url.is_some() => PolicyExecutor::Webhook,
        ScalingTarget::Outside { .. } => PolicyExecutor::None,
    }
}
