//! Signs of life on their way to the writer: the latest of each node.
//!
//! Invariant: at most one entry a node, so memory is bounded by the number of nodes, however long a commit takes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fogline_core::command::{Command, Request};
use fogline_core::id::NodeId;
use fogline_core::observation::{NodeUsage, ReplicaUsage};

#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    latest: Mutex<HashMap<NodeId, (NodeUsage, Vec<ReplicaUsage>)>>,
}

impl Heartbeats {
    pub(super) fn put(&self, node_id: NodeId, usage: NodeUsage, replicas: Vec<ReplicaUsage>) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(node_id, (usage, replicas));
    }

    /// Takes all of them, in the order of their ids: a batch must not depend on the order of a hash map.
    pub(super) fn take(&self) -> Vec<Request> {
        let latest = std::mem::take(&mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        let mut latest: Vec<_> = latest.into_iter().collect();
        latest.sort_unstable_by_key(|(node_id, _)| *node_id);
        latest
            .into_iter()
            .map(|(node_id, (usage, replicas))| Request::agent(Command::Heartbeat { node_id, usage, replicas }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    #[test]
    fn only_the_latest_of_each_node_is_kept() {
        let mut ids = IdSource::new(1);
        let (one, other) = (ids.next::<NodeId>(Timestamp::EPOCH), ids.next::<NodeId>(Timestamp::EPOCH));
        let heartbeats = Heartbeats::default();
        for cpu_percent in [1.0, 2.0, 3.0] {
            heartbeats.put(other, NodeUsage { cpu_percent, memory_percent: 0.0 }, Vec::new());
            heartbeats.put(one, NodeUsage { cpu_percent, memory_percent: 0.0 }, Vec::new());
        }
        let expect = |node_id| {
            let usage = NodeUsage { cpu_percent: 3.0, memory_percent: 0.0 };
            Request::agent(Command::Heartbeat { node_id, usage, replicas: Vec::new() })
        };
        assert_eq!(heartbeats.take(), [expect(one), expect(other)]);
        assert_eq!(heartbeats.take(), []);
    }
}
