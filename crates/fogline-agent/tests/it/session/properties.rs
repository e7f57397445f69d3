//! Whatever servers say in whatever order, and whatever is lost on the way.

use std::collections::BTreeMap;

use fogline_agent::session::{Input, Output, Session};
use fogline_api::protocol::{FromAgent, FromServer};
use fogline_core::id::ReplicaId;
use proptest::prelude::*;

use super::{NODES, SECOND_US, authority, list, report, session, welcome};

const REPLICAS: usize = 6;

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Connected,
    Lost(u64),
    Welcome(u64, u8),
    NotLeader(bool),
    List(usize, u64, u8, u64),
    Acknowledge(u64),
    AcknowledgeLast,
    Report(usize, usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..5_000_000u64).prop_map(Event::Pass),
        4 => Just(Event::Connected),
        1 => any::<u64>().prop_map(Event::Lost),
        4 => (1..4u64, 0..2u8).prop_map(|(epoch, holder)| Event::Welcome(epoch, holder)),
        1 => any::<bool>().prop_map(Event::NotLeader),
        6 => (0..NODES.len(), 1..4u64, 0..2u8, 0..6u64)
            .prop_map(|(node, epoch, holder, generation)| Event::List(node, epoch, holder, generation)),
        1 => (0..20u64).prop_map(Event::Acknowledge),
        3 => Just(Event::AcknowledgeLast),
        6 => (0..NODES.len(), 0..REPLICAS / 2).prop_map(|(node, replica)| Event::Report(node, replica)),
    ]
}

fn holder(number: u8) -> &'static str {
    ["x", "y"][usize::from(number)]
}

/// What an honest server knows after what it was told, and what it has acknowledged.
#[derive(Default)]
struct Checker {
    now_us: u64,
    seq: u64,
    newest: BTreeMap<ReplicaId, u64>,
    told: BTreeMap<ReplicaId, u64>,
    unacknowledged: Vec<u64>,
    calls: i32,
    welcomed: bool,
    term: Option<(u64, String)>,
    generations: BTreeMap<String, u64>,
}

impl Checker {
    fn step(&mut self, session: &mut Session, input: Input) {
        for output in session.step(input, self.now_us) {
            match output {
                Output::Connect { .. } => {
                    self.calls += 1;
                    self.welcomed = false;
                    self.unacknowledged.clear();
                }
                Output::Send(FromAgent::Hello(_)) => assert!(!self.welcomed, "greeted twice"),
                Output::Send(FromAgent::Observation(observation)) => {
                    assert!(session.is_attached(), "said before the welcome");
                    self.unacknowledged.push(observation.number);
                    for report in observation.reports {
                        self.told.insert(report.replica_id, report.seq);
                    }
                }
                Output::Obey { node, list } => {
                    assert!(session.is_attached(), "obeyed before the welcome");
                    let (epoch, holder) = (list.authority.epoch, list.authority.holder.clone());
                    if let Some((last, last_holder)) = &self.term {
                        assert!(epoch >= *last, "an older epoch was obeyed");
                        assert!(epoch > *last || holder == *last_holder, "two holders of one epoch were obeyed");
                    }
                    if self.term.as_ref() != Some(&(epoch, holder.clone())) {
                        self.generations.clear();
                    }
                    self.term = Some((epoch, holder));
                    let last = self.generations.insert(node.to_string(), list.authority.generation);
                    assert!(last.is_none_or(|last| list.authority.generation >= last), "an older list was obeyed");
                }
                _ => {}
            }
        }
        assert!(session.next_wake().is_none_or(|wake_us| wake_us > self.now_us), "something due was left");
    }

    fn happen(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Pass(time_us) => {
                self.now_us += time_us;
                self.step(session, Input::Tick);
            }
            Event::Connected => self.step(session, Input::Connected),
            Event::Lost(random) => self.step(session, Input::Lost { random }),
            Event::Welcome(epoch, number) => self.step(session, welcome(authority(epoch, holder(number), 0))),
            Event::NotLeader(known) => {
                let leader = known.then(|| "c:1".to_owned());
                self.step(session, Input::Received(FromServer::NotLeader { leader }));
            }
            Event::List(node, epoch, number, generation) => {
                self.step(session, list(node, authority(epoch, holder(number), generation)));
            }
            // Of something that was said at some time, or never.
            Event::Acknowledge(number) => self.acknowledge(session, number),
            Event::AcknowledgeLast => {
                if let Some(number) = self.unacknowledged.last().copied() {
                    self.acknowledge(session, number);
                }
            }
            Event::Report(node, replica) => {
                self.seq += 1;
                // A replica has one node.
                let replica = node * (REPLICAS / 2) + replica;
                let input = report(node, replica, self.seq);
                let Input::Report { report, .. } = &input else { unreachable!("made above") };
                self.newest.insert(report.replica_id, self.seq);
                self.step(session, input);
            }
        }
    }

    fn acknowledge(&mut self, session: &mut Session, number: u64) {
        self.unacknowledged.retain(|known| *known != number);
        self.step(session, Input::Received(FromServer::Acknowledge { number }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_lower_is_obeyed_and_nothing_is_left_unsaid(events in proptest::collection::vec(event(), 1..150)) {
        let mut session = session();
        let mut checker = Checker::default();
        checker.step(&mut session, Input::Tick);
        for event in events {
            checker.happen(&mut session, event);
        }
        // A new leader that loses nothing comes to know the newest of everything.
        checker.step(&mut session, Input::Lost { random: 0 });
        checker.now_us += 20 * SECOND_US;
        checker.step(&mut session, Input::Tick);
        checker.step(&mut session, Input::Lost { random: 0 });
        checker.now_us += 20 * SECOND_US;
        checker.step(&mut session, Input::Tick);
        checker.step(&mut session, Input::Connected);
        checker.told.clear();
        checker.step(&mut session, welcome(authority(9, "z", 0)));
        prop_assert!(session.is_attached());
        for _ in 0..10 {
            while let Some(number) = checker.unacknowledged.pop() {
                checker.acknowledge(&mut session, number);
            }
        }
        prop_assert!(session.is_through());
        prop_assert_eq!(&checker.told, &checker.newest);
        prop_assert!(checker.calls < 200);
    }
}
