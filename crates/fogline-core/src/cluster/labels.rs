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
