//! Where a replica may go at all: one file a filter, joined by [`FilterKind`].
//!
//! Each filter says the same thing twice. `narrow` runs over columns and clears the places that will not do: fast,
//! without a word. `verdict` looks at one node and says what was needed and what is there: for people. Invariant: both
//! agree on every node, which `properties.rs` checks. Must never prefer one node to another: that is the score's.

mod constraints;
mod cpu;
mod gpu;
mod host_port;
mod memory;
mod node_state;
mod runtime;
mod spread;
mod storage;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Demand, Siblings};
use crate::cluster::{NodeIndex, NodeTable};
use crate::record::NodeRecord;
use crate::spec::Spread;

/// Everything that can turn a node away, in the order in which it is looked at: the first that does is the reason.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterKind {
    /// Online, not cordoned, not draining.
    NodeState,
    /// Has the runtime.
    Runtime,
    /// Its labels match.
    Constraints,
    /// Enough processor time is free.
    Cpu,
    /// Enough memory is free.
    Memory,
    /// Enough GPU units are free.
    Gpu,
    /// Enough storage is free.
    Storage,
    /// The fixed port is free.
    HostPort,
    /// Holds none of the deployment's replicas yet, where one a node is the most.
    Spread,
}

/// What one filter says of one node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Which filter.
    pub filter: FilterKind,
    /// Whether the node will do.
    pub passed: bool,
    /// What was needed and what is there.
    pub text: String,
}

/// What the filters look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub nodes: &'a NodeTable,
    pub demand: &'a Demand<'a>,
    pub siblings: &'a Siblings,
}

/// One node that a filter judges.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    index: NodeIndex,
    record: &'a NodeRecord,
}

/// Whether it will do, and in words why.
type Judgement = (bool, String);

impl FilterKind {
    /// Every filter, in their order.
    pub const ALL: [Self; 9] = [
        Self::NodeState,
        Self::Runtime,
        Self::Constraints,
        Self::Cpu,
        Self::Memory,
        Self::Gpu,
        Self::Storage,
        Self::HostPort,
        Self::Spread,
    ];

    /// Whether the demand asks for it. A filter that was not asked for turns nobody away and says nothing.
    fn asked(self, demand: &Demand<'_>) -> bool {
        match self {
            Self::NodeState | Self::Runtime | Self::Cpu | Self::Memory => true,
            Self::Constraints => !demand.placement.constraints.is_empty(),
            Self::Gpu => demand.resources.gpu_units > 0,
            Self::Storage => demand.resources.storage_gb > 0,
            Self::HostPort => demand.host_port.is_some(),
            Self::Spread => demand.placement.spread == Spread::Required,
        }
    }

    /// Clears the places that will not do.
    pub(super) fn narrow(self, question: &Question<'_>, keep: &mut [bool]) {
        if !self.asked(question.demand) {
            return;
        }
        match self {
            Self::NodeState => node_state::narrow(question, keep),
            Self::Runtime => runtime::narrow(question, keep),
            Self::Constraints => constraints::narrow(question, keep),
            Self::Cpu => cpu::narrow(question, keep),
            Self::Memory => memory::narrow(question, keep),
            Self::Gpu => gpu::narrow(question, keep),
            Self::Storage => storage::narrow(question, keep),
            Self::HostPort => host_port::narrow(question, keep),
            Self::Spread => spread::narrow(question, keep),
        }
    }

    /// What it says of a node; nothing where it was not asked for.
    pub(super) fn verdict(self, question: &Question<'_>, index: NodeIndex, record: &NodeRecord) -> Option<Verdict> {
        if !self.asked(question.demand) {
            return None;
        }
        let node = Candidate { index, record };
        let (passed, text) = match self {
            Self::NodeState => node_state::judge(node),
            Self::Runtime => runtime::judge(question, node),
            Self::Constraints => constraints::judge(question, node),
            Self::Cpu => cpu::judge(question, node),
            Self::Memory => memory::judge(question, node),
            Self::Gpu => gpu::judge(question, node),
            Self::Storage => storage::judge(question, node),
            Self::HostPort => host_port::judge(question, node),
            Self::Spread => spread::judge(question, node),
        };
        Some(Verdict { filter: self, passed, text })
    }

    /// The end of the sentence "`nodes` of 12 nodes …", of nodes that this filter turned away.
    pub(super) fn reason(self, demand: &Demand<'_>, nodes: u32) -> String {
        let one = nodes == 1;
        match self {
            Self::NodeState => node_state::reason(one),
            Self::Runtime => runtime::reason(demand, one),
            Self::Constraints => constraints::reason(demand, one),
            Self::Cpu => cpu::reason(demand, one),
            Self::Memory => memory::reason(demand, one),
            Self::Gpu => gpu::reason(demand, one),
            Self::Storage => storage::reason(demand, one),
            Self::HostPort => host_port::reason(demand, one),
            Self::Spread => spread::reason(one),
        }
    }
}

/// For each place whether a replica may go there.
pub(super) fn passing(question: &Question<'_>) -> Vec<bool> {
    let mut keep = vec![true; question.nodes.len()];
    for kind in FilterKind::ALL {
        kind.narrow(question, &mut keep);
    }
    keep
}

/// Clears the places where a column holds less than `need`.
fn at_least(column: &[u32], need: u32, keep: &mut [bool]) {
    for (keep, free) in keep.iter_mut().zip(column) {
        *keep &= *free >= need;
    }
}

/// `have` or `has`.
const fn have(one: bool) -> &'static str {
    if one { "has" } else { "have" }
}
