//! Which nodes the next replicas of a deployment go to.
//!
//! Pure and read-only: it looks at the node table and says places; the caller reserves. `filter` says where a replica
//! may go at all, `score` which of two such nodes is better, `pick` takes one after the other so that each pick
//! counts for the next, [`explain()`] tells a person why. Invariant: what is placed by one call fits all at once, and the
//! same table and question give the same answer. Tests: `tests.rs` (tables), `properties.rs`.

mod explain;
mod filter;
mod pick;
mod score;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::{NodeIndex, NodeTable};
use crate::id::DeploymentId;
use crate::quantity::Resources;
use crate::spec::{PlacementSpec, Runtime, Spread};
use crate::time::Timestamp;

pub use explain::{NodeReport, PlacementReport, ScoreReport, TurnedAway, explain};
pub use filter::{FilterKind, Verdict};

use filter::Question;
use pick::Picker;
use score::Scorer;

/// What one replica needs of a node.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Whose replica it is: breaks ties, so that not everything lands on the same node.
    pub deployment_id: DeploymentId,
    /// What it reserves.
    pub resources: Resources,
    /// What must be able to run it.
    pub runtime: Runtime,
    /// A fixed port it takes.
    pub host_port: Option<u16>,
    /// Region, zone, spread and constraints.
    pub placement: &'a PlacementSpec,
}

impl Demand<'_> {
    /// How many replicas of the deployment one node may get from one call, room aside.
    fn most_on_one_node(&self) -> u32 {
        if self.placement.spread == Spread::Required || self.host_port.is_some() { 1 } else { u32::MAX }
    }
}

/// What the deployment's other replicas mean for the next one.
#[derive(Clone, Debug, Default)]
pub struct Siblings {
    /// How many replicas of this deployment each node holds, those on their way out not counted.
    pub on_node: BTreeMap<NodeIndex, u32>,
    /// Nodes where one of its replicas failed a short while ago.
    pub failed_on: BTreeSet<NodeIndex>,
}

/// Where the next `count` replicas go, best first; fewer where no more fit. `load_max_age` is that of the settings.
#[must_use]
pub fn place(
    nodes: &NodeTable,
    demand: &Demand<'_>,
    siblings: &Siblings,
    count: u32,
    now: Timestamp,
    load_max_age: Duration,
) -> Vec<NodeIndex> {
    if count == 0 || nodes.is_empty() {
        return Vec::new();
    }
    let keep = filter::passing(&Question { nodes, demand, siblings });
    let scorer = Scorer::new(nodes, demand, now, load_max_age);
    Picker::new(&scorer, siblings, &keep).pick(count)
}

/// Whether a replica would fit on some node that takes replicas, if that node held nothing. Where this is false, no
/// waiting and no stopping of other replicas makes room.
#[must_use]
pub fn fits_empty(nodes: &NodeTable, demand: &Demand<'_>) -> bool {
    let mut keep = vec![true; nodes.len()];
    for kind in [FilterKind::NodeState, FilterKind::Runtime, FilterKind::Constraints] {
        kind.narrow(&Question { nodes, demand, siblings: &Siblings::default() }, &mut keep);
    }
    nodes.iter().any(|(index, record)| keep[index.at()] && record.capacity.covers(demand.resources))
}
