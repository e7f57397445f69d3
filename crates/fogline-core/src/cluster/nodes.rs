//! The nodes as columns, so that a filter over thousands of them stays in cache.
//!
//! Invariant: `reserved` is the sum over the non-terminal replicas of the node, and `free` is capacity less that, or
//! nothing where a node came back smaller than what it holds. A node's index stays the same while it is in the table.

use std::collections::HashMap;

use super::labels::LabelIndex;
use crate::id::{NodeId, ReplicaId};
use crate::observation::NodeUsage;
use crate::quantity::{CpuMillis, Resources};
use crate::record::{Liveness, NodeRecord};
use crate::time::Timestamp;

/// A node's place in the columns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// The place as an index into a column.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Load as a share of what is used, when nobody has told it.
pub const UNKNOWN_LOAD_PERCENT: f32 = 50.0;

/// Columns of all nodes. A hole that a removed node left behind is never placeable and is filled by the next node.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "one column each, units in the names")]
pub struct NodeTable {
    by_id: HashMap<NodeId, NodeIndex>,
    by_name: HashMap<String, NodeIndex>,
    holes: Vec<NodeIndex>,
    zone_numbers: HashMap<(String, String), u32>,
    labels: LabelIndex,

    records: Vec<Option<NodeRecord>>,
    reserved: Vec<Resources>,
    pub free_cpu_millis: Vec<u32>,
    pub free_memory_mb: Vec<u32>,
    pub free_gpu_units: Vec<u32>,
    pub free_storage_gb: Vec<u32>,
    pub capacity_cpu_millis: Vec<u32>,
    pub capacity_memory_mb: Vec<u32>,
    /// Whether a replica may be put there at all: online, not cordoned, not draining, not a hole.
    pub placeable: Vec<bool>,
    /// [`crate::record::Runtimes::bits`].
    pub runtime_bits: Vec<u8>,
    /// Load in percent as last told, and when; `Timestamp::EPOCH` when never.
    pub cpu_percent: Vec<f32>,
    pub memory_percent: Vec<f32>,
    pub usage_at: Vec<Timestamp>,
    /// A number for each (region, zone).
    pub zone_number: Vec<u32>,
    /// A hash of the node's id, to break ties.
    pub tie_hash: Vec<u64>,
    /// Replicas that hold room there, by the order in which they came.
    pub replicas: Vec<Vec<ReplicaId>>,
    /// Fixed ports that are taken there.
    pub host_ports: Vec<Vec<u16>>,
}

impl NodeTable {
    /// How many places there are, holes included. Columns have this length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there has never been a node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many numbers [`Self::zone_number`] has handed out.
    #[must_use]
    pub fn zones(&self) -> usize {
        self.zone_numbers.len()
    }

    /// Region, zone and number of every zone there has been, in no order.
    pub fn zone_names(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.zone_numbers.iter().map(|((region, zone), number)| (region.as_str(), zone.as_str(), *number))
    }

    /// Which nodes carry which label.
    #[must_use]
    pub const fn labels(&self) -> &LabelIndex {
        &self.labels
    }

    /// A table of these nodes, with nothing reserved. Two rows of one id are one node, the later row counts.
    #[must_use]
    pub fn with_nodes(records: impl IntoIterator<Item = NodeRecord>) -> Self {
        let mut nodes = Self::default();
        for record in records {
            nodes.put(record);
        }
        nodes
    }

    /// Where a node is.
    #[must_use]
    pub fn index_of(&self, id: NodeId) -> Option<NodeIndex> {
        self.by_id.get(&id).copied()
    }

    /// Where the node of this name is.
    #[must_use]
    pub fn index_named(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied()
    }

    /// The row at a place; nothing for a hole.
    #[must_use]
    pub fn record(&self, index: NodeIndex) -> Option<&NodeRecord> {
        self.records.get(index.at()).and_then(Option::as_ref)
    }

    /// The row of a node.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&NodeRecord> {
        self.record(self.index_of(id)?)
    }

    /// Every node with its place, in the order of places.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIndex, &NodeRecord)> {
        (0u32..).zip(&self.records).filter_map(|(at, record)| Some((NodeIndex(at), record.as_ref()?)))
    }

    /// What is free at a place.
    #[must_use]
    pub fn free(&self, index: NodeIndex) -> Resources {
        let at = index.at();
        Resources {
            cpu_millis: CpuMillis(self.free_cpu_millis[at]),
            memory_mb: self.free_memory_mb[at],
            gpu_units: self.free_gpu_units[at],
            storage_gb: self.free_storage_gb[at],
        }
    }

    /// What the replicas at a place reserve together.
    #[must_use]
    pub fn reserved(&self, index: NodeIndex) -> Resources {
        self.reserved[index.at()]
    }

    /// Adds a node, or takes over a changed row. What is reserved there stays reserved.
    pub(super) fn put(&mut self, record: NodeRecord) -> NodeIndex {
        let index = match self.index_of(record.id) {
            Some(index) => index,
            None => self.grow(),
        };
        let at = index.at();
        if let Some(old) = &self.records[at] {
            self.by_name.remove(&old.name);
            self.labels.remove(index, old);
        }
        self.labels.add(index, &record);
        self.by_id.insert(record.id, index);
        self.by_name.insert(record.name.clone(), index);
        let next_zone = u32::try_from(self.zone_numbers.len()).unwrap_or(u32::MAX);
        let zone = (record.region.clone(), record.zone.clone());
        self.zone_number[at] = *self.zone_numbers.entry(zone).or_insert(next_zone);
        self.capacity_cpu_millis[at] = record.capacity.cpu_millis.0;
        self.capacity_memory_mb[at] = record.capacity.memory_mb;
        self.placeable[at] = record.liveness == Liveness::Online && !record.cordoned && !record.draining;
        self.runtime_bits[at] = record.runtimes.bits();
        self.tie_hash[at] = fold(record.id.as_uuid().as_u128());
        self.records[at] = Some(record);
        self.update_free(index);
        index
    }

    /// Removes a node. The caller has made sure that nothing is reserved there.
    pub(super) fn remove(&mut self, id: NodeId) {
        let Some(index) = self.by_id.remove(&id) else { return };
        let at = index.at();
        if let Some(old) = self.records[at].take() {
            self.by_name.remove(&old.name);
            self.labels.remove(index, &old);
        }
        self.placeable[at] = false;
        self.reserved[at] = Resources::ZERO;
        self.update_free(index);
        self.capacity_cpu_millis[at] = 0;
        self.capacity_memory_mb[at] = 0;
        self.usage_at[at] = Timestamp::EPOCH;
        self.replicas[at].clear();
        self.host_ports[at].clear();
        self.holes.push(index);
    }

    /// Takes room for a replica.
    pub fn reserve(&mut self, index: NodeIndex, replica: ReplicaId, need: Resources, host_port: Option<u16>) {
        let at = index.at();
        self.reserved[at] = self.reserved[at].plus(need);
        self.update_free(index);
        self.replicas[at].push(replica);
        self.host_ports[at].extend(host_port);
    }

    /// Gives the room of a replica back.
    pub fn release(&mut self, index: NodeIndex, replica: ReplicaId, need: Resources, host_port: Option<u16>) {
        let at = index.at();
        self.replicas[at].retain(|id| *id != replica);
        if let Some(port) = host_port
            && let Some(taken) = self.host_ports[at].iter().position(|p| *p == port)
        {
            self.host_ports[at].swap_remove(taken);
        }
        self.reserved[at] = self.reserved[at].less(need);
        self.update_free(index);
    }

    /// Takes note of a node's load.
    pub fn set_usage(&mut self, index: NodeIndex, usage: NodeUsage, now: Timestamp) {
        let at = index.at();
        self.cpu_percent[at] = usage.cpu_percent.clamp(0.0, 100.0);
        self.memory_percent[at] = usage.memory_percent.clamp(0.0, 100.0);
        self.usage_at[at] = now;
    }

    fn update_free(&mut self, index: NodeIndex) {
        let at = index.at();
        let capacity = self.records[at].as_ref().map_or(Resources::ZERO, |record| record.capacity);
        let free = capacity.less(self.reserved[at]);
        self.free_cpu_millis[at] = free.cpu_millis.0;
        self.free_memory_mb[at] = free.memory_mb;
        self.free_gpu_units[at] = free.gpu_units;
        self.free_storage_gb[at] = free.storage_gb;
    }

    fn grow(&mut self) -> NodeIndex {
        if let Some(hole) = self.holes.pop() {
            return hole;
        }
        let index = NodeIndex(u32::try_from(self.records.len()).expect("fewer than four billion nodes"));
        self.records.push(None);
        self.reserved.push(Resources::ZERO);
        self.free_cpu_millis.push(0);
        self.free_memory_mb.push(0);
        self.free_gpu_units.push(0);
        self.free_storage_gb.push(0);
        self.capacity_cpu_millis.push(0);
        self.capacity_memory_mb.push(0);
        self.placeable.push(false);
        self.runtime_bits.push(0);
        self.cpu_percent.push(UNKNOWN_LOAD_PERCENT);
        self.memory_percent.push(UNKNOWN_LOAD_PERCENT);
        self.usage_at.push(Timestamp::EPOCH);
        self.zone_number.push(0);
        self.tie_hash.push(0);
        self.replicas.push(Vec::new());
        self.host_ports.push(Vec::new());
        index
    }
}

/// 128 bits to 64 that differ in every bit.
fn fold(id: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let mut z = (id as u64) ^ ((id >> 64) as u64);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
