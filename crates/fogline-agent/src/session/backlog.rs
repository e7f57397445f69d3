//! What the leader has not confirmed yet.
//!
//! Holds the newest report of each replica, so it is bounded by the number of replicas however long no server is there.
//! Invariant: a report leaves the backlog only when the very report, or a newer one, was acknowledged. Tests: below, and
//! properties in `tests/it/session.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fogline_api::protocol::NodeObservation;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReplicaReport;

/// Reports in one message: even with the longest texts it stays below what a gRPC message may hold.
const REPORTS_A_MESSAGE: usize = 256;
/// An observation that is not acknowledged is sent again so often.
pub(super) const RESEND_US: u64 = 2_000_000;

#[derive(Clone, Debug)]
struct Entry {
    report: ReplicaReport,
    /// The leader has it.
    confirmed: bool,
    /// The supervisor has forgotten the replica; the entry goes once it is confirmed.
    forgotten: bool,
}

#[derive(Debug)]
struct InFlight {
    observation: NodeObservation,
    resend_at_us: u64,
}

#[derive(Debug, Default)]
struct Node {
    entries: BTreeMap<ReplicaId, Entry>,
    in_flight: Option<InFlight>,
    /// The leader was told of this node in this session, if only that it has nothing.
    greeted: bool,
}

/// The reports of all nodes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    nodes: BTreeMap<Arc<str>, Node>,
    last_number: u64,
}

impl Backlog {
    /// Takes a report. One that is older than what is there changes nothing.
    pub fn add(&mut self, node: &Arc<str>, report: ReplicaReport) {
        let entries = &mut self.nodes.entry(Arc::clone(node)).or_default().entries;
        if entries.get(&report.replica_id).is_none_or(|entry| entry.report.seq < report.seq) {
            entries.insert(report.replica_id, Entry { report, confirmed: false, forgotten: false });
        }
    }

    /// The replica is gone: its last report is kept until it is confirmed.
    pub fn forget(&mut self, replica_id: ReplicaId) {
        for node in self.nodes.values_mut() {
            if let Some(entry) = node.entries.get_mut(&replica_id) {
                entry.forgotten = true;
                if entry.confirmed {
                    node.entries.remove(&replica_id);
                }
            }
        }
    }

    /// A new session: everything is told anew.
    pub fn restart(&mut self) {
        for node in self.nodes.values_mut() {
            node.in_flight = None;
            node.greeted = false;
            for entry in node.entries.values_mut() {
                entry.confirmed = false;
            }
        }
    }

    /// Makes sure that a node is told of, even when it has nothing.
    pub fn present(&mut self, node: &Arc<str>) {
        self.nodes.entry(Arc::clone(node)).or_default();
    }

    /// The leader has an observation for good.
    pub fn acknowledged(&mut self, number: u64) {
        for node in self.nodes.values_mut() {
            let Some(in_flight) = node.in_flight.take_if(|in_flight| in_flight.observation.number == number) else {
                continue;
            };
            for report in in_flight.observation.reports {
                let id = report.replica_id;
                if let Some(entry) = node.entries.get_mut(&id)
                    && entry.report.seq == report.seq
                {
                    entry.confirmed = true;
                    if entry.forgotten {
                        node.entries.remove(&id);
                    }
                }
            }
        }
    }

    /// What is to be sent now: at most one observation a node is on its way, and what comes meanwhile is gathered.
    pub fn due(&mut self, ids: &BTreeMap<Arc<str>, NodeId>, now_us: u64) -> Vec<NodeObservation> {
        let mut due = Vec::new();
        for (name, node) in &mut self.nodes {
            let Some(node_id) = ids.get(name) else { continue };
            if let Some(in_flight) = &mut node.in_flight {
                if now_us >= in_flight.resend_at_us {
                    in_flight.resend_at_us = now_us.saturating_add(RESEND_US);
                    due.push(in_flight.observation.clone());
                }
                continue;
            }
            let unconfirmed = node.entries.values().filter(|entry| !entry.confirmed);
            let reports: Vec<ReplicaReport> =
                unconfirmed.take(REPORTS_A_MESSAGE).map(|entry| entry.report.clone()).collect();
            if reports.is_empty() && node.greeted {
                continue;
            }
            node.greeted = true;
            self.last_number += 1;
            let observation = NodeObservation { node_id: *node_id, number: self.last_number, reports };
            due.push(observation.clone());
            node.in_flight = Some(InFlight { observation, resend_at_us: now_us.saturating_add(RESEND_US) });
        }
        due
    }

    /// Whether everything was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.nodes.values().all(|node| node.entries.values().all(|entry| entry.confirmed))
    }

    /// When something is to be sent again.
    pub fn next_wake(&self) -> Option<u64> {
        self.nodes.values().filter_map(|node| Some(node.in_flight.as_ref()?.resend_at_us)).min()
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::observation::ReportedState;
    use fogline_core::time::Timestamp;

    use super::*;

    struct Fixture {
        backlog: Backlog,
        node: Arc<str>,
        ids: BTreeMap<Arc<str>, NodeId>,
        source: IdSource,
    }

    fn fixture() -> Fixture {
        let mut source = IdSource::new(1);
        let node: Arc<str> = "one".into();
        let ids = [(Arc::clone(&node), source.next(Timestamp::EPOCH))].into();
        Fixture { backlog: Backlog::default(), node, ids, source }
    }

    fn report(replica_id: ReplicaId, seq: u64) -> ReplicaReport {
        ReplicaReport {
            replica_id,
            seq,
            state: ReportedState::Running,
            ready: true,
            restarts: 0,
            endpoint: None,
            container_id: None,
            image_digest: None,
            exit_code: None,
            message: None,
        }
    }

    #[test]
    fn one_is_on_its_way_and_the_newest_of_the_rest_follows() {
        let Fixture { mut backlog, node, ids, mut source } = fixture();
        let id: ReplicaId = source.next(Timestamp::EPOCH);
        backlog.add(&node, report(id, 1));
        let first = backlog.due(&ids, 0);
        assert_eq!((first.len(), first[0].number, first[0].reports[0].seq), (1, 1, 1));
        for seq in [3, 2, 4] {
            backlog.add(&node, report(id, seq));
        }
        assert_eq!(backlog.due(&ids, 1), [], "nothing while one is on its way");
        assert_eq!(backlog.due(&ids, RESEND_US), first, "the same again, with the same number");
        backlog.acknowledged(77);
        backlog.acknowledged(1);
        let second = backlog.due(&ids, RESEND_US + 1);
        assert_eq!((second[0].number, second[0].reports.clone()), (2, vec![report(id, 4)]));
        backlog.acknowledged(2);
        assert_eq!(backlog.due(&ids, u64::MAX), []);
    }

    #[test]
    fn a_new_session_hears_of_everything_and_of_nodes_that_have_nothing() {
        let Fixture { mut backlog, node, mut ids, mut source } = fixture();
        let empty: Arc<str> = "two".into();
        ids.insert(Arc::clone(&empty), source.next(Timestamp::EPOCH));
        backlog.present(&empty);
        let id: ReplicaId = source.next(Timestamp::EPOCH);
        backlog.add(&node, report(id, 1));
        for _ in 0..2 {
            backlog.restart();
            let all = backlog.due(&ids, 0);
            assert_eq!(all.iter().map(|one| one.reports.len()).collect::<Vec<_>>(), [1, 0]);
            all.iter().for_each(|one| backlog.acknowledged(one.number));
            assert_eq!(backlog.due(&ids, 0), []);
        }
    }

    #[test]
    fn the_last_word_of_a_replica_that_is_gone_is_kept_until_it_is_heard() {
        let Fixture { mut backlog, node, ids, mut source } = fixture();
        let id: ReplicaId = source.next(Timestamp::EPOCH);
        backlog.add(&node, report(id, 1));
        backlog.forget(id);
        backlog.restart();
        assert_eq!(backlog.due(&ids, 0)[0].reports, [report(id, 1)]);
        backlog.acknowledged(1);
        backlog.restart();
        assert_eq!(backlog.due(&ids, 0)[0].reports, []);
    }

    #[test]
    fn long_lists_go_in_pieces() {
        let Fixture { mut backlog, node, ids, mut source } = fixture();
        for seq in 1..=600 {
            backlog.add(&node, report(source.next(Timestamp::EPOCH), seq));
        }
        let mut sizes = Vec::new();
        while let [observation] = &backlog.due(&ids, 0)[..] {
            sizes.push(observation.reports.len());
            backlog.acknowledged(observation.number);
        }
        assert_eq!(sizes, [256, 256, 88]);
    }
}
