//! What a batch does to each table. Which columns a row has is in `crate::table`.

use std::hash::Hash;

use fogline_core::cluster::{Changes, Edits};
use sqlx::sqlite::SqliteConnection;

use super::super::failure::Failure;
use super::{Stop, bulk};
use crate::table::{Progress, Record, Size, added, changed, changed_from, freed_names, only_progressed};

/// Frees the names of rows that go or are renamed, where new rows may need them.
pub(super) async fn free_names(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    if swaps_rows(&changes.users) {
        bulk::each(db, "UPDATE users SET username = id WHERE id = ?1", changes.users.removals()).await?;
    }
    if swaps_rows(&changes.nodes) {
        bulk::each(db, "UPDATE nodes SET node_id = id WHERE id = ?1", changes.nodes.removals()).await?;
    }
    if swaps_rows(&changes.deployments) {
        let mark = "UPDATE deployments SET status = 'deleted', deleted_at = updated_at WHERE id = ?1";
        bulk::each(db, mark, changes.deployments.removals()).await?;
    }
    // No policy can be called so.
    let mark = "UPDATE scaling_policies SET name = '!' || id WHERE id = ?1";
    bulk::each(db, mark, freed_names(&changes.policies).into_iter()).await
}

/// Whether a row that goes may hold a name that a new one needs.
fn swaps_rows<K: Clone + Eq + Hash, T>(edits: &Edits<K, T>) -> bool {
    edits.removals().next().is_some() && edits.iter().any(|(_, edit)| edit.before.is_none() && edit.after.is_some())
}

/// Changed rows first, then new ones.
pub(super) async fn write<K: Clone + Eq + Hash, T: Record>(
    db: &mut SqliteConnection,
    edits: &Edits<K, T>,
) -> Result<(), Stop> {
    bulk::update_all(db, &changed(edits)).await?;
    bulk::insert(db, &added(edits)).await
}

/// Each with its row of `deployment_resources`.
pub(super) async fn write_deployments(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    let deployments = &changes.deployments;
    bulk::update_all(db, &changed(deployments)).await?;
    let resized = changed_from(deployments).filter(|(before, after)| before.spec.resources != after.spec.resources);
    bulk::update_all(db, &resized.map(|(_, after)| Size(after)).collect::<Vec<_>>()).await?;
    let added = added(deployments);
    bulk::insert(db, &added).await?;
    bulk::insert(db, &added.into_iter().map(Size).collect::<Vec<_>>()).await
}

/// What their images are becomes known once for each revision, so one by one.
pub(super) async fn write_revisions(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    bulk::insert(db, &changes.revisions).await?;
    let pin = "UPDATE deployment_revisions SET image_digest = ?3 WHERE deployment_id = ?1 AND revision = ?2";
    for ((deployment, revision), edit) in changes.image_digests.iter() {
        let Some(digest) = &edit.after else { continue };
        let query = sqlx::query(pin).bind(deployment.to_string()).bind(revision).bind(digest.to_string());
        if query.execute(&mut *db).await?.rows_affected() == 0 {
            let detail = format!("revision {revision} of deployment {deployment} is not there, and has an image now");
            return Err(Stop::Failed(Failure::Constraint(detail)));
        }
    }
    Ok(())
}

/// Where only what agents tell has changed, neither the index of nodes nor its foreign key is touched, which halves the
/// time.
pub(super) async fn write_replicas(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    let (progressed, moved): (Vec<_>, Vec<_>) =
        changed_from(&changes.replicas).partition(|(before, after)| only_progressed(before, after));
    bulk::update_all(db, &progressed.into_iter().map(|(_, after)| Progress(after)).collect::<Vec<_>>()).await?;
    bulk::update_all(db, &moved.into_iter().map(|(_, after)| after).collect::<Vec<_>>()).await?;
    bulk::insert(db, &added(&changes.replicas)).await
}

/// Expired ones are pruned from the database while memory may still hold them, so a change of one that is gone is no
/// error.
pub(super) async fn write_sessions(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    bulk::update_present(db, &changed(&changes.sessions)).await?;
    bulk::insert(db, &added(&changes.sessions)).await
}

/// Rows that go, with all that hangs on them.
pub(super) async fn remove(db: &mut SqliteConnection, changes: &Changes) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM sessions WHERE id = ?1", changes.sessions.removals()).await?;
    bulk::each(db, "DELETE FROM scaling_states WHERE target = ?1", changes.scaling_states.removals()).await?;
    bulk::each(db, "DELETE FROM scaling_policies WHERE id = ?1", changes.policies.removals()).await?;
    bulk::each(db, "DELETE FROM deployment_replicas WHERE id = ?1", changes.replicas.removals()).await?;
    bulk::each(db, "DELETE FROM deployments WHERE id = ?1", changes.deployments.removals()).await?;
    bulk::each(db, "DELETE FROM nodes WHERE id = ?1", changes.nodes.removals()).await?;
    bulk::each(db, "DELETE FROM users WHERE id = ?1", changes.users.removals()).await
}
