//! Which nodes carry which label, so that a constraint costs what it matches and not a text comparison a node.
//!
//! Invariant: holds exactly the labels of the nodes that are in the table, `region` and `zone` among them; a label of
//! the node's own of one of those names does not count. `node` is not in here: the table finds nodes by name already.
//! Exact words, no hashes of them, so nothing matches by accident. Tests: `placement/properties.rs` compares what a
//! constraint finds through this index with what the rows say.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::NodeIndex;
use crate::record::NodeRecord;

/// The label that every node has with its region.
pub const REGION_LABEL: &str = "region";
/// The label that every node has with its zone.
pub const ZONE_LABEL: &str = "zone";
/// The label that every node has with its name.
pub const NODE_LABEL: &str = "node";

/// What a node's label says; nothing where it has no such label.
#[must_use]
pub fn label<'a>(record: &'a NodeRecord, name: &str) -> Option<&'a str> {
    match name {
        REGION_LABEL => Some(&record.region),
        ZONE_LABEL => Some(&record.zone),
        NODE_LABEL => Some(&record.name),
        _ => record.labels.get(name).map(String::as_str),
    }
}

/// Label, then value, then the nodes that carry it.
#[derive(Clone, Debug, Default)]
pub struct LabelIndex {
    by_label: BTreeMap<String, BTreeMap<String, BTreeSet<NodeIndex>>>,
}

impl LabelIndex {
    /// The values that a label has anywhere, with the nodes of each.
    #[must_use]
    pub fn values_of(&self, label: &str) -> Option<&BTreeMap<String, BTreeSet<NodeIndex>>> {
        self.by_label.get(label)
    }

    pub(super) fn add(&mut self, index: NodeIndex, record: &NodeRecord) {
        for (label, value) in pairs(record) {
            let values = self.by_label.entry(label.to_owned()).or_default();
            values.entry(value.to_owned()).or_default().insert(index);
        }
    }

    pub(super) fn remove(&mut self, index: NodeIndex, record: &NodeRecord) {
        for (label, value) in pairs(record) {
            let Some(values) = self.by_label.get_mut(label) else { continue };
            if let Some(nodes) = values.get_mut(value) {
                nodes.remove(&index);
                if nodes.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.by_label.remove(label);
            }
        }
    }
}

fn pairs(record: &NodeRecord) -> impl Iterator<Item = (&str, &str)> {
    let own = record.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    own.filter(|(label, _)| ![REGION_LABEL, ZONE_LABEL, NODE_LABEL].contains(label))
        .chain([(REGION_LABEL, record.region.as_str()), (ZONE_LABEL, record.zone.as_str())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::NodeTable;
    use crate::id::NodeId;
    use crate::quantity::Resources;
    use crate::record::{Liveness, Runtimes};
    use crate::time::Timestamp;

    fn node(id: u128, zone: &str, labels: &[(&str, &str)]) -> NodeRecord {
        NodeRecord {
            id: NodeId::from_uuid(uuid::Uuid::from_u128(id)),
            name: format!("node-{id}"),
            region: "north".to_owned(),
            zone: zone.to_owned(),
            capacity: Resources::ZERO,
            runtimes: Runtimes::default(),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
            liveness: Liveness::Online,
            cordoned: false,
            draining: false,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    fn having(nodes: &NodeTable, label: &str, value: &str) -> Vec<u32> {
        let values = nodes.labels().values_of(label);
        values.and_then(|values| values.get(value)).into_iter().flatten().map(|index| index.0).collect()
    }

    #[test]
    fn the_index_follows_nodes_that_change_and_go() {
        let mut nodes = NodeTable::with_nodes([node(1, "a", &[("disk", "ssd")]), node(2, "a", &[("disk", "hdd")])]);
        assert_eq!(having(&nodes, "disk", "ssd"), [0]);
        assert_eq!(having(&nodes, "zone", "a"), [0, 1]);

        nodes.put(node(1, "b", &[("disk", "hdd")]));
        assert_eq!(having(&nodes, "disk", "hdd"), [0, 1]);
        assert_eq!(having(&nodes, "zone", "a"), [1]);
        assert!(having(&nodes, "disk", "ssd").is_empty());

        nodes.remove(NodeId::from_uuid(uuid::Uuid::from_u128(1)));
        assert_eq!(having(&nodes, "disk", "hdd"), [1]);
        nodes.put(node(3, "c", &[]));
        assert_eq!((having(&nodes, "zone", "c"), having(&nodes, "region", "north")), (vec![0], vec![0, 1]));

        nodes.remove(NodeId::from_uuid(uuid::Uuid::from_u128(2)));
        nodes.remove(NodeId::from_uuid(uuid::Uuid::from_u128(3)));
        assert!(nodes.labels().by_label.is_empty(), "nothing is left of nodes that are gone");
    }

    #[test]
    fn a_label_of_a_nodes_own_does_not_pass_for_one_that_every_node_has() {
        let nodes = NodeTable::with_nodes([node(1, "a", &[("zone", "b"), ("node", "other")])]);
        assert!(having(&nodes, "zone", "b").is_empty());
        assert_eq!(having(&nodes, "zone", "a"), [0]);
        let record = nodes.iter().next().map(|(_, record)| record).expect("one node");
        assert_eq!((label(record, "zone"), label(record, "node")), (Some("a"), Some("node-1")));
    }
}
