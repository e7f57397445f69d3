//! Replicas.

use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::record::ReplicaRecord;

use super::Columns;
use crate::error::StoreError;

pub(crate) fn replica(row: &Columns<'_>) -> Result<ReplicaRecord, StoreError> {
    Ok(ReplicaRecord {
        id: row.id("id", ReplicaId::from_uuid)?,
        deployment_id: row.id("deployment_id", DeploymentId::from_uuid)?,
        node_id: row.optional_id("node_id", NodeId::from_uuid)?,
        status: row.word("status", |word| word.parse().ok())?,
        revision: row.number("revision")?,
        resources: row.resources()?,
        host_port: row.optional_number("host_port")?,
        endpoint: row.optional_text("endpoint")?.map(Into::into),
        container_id: row.optional_text("container_id")?.map(Into::into),
        restarts: row.number("restarts")?,
        replaces: row.optional_id("replaces", ReplicaId::from_uuid)?,
        exit_code: row.optional_number("exit_code")?,
        reason: row.optional_text("reason")?.map(Into::into),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        started_at: row.optional_time("started_at")?,
        stopped_at: row.optional_time("stopped_at")?,
    })
}
