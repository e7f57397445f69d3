//! Deployments, each with its row of `deployment_resources`.

use fogline_core::cluster::Edits;
use fogline_core::id::DeploymentId;
use fogline_core::record::DeploymentRecord;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{self, Table};
use super::values::Values;
use super::{Stop, added, changed, swaps_rows};

const DEPLOYMENTS: Table = Table {
    name: "deployments",
    columns: &[
        "id",
        "name",
        "user_id",
        "container_image",
        "runtime",
        "status",
        "target_replicas",
        "revision",
        "history_seq",
        "spec",
        "created_at",
        "updated_at",
        "deleted_at",
    ],
};

/// One to one, so it goes by its deployment's id.
const RESOURCES: Table = Table {
    name: "deployment_resources",
    columns: &["id", "deployment_id", "cpu_cores", "memory_mb", "gpu_units", "storage_gb"],
};

fn values(deployment: &DeploymentRecord, to: &mut Values) {
    to.id(deployment.id);
    to.text(&deployment.spec.name);
    to.id(deployment.user_id);
    to.optional_text(deployment.spec.container_image.as_deref());
    to.text(deployment.spec.runtime().as_str());
    to.text(deployment.status.as_str());
    to.number(deployment.target_replicas);
    to.number(deployment.revision);
    to.number(deployment.history_seq);
    to.json(&*deployment.spec);
    to.time(deployment.created_at);
    to.time(deployment.updated_at);
    to.optional_time(deployment.deleted_at);
}

fn resource_values(deployment: &DeploymentRecord, to: &mut Values) {
    to.id(deployment.id);
    to.id(deployment.id);
    to.resources(deployment.spec.resources);
}

/// A deployment may be purged and made again in one batch.
pub(super) async fn free_names(
    db: &mut SqliteConnection,
    deployments: &Edits<DeploymentId, DeploymentRecord>,
) -> Result<(), Stop> {
    if !swaps_rows(deployments) {
        return Ok(());
    }
    let mark = "UPDATE deployments SET status = 'deleted', deleted_at = updated_at WHERE id = ?1";
    bulk::each(db, mark, deployments.removals()).await
}

pub(super) async fn write(
    db: &mut SqliteConnection,
    deployments: &Edits<DeploymentId, DeploymentRecord>,
) -> Result<(), Stop> {
    DEPLOYMENTS.update_all(db, &changed(deployments), |deployment, to| values(deployment, to)).await?;
    let resized = deployments.iter().filter_map(|(_, edit)| match (&edit.before, &edit.after) {
        (Some(before), Some(after)) => (before.spec.resources != after.spec.resources).then_some(after),
        _ => None,
    });
    let resized: Vec<_> = resized.collect();
    RESOURCES.update_all(db, &resized, |deployment, to| resource_values(deployment, to)).await?;

    let added = added(deployments);
    DEPLOYMENTS.insert(db, &added, |deployment, to| values(deployment, to)).await?;
    RESOURCES.insert(db, &added, |deployment, to| resource_values(deployment, to)).await
}

pub(super) async fn remove(
    db: &mut SqliteConnection,
    deployments: &Edits<DeploymentId, DeploymentRecord>,
) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM deployments WHERE id = ?1", deployments.removals()).await
}
