//! Takes nodes one after the other, so that each pick counts for the next one.
//!
//! Two heaps deep. Within a zone all candidates share the zone's count, so their order only changes for the one that was
//! picked; between zones only the zone that was picked from changes. So a pick costs two sifts, whatever the number of
//! nodes, and a zone is put in order only when a second node of it is looked for. Invariant: every pick is the node with
//! the greatest [`Score`] at that moment; `properties.rs` compares with the plain loop that says just that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::Siblings;
use super::score::{Score, Scorer};
use crate::cluster::NodeIndex;

/// A node that a replica may go to. Fields in the order in which they are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Candidate {
    /// With `in_zone` at 0: it is equal for all that are compared with one another here.
    score: Score,
    index: NodeIndex,
    /// Picks of this call that went there.
    taken: u32,
}

/// The candidates of one zone: a stretch of the candidates, the best of it first.
#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    start: usize,
    len: usize,
    /// Whether the whole stretch is a heap, not only its first element in place.
    ordered: bool,
    /// Replicas of the deployment in it.
    held: u32,
}

pub(super) struct Picker<'a> {
    scorer: &'a Scorer<'a>,
    candidates: Vec<Candidate>,
    zones: Vec<Zone>,
    most_on_one_node: u32,
}

impl<'a> Picker<'a> {
    /// Scores the nodes that `keep` says and groups them by zone.
    pub(super) fn new(scorer: &'a Scorer<'a>, siblings: &Siblings, keep: &[bool]) -> Self {
        let zone_of = |at: usize| if scorer.balances_zones() { scorer.nodes.zone_number[at] as usize } else { 0 };
        let mut zones = vec![Zone::default(); if scorer.balances_zones() { scorer.nodes.zones() } else { 1 }];
        let kept = (0u32..).zip(keep).filter(|(_, keep)| **keep).map(|(at, _)| NodeIndex(at));
        // Added for every node, kept or not: the processor would guess a branch here wrongly too often.
        for (at, keep) in keep.iter().enumerate() {
            zones[zone_of(at)].len += usize::from(*keep);
        }
        let mut start = 0;
        for zone in &mut zones {
            zone.start = start;
            start += std::mem::take(&mut zone.len);
        }
        if scorer.balances_zones() {
            for (zone, held) in scorer.held_by_zone(siblings) {
                zones[zone].held = zones[zone].held.saturating_add(held);
            }
        }
        let blank = Candidate { score: WORST, index: NodeIndex(u32::MAX), taken: 0 };
        let mut candidates = vec![blank; start];
        for index in kept {
            let score = Score {
                not_failed_here: true,
                on_node: Reverse(0),
                in_zone: Reverse(0),
                points: scorer.parts(index, 0).points(),
                tie: scorer.tie(index),
            };
            let zone = &mut zones[zone_of(index.at())];
            candidates[zone.start + zone.len] = Candidate { score, index, taken: 0 };
            zone.len += 1;
        }
        let mut picker = Self { scorer, candidates, zones, most_on_one_node: scorer.demand.most_on_one_node() };
        picker.mark_siblings(siblings, zone_of);
        for zone in &mut picker.zones {
            bring_best_to_front(&mut picker.candidates[zone.start..zone.start + zone.len]);
        }
        picker
    }

    /// Few nodes hold siblings or saw one fail, so they are looked up once all are scored. A zone's stretch is still in
    /// the order of places then.
    fn mark_siblings(&mut self, siblings: &Siblings, zone_of: impl Fn(usize) -> usize) {
        let affected = siblings.on_node.keys().chain(&siblings.failed_on);
        for index in affected {
            if index.at() >= self.scorer.nodes.len() {
                continue;
            }
            let zone = self.zones[zone_of(index.at())];
            let stretch = &mut self.candidates[zone.start..zone.start + zone.len];
            if let Ok(found) = stretch.binary_search_by_key(index, |candidate| candidate.index) {
                let score = &mut stretch[found].score;
                score.on_node = Reverse(siblings.on_node.get(index).copied().unwrap_or(0));
                score.not_failed_here = !siblings.failed_on.contains(index);
            }
        }
    }

    /// The next `count` nodes, best first; fewer where no more fit.
    pub(super) fn pick(mut self, count: u32) -> Vec<NodeIndex> {
        let mut queue: BinaryHeap<(Score, Reverse<usize>)> =
            (0..self.zones.len()).filter_map(|zone| Some((self.best_of(zone)?, Reverse(zone)))).collect();
        let mut picked = Vec::new();
        for left in (0..count).rev() {
            let Some(mut top) = queue.peek_mut() else { break };
            let zone = top.1.0;
            picked.push(self.candidates[self.zones[zone].start].index);
            if left == 0 {
                break;
            }
            self.take_first(zone);
            match self.best_of(zone) {
                Some(score) => top.0 = score,
                None => drop(PeekMut::pop(top)),
            }
        }
        picked
    }

    /// The score of a zone's best node, with the zone's count.
    fn best_of(&self, zone: usize) -> Option<Score> {
        let Zone { start, len, held, .. } = self.zones[zone];
        (len > 0).then(|| Score { in_zone: Reverse(held), ..self.candidates[start].score })
    }

    /// Counts a replica on the first node of a zone, which stays where it is, sinks, or leaves when it is full.
    fn take_first(&mut self, zone: usize) {
        let zone = &mut self.zones[zone];
        if self.scorer.balances_zones() {
            zone.held = zone.held.saturating_add(1);
        }
        let first = &mut self.candidates[zone.start];
        first.taken += 1;
        if first.taken < self.most_on_one_node && self.scorer.fits(first.index, first.taken) {
            first.score.on_node.0 = first.score.on_node.0.saturating_add(1);
            first.score.points = self.scorer.parts(first.index, first.taken).points();
        } else {
            zone.len -= 1;
            self.candidates.swap(zone.start, zone.start + zone.len);
        }
        let stretch = &mut self.candidates[zone.start..zone.start + zone.len];
        if zone.ordered {
            sift_down(stretch, 0);
        } else {
            for root in (0..stretch.len() / 2).rev() {
                sift_down(stretch, root);
            }
            zone.ordered = true;
        }
    }
}

const WORST: Score = Score {
    not_failed_here: false,
    on_node: Reverse(u32::MAX),
    in_zone: Reverse(u32::MAX),
    points: super::score::Points(0),
    tie: 0,
};

/// A loop over places, because `max` copies every candidate that it compares.
fn bring_best_to_front(stretch: &mut [Candidate]) {
    let mut best = 0;
    for at in 1..stretch.len() {
        if stretch[at] > stretch[best] {
            best = at;
        }
    }
    if best > 0 {
        stretch.swap(0, best);
    }
}

/// Restores a max-heap whose element at `root` may be too small. A heap over a slice, because the zones share one
/// allocation: the standard library's wants one each.
fn sift_down(heap: &mut [Candidate], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child + 1] > heap[child] {
            child += 1;
        }
        if heap[root] >= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}
