//! Whatever happens in whatever order: [`World`] checks at every step that nothing is started twice or after its end,
//! that nothing is signalled without an order, that reports only move forward and that no port is given out twice.

use fogline_agent::driver::{StartError, Started};
use fogline_agent::supervisor::Input;
use fogline_core::assignment::Want;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{HealthCheck, HealthSpec, ReplicaTemplate};
use proptest::prelude::*;

use super::world::{RunState, SECOND_US, World, exit, id, template};

const REPLICAS: u32 = 5;

#[derive(Clone, Debug)]
enum Event {
    /// For each replica: 0 not listed, 1 run, 2 stop; and whether the list can be written.
    List(Vec<u8>, bool),
    Pass(u64),
    Started(u32),
    StartFails(u32, u8),
    PortTaken(u32),
    Exits(u32, i32),
    Answer(bool),
    /// Something old comes late.
    Late(u32, u32),
    RestartAgent,
}

fn event() -> impl Strategy<Value = Event> {
    let replica = 0..REPLICAS;
    prop_oneof![
        2 => list(0..3u8),
        2 => list(Just(1u8)),
        6 => prop_oneof![1..1_000u64, 1_000..1_000_000u64, 1_000_000..100_000_000u64].prop_map(Event::Pass),
        6 => replica.clone().prop_map(Event::Started),
        1 => (replica.clone(), 0..6u8).prop_map(|(replica, kind)| Event::StartFails(replica, kind)),
        1 => replica.clone().prop_map(Event::PortTaken),
        3 => (replica.clone(), 0..200i32).prop_map(|(replica, code)| Event::Exits(replica, code)),
        5 => prop::bool::weighted(0.7).prop_map(Event::Answer),
        1 => (replica, 0..6u32).prop_map(|(replica, run)| Event::Late(replica, run)),
        1 => Just(Event::RestartAgent),
    ]
}

fn list(want: impl Strategy<Value = u8>) -> impl Strategy<Value = Event> {
    let wants = proptest::collection::vec(want, REPLICAS as usize);
    (wants, prop::bool::weighted(0.8)).prop_map(|(wants, can_be_written)| Event::List(wants, can_be_written))
}

fn failure(kind: u8, run: u32) -> StartError {
    let program = "serve".to_owned();
    match kind {
        0 => StartError::NoCommand,
        1 => StartError::DiskFull { program, path: "/x".into() },
        2 => StartError::Interrupted,
        3 => StartError::AlreadyStarted { run, recorded: run + 2 },
        4 => StartError::Other { program, attempted: "fork".to_owned(), reason: "no".to_owned() },
        _ => StartError::NoResources { program, reason: "fork".to_owned() },
    }
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::List(wants, can_be_written) => {
            let mut list = Vec::new();
            for (number, want) in (0..REPLICAS).zip(wants) {
                let id = id(number);
                // A cluster never asks for what it has given up, nor takes a stop back.
                match want {
                    1 if !world.forgotten.contains(&id) && !world.stop_ordered.contains(&id) => {
                        list.push((id, Want::Run));
                    }
                    2 => list.push((id, Want::Stop)),
                    _ => {}
                }
            }
            world.set_list(&list);
            world.assign_as("one", (!can_be_written).then_some("no space left"));
        }
        Event::Pass(time_us) => world.pass(time_us),
        Event::Started(number) => world.started(id(number)),
        Event::StartFails(number, kind) => {
            if let Some(run) = world.runs.get_mut(&id(number)).filter(|run| run.state == RunState::Starting) {
                run.state = RunState::Ended(0);
                let run = run.order.run;
                world.step(Input::StartFailed { replica_id: id(number), run, error: failure(kind, run) });
            }
        }
        Event::PortTaken(number) => {
            if let Some(run) = world.runs.get_mut(&id(number)).filter(|run| run.state == RunState::Starting) {
                run.state = RunState::Ended(0);
                let (run, port) = (run.order.run, run.order.port);
                if let Some(port) = port {
                    world.step(Input::PortTaken { replica_id: id(number), run, port });
                }
            }
        }
        Event::Exits(number, code) => world.exits(id(number), code),
        Event::Answer(ok) => world.answer(ok),
        Event::Late(number, run) => {
            let current = world.runs.get(&id(number)).map(|run| run.order.run);
            if current != Some(run) {
                world.step(Input::Started { replica_id: id(number), run, started: Started::new("9".to_owned()) });
                world.step(Input::Exited { replica_id: id(number), run, exit: exit(1) });
                world.step(Input::Probed { replica_id: id(number), run, number: 1, result: Ok(()) });
            }
        }
        Event::RestartAgent => world.restart_agent(),
    }
}

fn health() -> impl Strategy<Value = Option<HealthSpec>> {
    prop_oneof![
        Just(None),
        (1..40u32, 1..4u32).prop_map(|(start_timeout_s, unhealthy_after)| Some(HealthSpec {
            start_timeout_s,
            unhealthy_after,
            ..HealthSpec::default()
        })),
        Just(Some(HealthSpec { check: HealthCheck::None, ..HealthSpec::default() })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_must_not_be_ever_is(
        events in proptest::collection::vec(event(), 1..120),
        health in health(),
        grace_s in 0..15u32,
    ) {
        let mut world = World::new(ReplicaTemplate { health, grace_s, ..template() });
        for event in events {
            happen(&mut world, event);
        }
        // What goes well from here on ends as it was asked for.
        let wanted: Vec<_> = (0..REPLICAS)
            .map(id)
            .filter(|id| !world.forgotten.contains(id) && !world.stop_ordered.contains(id))
            .collect();
        world.assign(&wanted.iter().map(|id| (*id, Want::Run)).collect::<Vec<_>>());
        for _ in 0..10 {
            for number in 0..REPLICAS {
                if world.stop_ordered.contains(&id(number)) {
                    world.exits(id(number), 0);
                }
                world.started(id(number));
            }
            // One that is being killed for not having been ready in time.
            for (id, _) in std::mem::take(&mut world.signals) {
                world.exits(id, 137);
            }
            world.pass_answering(70 * SECOND_US, true);
        }
        for id in wanted {
            let report = &world.reports[&id];
            prop_assert!(
                report.state == ReportedState::Failed || report.state == ReportedState::Stopped || report.ready,
                "{report:?}"
            );
        }
        for id in world.stop_ordered.clone() {
            let alive = world.runs.get(&id).is_some_and(|run| !matches!(run.state, RunState::Ended(_)));
            prop_assert!(!alive, "{id} was told to stop and runs");
        }
    }
}
