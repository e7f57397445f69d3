//! The cases that people know.

use fogline_agent::session::{Input, Obeyed, Output, Refusal, Session};
use fogline_api::protocol::{FromAgent, FromServer};
use fogline_core::record::Runtimes;
use fogline_core::spec::Runtime;

use super::{NODES, SECOND_US, authority, called, list, report, session, welcome};

/// Welcomed by the leader of epoch 5, everything acknowledged; with the time.
fn attached() -> (Session, u64) {
    let mut session = session();
    let now_us = SECOND_US;
    assert_eq!(called(&session.step(Input::Tick, now_us)), Some("a:1"));
    session.step(Input::Connected, now_us);
    let outputs = session.step(welcome(authority(5, "x", 1)), now_us);
    acknowledge(&mut session, &outputs, now_us);
    (session, now_us)
}

fn observations(outputs: &[Output]) -> Vec<(u64, usize)> {
    let observation = |output: &Output| match output {
        Output::Send(FromAgent::Observation(observation)) => Some((observation.number, observation.reports.len())),
        _ => None,
    };
    outputs.iter().filter_map(observation).collect()
}

fn acknowledge(session: &mut Session, outputs: &[Output], now_us: u64) {
    for (number, _) in observations(outputs) {
        session.step(Input::Received(FromServer::Acknowledge { number }), now_us);
    }
}

#[test]
fn it_calls_greets_and_tells_everything() {
    let mut session = session();
    session.step(report(0, 1, 1), 0);
    let outputs = session.step(Input::Connected, 0);
    let [Output::Send(FromAgent::Hello(hello))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((hello.cluster_id.clone(), hello.obeyed.clone(), hello.nodes.len()), (None, None, NODES.len()));
    assert!(!session.is_attached());
    let outputs = session.step(welcome(authority(5, "x", 1)), 0);
    assert!(session.is_attached());
    assert!(matches!(outputs[0], Output::Remember(_)), "{outputs:?}");
    assert!(matches!(&outputs[1], Output::Heartbeat { nodes } if nodes.len() == NODES.len()), "{outputs:?}");
    assert_eq!(observations(&outputs), [(1, 1), (2, 0)], "also of a node that has nothing");
}

#[test]
fn what_nodes_offer_anew_is_declared_by_calling_again() {
    let (mut session, now_us) = attached();
    let both = Runtimes::of(&Runtime::ALL);
    let outputs = session.step(Input::Offer(both), now_us);
    assert!(matches!(outputs[..], [Output::Disconnect]), "{outputs:?}");
    session.step(Input::Lost { random: 0 }, now_us);
    let later_us = session.next_wake().expect("it calls again");
    assert!(called(&session.step(Input::Tick, later_us)).is_some());
    let outputs = session.step(Input::Connected, later_us);
    let [Output::Send(FromAgent::Hello(hello))] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(hello.nodes.iter().all(|node| node.runtimes == both));
    // What is no news is no reason to hang up.
    assert_eq!(session.step(Input::Offer(both), later_us), []);
}

#[test]
fn it_gives_a_sign_of_life_as_often_as_it_was_told() {
    let (mut session, start_us) = attached();
    let mut heartbeats = 0;
    while let Some(wake_us) = session.next_wake().filter(|wake_us| *wake_us <= start_us + 60 * SECOND_US) {
        let outputs = session.step(Input::Tick, wake_us);
        heartbeats += outputs.iter().filter(|output| matches!(output, Output::Heartbeat { .. })).count();
    }
    assert_eq!(heartbeats, 20);
}

#[test]
fn it_says_again_what_is_not_acknowledged_and_everything_to_the_next_leader() {
    let (mut session, now_us) = attached();
    let sent = observations(&session.step(report(0, 1, 7), now_us));
    assert_eq!(sent.len(), 1);
    let again = session.step(Input::Tick, now_us + 2 * SECOND_US);
    assert_eq!(observations(&again), sent, "the same number");
    assert!(!session.is_through());
    session.step(Input::Received(FromServer::Acknowledge { number: sent[0].0 }), now_us + 3 * SECOND_US);
    assert!(session.is_through());

    session.step(Input::Lost { random: 1 }, now_us + 3 * SECOND_US);
    assert!(!session.is_attached());
    let wake_us = session.next_wake().expect("it calls again");
    assert_eq!(called(&session.step(Input::Tick, wake_us)), Some("b:1"));
    session.step(Input::Connected, wake_us);
    let outputs = session.step(welcome(authority(6, "y", 1)), wake_us);
    assert_eq!(observations(&outputs).iter().map(|(_, reports)| *reports).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn it_goes_to_the_leader_that_it_is_told_of() {
    let mut session = session();
    assert_eq!(called(&session.step(Input::Tick, 0)), Some("a:1"));
    session.step(Input::Connected, 0);
    let leader = Some("leader:9".to_owned());
    let outputs = session.step(Input::Received(FromServer::NotLeader { leader }), 0);
    assert_eq!(outputs, [Output::Disconnect]);
    assert_eq!(called(&session.step(Input::Lost { random: 7 }, 0)), Some("leader:9"), "at once");
    session.step(Input::Connected, 0);
    session.step(Input::Received(FromServer::NotLeader { leader: None }), 0);
    assert_eq!(called(&session.step(Input::Lost { random: 7 }, 0)), None, "nobody knows: after a pause");
    let wake_us = session.next_wake().expect("a call is planned");
    assert_eq!(called(&session.step(Input::Tick, wake_us)), Some("b:1"));
}

#[test]
fn it_gives_a_silent_server_up() {
    let mut session = session();
    session.step(Input::Tick, 0);
    session.step(Input::Connected, 0);
    let wake_us = session.next_wake().expect("a deadline");
    assert_eq!(session.step(Input::Tick, wake_us), [Output::Disconnect]);
    session.step(Input::Lost { random: 0 }, wake_us);
    assert!(session.next_wake().is_some_and(|at_us| at_us > wake_us));
}

#[test]
fn it_leaves_a_server_that_is_not_to_be_obeyed() {
    let other = fogline_core::assignment::Authority { cluster_id: "other".to_owned(), ..authority(9, "z", 1) };
    for stranger in [authority(4, "x", 99), authority(5, "y", 99), other] {
        let (mut session, now_us) = attached();
        session.step(Input::Lost { random: 0 }, now_us);
        let now_us = session.next_wake().expect("it calls again");
        session.step(Input::Tick, now_us);
        session.step(Input::Connected, now_us);
        let outputs = session.step(welcome(stranger.clone()), now_us);
        assert!(matches!(&outputs[..], [Output::Refused(_), Output::Disconnect]), "{stranger:?}: {outputs:?}");
        assert_eq!(session.step(list(0, stranger), now_us), [], "it has hung up");
        assert_eq!(session.obeyed().highest().map(|highest| highest.epoch), Some(5));
    }
}

#[test]
fn it_obeys_lists_that_are_not_older() {
    let (mut session, now_us) = attached();
    for (node, generation, obeyed) in
        [(0, 10, true), (1, 7, true), (0, 9, false), (0, 10, true), (0, 12, true), (1, 8, true), (1, 7, false)]
    {
        let outputs = session.step(list(node, authority(5, "x", generation)), now_us);
        match &outputs[..] {
            [Output::Obey { node: name, .. }] => assert!(obeyed && **name == *NODES[node]),
            [Output::Refused(Refusal::OldGeneration { .. })] => assert!(!obeyed),
            other => panic!("{other:?}"),
        }
        assert!(session.is_attached(), "a message that was overtaken is no reason to leave");
    }
    let outputs = session.step(list(7, authority(5, "x", 99)), now_us);
    assert!(matches!(&outputs[..], [Output::Refused(Refusal::UnknownNode { .. })]), "{outputs:?}");
    let outputs = session.step(list(0, authority(4, "x", 99)), now_us);
    assert!(matches!(&outputs[..], [Output::Refused(_), Output::Disconnect]), "{outputs:?}");
}

#[test]
fn it_obeys_nobody_before_the_welcome() {
    let mut session = session();
    session.step(Input::Tick, 0);
    session.step(Input::Connected, 0);
    let outputs = session.step(list(0, authority(5, "x", 1)), 0);
    assert_eq!(outputs, [Output::Refused(Refusal::NotWelcomed)]);
    assert_eq!(session.obeyed(), &Obeyed::default());
}
