//! Deployments, their revisions and their history.

use std::sync::Arc;

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::{DeploymentId, HistoryId, UserId};
use fogline_core::record::{DeploymentRecord, StatusHistoryRecord};
use fogline_core::spec::DeploymentSpec;
use fogline_core::state::DeploymentStatus;

use super::Columns;
use crate::error::StoreError;

pub(crate) fn deployment(row: &Columns<'_>) -> Result<DeploymentRecord, StoreError> {
    let spec: DeploymentSpec = row.json("spec")?;
    let target_replicas = row.number("target_replicas")?;
    // The columns beside the spec repeat it. Where they differ, somebody has edited one of the two.
    if spec.name != row.text("name")? {
        return Err(row.damaged("name", format_args!("differs from {:?} in spec", spec.name)));
    }
    if spec.container_image != row.optional_text("container_image")? {
        return Err(row.damaged("container_image", format_args!("differs from {:?} in spec", spec.container_image)));
    }
    if spec.replicas != target_replicas {
        return Err(row.damaged("target_replicas", format_args!("differs from {} in spec", spec.replicas)));
    }
    Ok(DeploymentRecord {
        id: row.id("id", DeploymentId::from_uuid)?,
        user_id: row.id("user_id", UserId::from_uuid)?,
        status: row.word("status", |word| word.parse().ok())?,
        target_replicas,
        revision: row.number("revision")?,
        history_seq: row.number("history_seq")?,
        spec: Arc::new(spec),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        deleted_at: row.optional_time("deleted_at")?,
    })
}

pub(crate) fn revision(row: &Columns<'_>) -> Result<RevisionRecord, StoreError> {
    Ok(RevisionRecord {
        deployment_id: row.id("deployment_id", DeploymentId::from_uuid)?,
        revision: row.number("revision")?,
        spec: Arc::new(row.json("spec")?),
        image_digest: row.optional_parsed("image_digest")?,
        created_at: row.time("created_at")?,
        created_by: row.optional_id("created_by", UserId::from_uuid)?,
    })
}

pub(crate) fn history(row: &Columns<'_>) -> Result<StatusHistoryRecord, StoreError> {
    Ok(StatusHistoryRecord {
        id: row.id("id", HistoryId::from_uuid)?,
        deployment_id: row.id("deployment_id", DeploymentId::from_uuid)?,
        seq: row.number("seq")?,
        old_status: row.word("old_status", status_word)?,
        new_status: row.word("new_status", status_word)?,
        changed_by: row.optional_id("changed_by", UserId::from_uuid)?,
        changed_at: row.time("changed_at")?,
        reason: row.text("reason")?.into(),
    })
}

/// A status, or `none`, which the first line starts from.
fn status_word(word: &str) -> Option<&'static str> {
    if word == "none" { Some("none") } else { word.parse().ok().map(DeploymentStatus::as_str) }
}
