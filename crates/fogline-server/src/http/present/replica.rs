//! Replicas, with what their agents said last.

use fogline_api::http::ReplicaResponse;
use fogline_core::record::ReplicaRecord;
use fogline_core::state::ReplicaStatus;

use crate::http::app::Http;
use crate::http::problem::ApiResult;

/// Whether a replica's readiness check passes, as far as is known. A node that was silent for too long knows nothing. Of a
/// replica that nobody has spoken of since this server leads, or where it does not lead, its row is the best word: it has
/// been ready.
#[must_use]
pub fn ready(app: &Http, record: &ReplicaRecord) -> bool {
    let (ReplicaStatus::Running, Some(node)) = (record.status, record.node_id) else { return false };
    let presence = app.shared.presence();
    let timeout = app.shared.config.settings.node_timeout;
    let heard = presence.node(node).is_none_or(|seen| app.shared.clock.now().since(seen.last_seen) <= timeout);
    heard && presence.replica(node, record.id).is_none_or(|seen| seen.ready)
}

/// A replica.
///
/// # Errors
/// When the database fails.
pub async fn replica(app: &Http, record: ReplicaRecord) -> ApiResult<ReplicaResponse> {
    let node = match record.node_id {
        Some(id) => app.node_name(id).await?,
        None => None,
    };
    Ok(ReplicaResponse {
        ready: ready(app, &record),
        id: record.id,
        deployment_id: record.deployment_id,
        node_id: record.node_id,
        node: node.map(|name| name.to_string()),
        status: record.status,
        revision: record.revision,
        resources: record.resources,
        endpoint: record.endpoint.map(|text| text.to_string()),
        container_id: record.container_id.map(|text| text.to_string()),
        restarts: record.restarts,
        replaces: record.replaces,
        exit_code: record.exit_code,
        reason: record.reason.map(|text| text.to_string()),
        created_at: record.created_at,
        updated_at: record.updated_at,
        started_at: record.started_at,
        stopped_at: record.stopped_at,
    })
}
