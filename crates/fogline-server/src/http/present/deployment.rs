//! Deployments, and how far they are true.

use std::collections::HashMap;

use fogline_api::http::{DeploymentHealth, DeploymentResponse, DeploymentSummary, HealthSummary};
use fogline_core::id::DeploymentId;
use fogline_core::record::{DeploymentRecord, ReplicaRecord};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};

use super::replica::ready;
use crate::http::app::Http;
use crate::http::problem::ApiResult;

/// The replicas of a deployment that are not gone, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn live_replicas(app: &Http, record: &DeploymentRecord) -> ApiResult<Vec<ReplicaRecord>> {
    Ok(app.shared.store.live_replicas(&[record.id]).await?)
}

/// How far what runs is what was asked for.
#[must_use]
pub fn health_of(app: &Http, record: &DeploymentRecord, replicas: &[ReplicaRecord]) -> DeploymentHealth {
    let count = |wanted: &dyn Fn(&ReplicaRecord) -> bool| {
        u32::try_from(replicas.iter().filter(|replica| wanted(replica)).count()).unwrap_or(u32::MAX)
    };
    let ready = count(&|replica| ready(app, replica));
    DeploymentHealth {
        summary: summary_of(record.status, record.target_replicas, ready),
        target: record.target_replicas,
        ready,
        running: count(&|replica| replica.status == ReplicaStatus::Running),
        starting: count(&|replica| matches!(replica.status, ReplicaStatus::Pending | ReplicaStatus::Starting)),
        stopping: count(&|replica| replica.status == ReplicaStatus::Stopping),
        restarts: replicas.iter().map(|replica| replica.restarts).fold(0, u32::saturating_add),
    }
}

fn summary_of(status: DeploymentStatus, target: u32, ready: u32) -> HealthSummary {
    if !status.wants_replicas() {
        HealthSummary::Inactive
    } else if ready >= target {
        HealthSummary::Healthy
    } else if ready > 0 {
        HealthSummary::Degraded
    } else {
        HealthSummary::Unhealthy
    }
}

/// Why a deployment that does not run is where it is: the last line of its history. Of one that runs there is nothing
/// to say.
///
/// # Errors
/// When the database fails.
pub async fn last_reason(app: &Http, record: &DeploymentRecord) -> ApiResult<Option<String>> {
    if record.status.wants_replicas() {
        return Ok(None);
    }
    Ok(app.shared.store.last_history(record.id).await?.map(|line| line.reason.into_owned()))
}

/// The whole of a deployment.
///
/// # Errors
/// When the database fails.
pub async fn detail(app: &Http, record: DeploymentRecord) -> ApiResult<DeploymentResponse> {
    let replicas = live_replicas(app, &record).await?;
    let health = health_of(app, &record, &replicas);
    // Processes have no image.
    let image_digest = match record.spec.container_image {
        Some(_) => app.shared.store.revision(record.id, record.revision).await?.and_then(|row| row.image_digest),
        None => None,
    };
    Ok(DeploymentResponse {
        image_digest,
        reason: last_reason(app, &record).await?,
        health,
        id: record.id,
        name: record.spec.name.clone(),
        user_id: record.user_id,
        status: record.status,
        target_replicas: record.target_replicas,
        revision: record.revision,
        spec: (*record.spec).clone(),
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// The lines of a list, in its order.
///
/// # Errors
/// When the database fails.
pub async fn summaries(app: &Http, records: Vec<DeploymentRecord>) -> ApiResult<Vec<DeploymentSummary>> {
    // A stopped or failed one may still have replicas on their way out; those of a deleted one are not worth the read.
    let shown = records.iter().filter(|record| record.status != DeploymentStatus::Deleted);
    let ids: Vec<_> = shown.map(|record| record.id).collect();
    let mut replicas: HashMap<DeploymentId, Vec<ReplicaRecord>> = HashMap::new();
    for replica in app.shared.store.live_replicas(&ids).await? {
        replicas.entry(replica.deployment_id).or_default().push(replica);
    }
    let of = |record: &DeploymentRecord| replicas.get(&record.id).map_or(&[][..], Vec::as_slice);
    Ok(records.iter().map(|record| summary(record, health_of(app, record, of(record)))).collect())
}

fn summary(record: &DeploymentRecord, health: DeploymentHealth) -> DeploymentSummary {
    DeploymentSummary {
        health,
        id: record.id,
        name: record.spec.name.clone(),
        kind: record.spec.kind.clone(),
        user_id: record.user_id,
        status: record.status,
        runtime: record.spec.runtime(),
        container_image: record.spec.container_image.clone(),
        resources: record.spec.resources,
        target_replicas: record.target_replicas,
        revision: record.revision,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_about_what_was_asked_for() {
        use DeploymentStatus::{Failed, Pending, Running, Scheduled, Stopped};
        for (status, target, ready, expected) in [
            (Running, 3, 3, HealthSummary::Healthy),
            (Running, 3, 4, HealthSummary::Healthy),
            (Running, 3, 1, HealthSummary::Degraded),
            (Running, 3, 0, HealthSummary::Unhealthy),
            (Scheduled, 3, 0, HealthSummary::Unhealthy),
            (Pending, 3, 0, HealthSummary::Inactive),
            (Stopped, 3, 3, HealthSummary::Inactive),
            (Failed, 3, 0, HealthSummary::Inactive),
        ] {
            assert_eq!(summary_of(status, target, ready), expected, "{status} {ready}/{target}");
        }
    }
}
