//! Nodes: their rows, what the cluster has reserved on them, what their agents said last.

use std::collections::HashMap;

use fogline_api::http::{NodeResponse, NodeStatus};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::quantity::Resources;
use fogline_core::record::{Liveness, NodeRecord};

use crate::http::app::Http;
use crate::http::problem::ApiResult;

/// What is in no row of a node's.
struct Held {
    reserved: Resources,
    replicas: u32,
    unlisted: Vec<ReplicaId>,
}

/// Nodes, in the order of their rows.
///
/// # Errors
/// When the writer is stopping.
pub async fn nodes(app: &Http, records: Vec<NodeRecord>) -> ApiResult<Vec<NodeResponse>> {
    let ids: Vec<NodeId> = records.iter().map(|record| record.id).collect();
    // What is free is the sum over the node's replicas, which the cluster keeps; so is what runs there besides.
    let mut held: HashMap<NodeId, Held> = app
        .shared
        .writer
        .view(move |cluster, _| {
            let table = cluster.nodes();
            let of = |id: NodeId| {
                let index = table.index_of(id)?;
                let replicas = u32::try_from(table.replicas[index.0 as usize].len()).unwrap_or(u32::MAX);
                let seen = cluster.observed().nodes.get(&id);
                let unlisted = seen.map(|seen| seen.unlisted.iter().copied().collect()).unwrap_or_default();
                Some((id, Held { reserved: table.reserved(index), replicas, unlisted }))
            };
            ids.into_iter().filter_map(of).collect()
        })
        .await?;
    // A node that was removed between the two reads holds nothing.
    let nothing = || Held { reserved: Resources::ZERO, replicas: 0, unlisted: Vec::new() };
    let shown = |record: NodeRecord| node(app, held.remove(&record.id).unwrap_or_else(nothing), record);
    Ok(records.into_iter().map(shown).collect())
}

fn node(app: &Http, held: Held, record: NodeRecord) -> NodeResponse {
    let seen = app.shared.presence().node(record.id);
    let usage = seen.and_then(|seen| seen.usage);
    let Held { reserved, replicas, unlisted } = held;
    let status = match record.liveness {
        Liveness::Offline => NodeStatus::Offline,
        Liveness::Online if replicas > 0 => NodeStatus::Active,
        Liveness::Online => NodeStatus::Idle,
    };
    NodeResponse {
        id: record.id,
        status,
        cordoned: record.cordoned,
        draining: record.draining,
        runtimes: record.runtimes.iter().collect(),
        free: record.capacity.less(reserved),
        capacity: record.capacity,
        replicas,
        unlisted,
        cpu_usage_percent: usage.map(|usage| usage.cpu_percent),
        memory_usage_percent: usage.map(|usage| usage.memory_percent),
        last_seen_at: seen.map(|seen| seen.last_seen),
        name: record.name,
        region: record.region,
        zone: record.zone,
        labels: record.labels,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
