//! Which of two nodes that will both do is better.
//!
//! A [`Score`] is compared field by field, so the order of its fields is the order of what matters. Points are FUNC-01's
//! 0.40 resources + 0.30 load + 0.30 locality, in whole millionths: comparing never meets a NaN, and differences too
//! small to mean anything are ties. Must never turn a node away: that is a filter's. Invariant: no two nodes of one
//! deployment have the same score, because ids differ (and where 64 bits of hash do not, the node's place decides).

use std::cmp::Reverse;
use std::time::Duration;

use super::{Demand, Siblings};
use crate::cluster::{NodeIndex, NodeTable, UNKNOWN_LOAD_PERCENT};
use crate::id::DeploymentId;
use crate::quantity::Resources;
use crate::time::Timestamp;

/// Weight of what would stay free.
pub const RESOURCES_WEIGHT: f64 = 0.40;
/// Weight of how idle the node is.
pub const LOAD_WEIGHT: f64 = 0.30;
/// Weight of being where it was asked for.
pub const LOCALITY_WEIGHT: f64 = 0.30;

/// Locality of a node in the region that was asked for, though not in the zone.
const SAME_REGION: f64 = 0.7;

/// How good a node is for the next replica. Greater is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Score {
    /// No replica of the deployment failed there a short while ago.
    pub not_failed_here: bool,
    /// Replicas of the deployment that the node holds.
    pub on_node: Reverse<u32>,
    /// Replicas of the deployment that the zone holds; 0 everywhere when a locality was asked for.
    pub in_zone: Reverse<u32>,
    /// FUNC-01's formula.
    pub points: Points,
    /// So that equal nodes are not taken in the same order by every deployment.
    pub tie: u64,
}

/// Millionths, 0 to 1,000,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Points(pub u32);

impl Points {
    /// The number as the seed's logs print it: 0 to 1.
    #[must_use]
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    fn from_fraction(fraction: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1 by its parts; NaN is 0")]
        Self((fraction * 1e6 + 0.5) as u32)
    }
}

/// The three parts of the points, each 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parts {
    /// Mean share of processor time and memory that stays free once the replica is there.
    pub resources: f64,
    /// Mean share of processor time and memory that is idle.
    pub load: f64,
    /// 1 in the zone that was asked for, 0.7 in its region, 0 elsewhere; 1 when nothing was asked for.
    pub locality: f64,
}

impl Parts {
    /// The weighted sum.
    #[must_use]
    pub fn points(self) -> Points {
        Points::from_fraction(
            RESOURCES_WEIGHT * self.resources + LOAD_WEIGHT * self.load + LOCALITY_WEIGHT * self.locality,
        )
    }
}

/// Scores nodes for one demand.
#[derive(Debug)]
pub(super) struct Scorer<'a> {
    pub nodes: &'a NodeTable,
    pub demand: &'a Demand<'a>,
    need: Resources,
    /// Load that was told before this says nothing any more.
    fresh_from: Timestamp,
    /// By zone number; nothing where no locality was asked for.
    locality: Option<Vec<f64>>,
    deployment_hash: u64,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(nodes: &'a NodeTable, demand: &'a Demand<'a>, now: Timestamp, load_max_age: Duration) -> Self {
        let max_age = i64::try_from(load_max_age.as_micros()).unwrap_or(i64::MAX);
        // `EPOCH` marks a load that was never told, so fresh begins after it.
        let fresh_from = now.as_micros().saturating_sub(max_age).max(Timestamp::EPOCH.as_micros() + 1);
        Self {
            nodes,
            demand,
            need: demand.resources,
            fresh_from: Timestamp::from_micros(fresh_from),
            locality: localities(nodes, demand),
            deployment_hash: hash(demand.deployment_id),
        }
    }

    /// Whether zones should hold equally many: not where somebody said where they want it.
    pub(super) fn balances_zones(&self) -> bool {
        self.locality.is_none()
    }

    /// How many of the siblings are on each node, as zone number and count, in the order of places.
    pub(super) fn held_by_zone(&self, siblings: &Siblings) -> impl Iterator<Item = (usize, u32)> {
        let zone_of = |index: &NodeIndex| self.nodes.zone_number.get(index.at()).map(|zone| *zone as usize);
        siblings.on_node.iter().filter_map(move |(index, held)| Some((zone_of(index)?, *held)))
    }

    /// The score of a node for the first replica of a call, where its zone holds `in_zone`.
    pub(super) fn score(&self, index: NodeIndex, siblings: &Siblings, in_zone: u32) -> Score {
        Score {
            not_failed_here: !siblings.failed_on.contains(&index),
            on_node: Reverse(siblings.on_node.get(&index).copied().unwrap_or(0)),
            in_zone: Reverse(in_zone),
            points: self.parts(index, 0).points(),
            tie: self.tie(index),
        }
    }

    /// The parts of a node's points, were `more` replicas put there before this one.
    pub(super) fn parts(&self, index: NodeIndex, more: u32) -> Parts {
        let at = index.at();
        let before_this = f64::from(more) + 1.0;
        let share = |free: u32, need: u32, capacity: u32| {
            (f64::from(free) - f64::from(need) * before_this) / f64::from(capacity.max(1))
        };
        let cpu = share(self.nodes.free_cpu_millis[at], self.need.cpu_millis.0, self.nodes.capacity_cpu_millis[at]);
        let memory = share(self.nodes.free_memory_mb[at], self.need.memory_mb, self.nodes.capacity_memory_mb[at]);
        let fresh = self.nodes.usage_at[at] >= self.fresh_from;
        let told = |percent: f32| f64::from(if fresh { percent } else { UNKNOWN_LOAD_PERCENT });
        let (cpu_percent, memory_percent) = (told(self.nodes.cpu_percent[at]), told(self.nodes.memory_percent[at]));
        let zone = self.nodes.zone_number[at] as usize;
        Parts {
            resources: (cpu + memory) / 2.0,
            load: (200.0 - cpu_percent - memory_percent) * 0.005,
            locality: self.locality.as_ref().map_or(1.0, |by_zone| by_zone[zone]),
        }
    }

    /// Whether one more fits after `more` others of this call.
    pub(super) fn fits(&self, index: NodeIndex, more: u32) -> bool {
        let at = index.at();
        let copies = u64::from(more) + 1;
        let fits = |free: u32, need: u32| u64::from(free) >= u64::from(need) * copies;
        fits(self.nodes.free_cpu_millis[at], self.need.cpu_millis.0)
            && fits(self.nodes.free_memory_mb[at], self.need.memory_mb)
            && fits(self.nodes.free_gpu_units[at], self.need.gpu_units)
            && fits(self.nodes.free_storage_gb[at], self.need.storage_gb)
    }

    /// What decides between nodes that are equal otherwise.
    pub(super) fn tie(&self, index: NodeIndex) -> u64 {
        (self.nodes.tie_hash[index.at()] ^ self.deployment_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The locality of each zone number.
fn localities(nodes: &NodeTable, demand: &Demand<'_>) -> Option<Vec<f64>> {
    let (wanted_region, wanted_zone) = (demand.placement.region.as_deref(), demand.placement.zone.as_deref());
    if wanted_region.is_none() && wanted_zone.is_none() {
        return None;
    }
    let mut by_zone = vec![0.0; nodes.zones()];
    for (region, zone, number) in nodes.zone_names() {
        let in_region = wanted_region.is_none_or(|wanted| wanted == region);
        let in_zone = wanted_zone.is_some_and(|wanted| wanted == zone);
        by_zone[number as usize] = match (in_region, in_zone) {
            (true, true) => 1.0,
            (true, false) if wanted_region.is_some() => SAME_REGION,
            _ => 0.0,
        };
    }
    Some(by_zone)
}

/// SplitMix64's finish over both halves of the id: ids made in the same millisecond differ in every bit after it.
fn hash(id: DeploymentId) -> u64 {
    let id = id.as_uuid().as_u128();
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let mut z = (id as u64) ^ ((id >> 64) as u64).rotate_left(17);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
