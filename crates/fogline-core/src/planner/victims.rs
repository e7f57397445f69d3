//! Which replicas go first when there are too many.
//!
//! Order: on a lost node, not running yet, not ready, on a node that is being drained; then as the deployment asks.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::cluster::Cluster;
use crate::id::NodeId;
use crate::record::ReplicaRecord;
use crate::spec::ScaleDownOrder;
use crate::state::ReplicaStatus;

/// How dispensable a replica is, whatever order was asked for; smaller goes first.
fn rank(cluster: &Cluster, replica: &ReplicaRecord) -> u8 {
    let draining = replica.node_id.and_then(|node| cluster.nodes().get(node)).is_some_and(|node| node.draining);
    match replica.status {
        _ if cluster.is_lost(replica) => 0,
        ReplicaStatus::Pending => 1,
        ReplicaStatus::Starting => 2,
        _ if !cluster.is_ready(replica) => 3,
        _ if draining => 4,
        _ => 5,
    }
}

/// The candidates, those to stop first in front.
pub(super) fn in_order<'a>(
    cluster: &Cluster,
    mut candidates: Vec<&'a ReplicaRecord>,
    order: ScaleDownOrder,
) -> Vec<&'a ReplicaRecord> {
    let age = |replica: &ReplicaRecord| (replica.created_at, replica.id);
    match order {
        ScaleDownOrder::Oldest => candidates.sort_by_key(|replica| (rank(cluster, replica), age(replica))),
        ScaleDownOrder::Newest => candidates.sort_by_key(|replica| (rank(cluster, replica), Reverse(age(replica)))),
        ScaleDownOrder::LeastLoaded => candidates.sort_by_key(|replica| {
            let load = cluster.observed().replicas.get(&replica.id).map_or(0, |seen| seen.cpu_millis);
            (rank(cluster, replica), load, age(replica))
        }),
        ScaleDownOrder::MostStacked => return most_stacked_first(cluster, candidates),
    }
    candidates
}

/// Each pick makes its node less stacked, so the order is found pick by pick.
fn most_stacked_first<'a>(cluster: &Cluster, mut candidates: Vec<&'a ReplicaRecord>) -> Vec<&'a ReplicaRecord> {
    let mut on_node: HashMap<Option<NodeId>, u32> = HashMap::new();
    for replica in &candidates {
        *on_node.entry(replica.node_id).or_default() += 1;
    }
    let mut ordered = Vec::with_capacity(candidates.len());
    while !candidates.is_empty() {
        let next = (0..candidates.len()).min_by_key(|at| {
            let replica = candidates[*at];
            (rank(cluster, replica), Reverse(on_node[&replica.node_id]), replica.created_at, replica.id)
        });
        let picked = candidates.swap_remove(next.expect("there is a candidate left"));
        *on_node.entry(picked.node_id).or_default() -= 1;
        ordered.push(picked);
    }
    ordered
}
