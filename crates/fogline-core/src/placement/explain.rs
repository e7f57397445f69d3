//! Why replicas go where they go, or nowhere: for people, so slower than placing and complete.
//!
//! Invariant: `found` is what [`place`] returns for the same question, and every node is counted once: either it will do
//! or the first filter that turned it away is named. Lists are bounded, counts are not. Tests: `tests.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::{FilterKind, Question, Verdict};
use super::score::{Score, Scorer};
use super::{Demand, Siblings, place};
use crate::cluster::{NodeIndex, NodeTable};
use crate::id::NodeId;
use crate::record::NodeRecord;
use crate::time::Timestamp;

/// How many of the nodes that will do a report lists.
const BEST_LISTED: usize = 20;
/// How many of the nodes that will not do a report lists.
const REJECTED_LISTED: usize = 50;

/// What became of the question where replicas could go.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlacementReport {
    /// How many replicas were to be placed.
    pub needed: u32,
    /// How many of them fit, all at once.
    pub found: u32,
    /// Nodes that were looked at: all of them.
    pub nodes_considered: u32,
    /// Nodes that take at least one replica.
    pub nodes_accepted: u32,
    /// Why the others take none, most frequent first; each node counts once, at the first filter that turned it away.
    pub turned_away: Vec<TurnedAway>,
    /// The best nodes that will do, best first; at most 20.
    pub best: Vec<NodeReport>,
    /// The first nodes that will not do; at most 50.
    pub rejected: Vec<NodeReport>,
}

/// How many nodes one filter turned away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnedAway {
    /// Which filter.
    pub filter: FilterKind,
    /// How many nodes.
    pub nodes: u32,
    /// What they lack, to follow the number of nodes: "lack runtime docker".
    pub reason: String,
}

/// One node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in NodeRecord")]
pub struct NodeReport {
    pub id: NodeId,
    pub name: String,
    pub region: String,
    pub zone: String,
    /// How many of the replicas would go there.
    pub chosen_for: u32,
    /// Its score for the first replica; nothing where it will not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreReport>,
    /// What each filter that was asked says of it.
    pub verdicts: Vec<Verdict>,
}

/// A score, taken apart.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScoreReport {
    /// 0.40 resources + 0.30 load + 0.30 locality, 0 to 1.
    pub total: f64,
    /// Mean share of processor time and memory that would stay free.
    pub resources: f64,
    /// Mean share of processor time and memory that is idle; 0.5 where the load was not told lately.
    pub load: f64,
    /// 1 in the zone that was asked for, 0.7 in its region, 0 elsewhere; 1 when nothing was asked for.
    pub locality: f64,
    /// Whether a replica of the deployment failed there a short while ago, which puts the node last.
    pub failed_here: bool,
    /// Replicas of the deployment on the node; fewer come first.
    pub on_node: u32,
    /// Replicas of the deployment in the zone; fewer come first. 0 when a locality was asked for.
    pub in_zone: u32,
}

impl PlacementReport {
    /// One sentence, such as "need 3, found 0: 3 of 3 nodes lack runtime docker".
    #[must_use]
    pub fn summary(&self) -> String {
        let start = format!("need {}, found {}", self.needed, self.found);
        if self.found >= self.needed {
            return start;
        }
        if self.nodes_considered == 0 {
            return format!("{start}: there are no nodes");
        }
        let all = self.nodes_considered;
        let mut parts: Vec<String> =
            self.turned_away.iter().map(|away| format!("{} of {all} nodes {}", away.nodes, away.reason)).collect();
        match self.nodes_accepted {
            0 => {}
            1 => parts.insert(0, format!("1 of {all} nodes has room for {}", self.found)),
            some => parts.insert(0, format!("{some} of {all} nodes have room for {} in all", self.found)),
        }
        format!("{start}: {}", parts.join(", "))
    }

    /// The filter that alone turned every node away; nothing where nodes differ in why, where one will do, or where
    /// there is no node.
    #[must_use]
    pub fn only_reason(&self) -> Option<&FilterKind> {
        match self.turned_away.as_slice() {
            [only] if only.nodes == self.nodes_considered => Some(&only.filter),
            _ => None,
        }
    }
}

/// Why `needed` replicas go where they go, or nowhere. Arguments as for [`place`], which gives the same answer without
/// the words.
#[must_use]
pub fn explain(
    nodes: &NodeTable,
    demand: &Demand<'_>,
    siblings: &Siblings,
    needed: u32,
    now: Timestamp,
    load_max_age: Duration,
) -> PlacementReport {
    let question = Question { nodes, demand, siblings };
    let scorer = Scorer::new(nodes, demand, now, load_max_age);
    let mut chosen_for: BTreeMap<NodeIndex, u32> = BTreeMap::new();
    for index in place(nodes, demand, siblings, needed, now, load_max_age) {
        *chosen_for.entry(index).or_default() += 1;
    }

    let mut in_zone = vec![0u32; nodes.zones()];
    if scorer.balances_zones() {
        scorer.held_by_zone(siblings).for_each(|(zone, held)| in_zone[zone] = in_zone[zone].saturating_add(held));
    }
    let mut considered = 0;
    let mut accepted: Vec<(Score, NodeIndex, &NodeRecord)> = Vec::new();
    let mut rejected = Vec::new();
    let mut away: BTreeMap<FilterKind, u32> = BTreeMap::new();
    for (index, record) in nodes.iter() {
        considered += 1;
        let refusal = FilterKind::ALL
            .into_iter()
            .find(|kind| kind.verdict(&question, index, record).is_some_and(|verdict| !verdict.passed));
        match refusal {
            None => {
                let held = in_zone[nodes.zone_number[index.at()] as usize];
                accepted.push((scorer.score(index, siblings, held), index, record));
            }
            Some(kind) => {
                *away.entry(kind).or_default() += 1;
                if rejected.len() < REJECTED_LISTED {
                    rejected.push(node_report(&question, index, record, 0, None));
                }
            }
        }
    }
    accepted.sort_unstable_by_key(|(score, index, _)| std::cmp::Reverse((*score, *index)));
    let best = accepted.iter().take(BEST_LISTED).map(|(score, index, record)| {
        let parts = scorer.parts(*index, 0);
        let score = ScoreReport {
            total: score.points.as_fraction(),
            resources: parts.resources,
            load: parts.load,
            locality: parts.locality,
            failed_here: !score.not_failed_here,
            on_node: score.on_node.0,
            in_zone: score.in_zone.0,
        };
        let chosen_for = chosen_for.get(index).copied().unwrap_or(0);
        node_report(&question, *index, record, chosen_for, Some(score))
    });

    let mut turned_away: Vec<TurnedAway> = away
        .into_iter()
        .map(|(filter, nodes)| TurnedAway { filter, nodes, reason: filter.reason(demand, nodes) })
        .collect();
    // Stable, so equally frequent ones stay in the order in which filters are looked at.
    turned_away.sort_by_key(|away| std::cmp::Reverse(away.nodes));
    PlacementReport {
        needed,
        found: chosen_for.values().sum(),
        nodes_considered: considered,
        nodes_accepted: u32::try_from(accepted.len()).unwrap_or(u32::MAX),
        turned_away,
        best: best.collect(),
        rejected,
    }
}

fn node_report(
    question: &Question<'_>,
    index: NodeIndex,
    record: &NodeRecord,
    chosen_for: u32,
    score: Option<ScoreReport>,
) -> NodeReport {
    NodeReport {
        id: record.id,
        name: record.name.clone(),
        region: record.region.clone(),
        zone: record.zone.clone(),
        chosen_for,
        score,
        verdicts: FilterKind::ALL.iter().filter_map(|kind| kind.verdict(question, index, record)).collect(),
    }
}
