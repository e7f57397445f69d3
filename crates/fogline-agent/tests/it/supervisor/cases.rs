//! The cases that people know.

use fogline_agent::driver::{Adopted, AdoptedState, Signal, StartError, Started};
use fogline_agent::supervisor::{CRASH_LOOP, Input};
use fogline_core::assignment::Want;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{HealthCheck, HealthSpec, ReplicaTemplate, Runtime};

use super::world::{RunState, SECOND_US, World, id, template};

/// A replica that runs and is ready.
fn running() -> World {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.bring_up();
    assert_eq!(world.state(id(1)), ReportedState::Running);
    world
}

#[test]
fn a_replica_is_running_when_its_check_passes_and_not_before() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    assert_eq!(world.runs[&id(1)].order.port, Some(20_000));
    world.started(id(1));
    world.pass_answering(5 * SECOND_US, false);
    assert_eq!(world.state(id(1)), ReportedState::Starting);
    world.pass_answering(SECOND_US, true);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready, report.restarts), (ReportedState::Running, true, 0));
    assert_eq!(report.endpoint.as_deref(), Some("127.0.0.1:20000"));
}

#[test]
fn a_check_that_fails_later_takes_readiness_away_and_nothing_else() {
    let mut world = running();
    world.pass_answering(60 * SECOND_US, false);
    let report = world.reports[&id(1)].clone();
    assert_eq!((report.state, report.ready), (ReportedState::Running, false));
    assert!(report.message.is_some_and(|message| message.contains("readiness")));
    world.pass_answering(2 * SECOND_US, true);
    assert!(world.reports[&id(1)].ready);
    assert_eq!((world.take_signals(), world.runs[&id(1)].order.run), (vec![], 1));
}

#[test]
fn one_that_is_not_ready_in_time_is_killed_and_restarted() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    world.pass_answering(31 * SECOND_US, false);
    assert_eq!(world.take_signals(), [Signal::Kill]);
    world.exits(id(1), 137);
    let message = world.reports[&id(1)].message.clone().expect("a reason");
    assert!(message.contains("start_timeout_s") && message.contains("refused"), "{message}");
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 2);
    assert_eq!(world.reports[&id(1)].restarts, 1);
}

#[test]
fn a_crash_restarts_in_place_on_the_same_port_after_a_pause() {
    let mut world = running();
    world.exits(id(1), 3);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready, report.exit_code), (ReportedState::Running, false, Some(3)));
    world.pass(199_999);
    assert_eq!(world.runs[&id(1)].order.run, 1);
    world.pass(1);
    let order = &world.runs[&id(1)].order;
    assert_eq!((order.run, order.port), (2, Some(20_000)));
    world.bring_up();
    assert_eq!((world.reports[&id(1)].ready, world.reports[&id(1)].restarts), (true, 1));
}

#[test]
fn one_that_ends_before_it_is_ready_tries_another_port() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    world.exits(id(1), 1);
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.port, Some(20_001));
}

#[test]
fn a_crash_loop_ends_for_good_with_the_reason() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    for crash in 1..=CRASH_LOOP {
        assert_ne!(world.state(id(1)), ReportedState::Failed, "crash {crash}");
        world.started(id(1));
        world.exits(id(1), 7);
        world.pass(60 * SECOND_US);
    }
    let report = world.reports[&id(1)].clone();
    let message = report.message.expect("a reason");
    assert_eq!((report.state, report.exit_code, report.restarts), (ReportedState::Failed, Some(7), CRASH_LOOP - 1));
    assert!(message.contains("crash loop") && message.contains("code 7"), "{message}");
    world.restart_agent();
    world.pass(600 * SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, CRASH_LOOP, "not even a new agent starts it again");
}

#[test]
fn being_steady_in_between_is_no_crash_loop() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    for _ in 0..3 * CRASH_LOOP {
        world.bring_up();
        world.pass_answering(11 * SECOND_US, true);
        world.exits(id(1), 1);
        world.pass(61 * SECOND_US);
    }
    assert_eq!(world.state(id(1)), ReportedState::Running);
}

#[test]
fn what_no_retry_can_heal_fails_at_once() {
    let program = || "serve".to_owned();
    let errors = [
        StartError::NoCommand,
        StartError::NoProgram { program: program(), searched: "/bin".to_owned() },
        StartError::NotPermitted { program: program(), reason: "no".to_owned() },
        StartError::BadWorkingDir { program: program(), path: "/x".into(), reason: "no".to_owned() },
        StartError::DiskFull { program: program(), path: "/x".into() },
    ];
    for error in errors {
        let mut world = World::new(template());
        world.assign(&[(id(1), Want::Run)]);
        world.step(Input::StartFailed { replica_id: id(1), run: 1, error: error.clone() });
        let report = &world.reports[&id(1)];
        assert_eq!((report.state, report.message.clone()), (ReportedState::Failed, Some(error.to_string())));
        assert_eq!(report.endpoint, None);
    }
}

#[test]
fn what_may_heal_is_tried_again() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    let error = StartError::NoResources { program: "serve".to_owned(), reason: "fork".to_owned() };
    world.runs.remove(&id(1));
    world.step(Input::StartFailed { replica_id: id(1), run: 1, error });
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 2);
    world.runs.remove(&id(1));
    world.step(Input::StartFailed {
        replica_id: id(1),
        run: 2,
        error: StartError::AlreadyStarted { run: 2, recorded: 9 },
    });
    assert_eq!(world.runs[&id(1)].order.run, 10, "the run number on disk is right");
}

#[test]
fn a_port_of_another_program_is_left_to_it() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.runs.remove(&id(1));
    world.step(Input::PortTaken { replica_id: id(1), run: 1, port: 20_000 });
    assert_eq!(world.runs[&id(1)].order.port, Some(20_001));
    assert_eq!(world.reports[&id(1)].restarts, 0);

    let mut world = World::new(ReplicaTemplate { host_port: Some(8_080), ..template() });
    world.assign(&[(id(1), Want::Run), (id(2), Want::Run)]);
    let message = world.reports[&id(2)].message.clone().expect("a reason");
    assert!(message.contains("8080") && message.contains(&id(1).to_string()), "{message}");
    world.runs.remove(&id(1));
    world.step(Input::PortTaken { replica_id: id(1), run: 1, port: 8_080 });
    let message = world.reports[&id(1)].message.clone().expect("a reason");
    assert!(message.contains("8080") && message.contains("host_port"), "{message}");
}

#[test]
fn a_port_that_the_engine_cannot_publish_is_left_to_whoever_has_it() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.runs.remove(&id(1));
    let error = StartError::PortTaken { port: 20_000 };
    world.step(Input::StartFailed { replica_id: id(1), run: 1, error });
    let order = &world.runs[&id(1)].order;
    assert_eq!((order.run, order.port), (2, Some(20_001)));
    assert_eq!(world.reports[&id(1)].restarts, 0, "nothing has crashed");
}

/// Of its image nobody knows before it is there whether it listens, so it gets a port to be published at.
#[test]
fn a_container_that_names_no_port_has_the_one_of_its_image_or_none() {
    let container = ReplicaTemplate { runtime: Runtime::Docker, port: None, health: None, ..template() };
    let mut world = World::new(container.clone());
    world.assign(&[(id(1), Want::Run)]);
    assert_eq!(world.runs[&id(1)].order.port, Some(20_000));
    world.started(id(1));
    world.pass_answering(SECOND_US, false);
    assert_eq!(world.state(id(1)), ReportedState::Starting, "it listens, so it is asked whether it answers");
    world.pass_answering(SECOND_US, true);
    assert_eq!(world.reports[&id(1)].endpoint.as_deref(), Some("127.0.0.1:20000"));

    let mut world = World::new(container);
    world.assign(&[(id(1), Want::Run)]);
    let started = Started { port_unused: true, ..Started::new("1".to_owned()) };
    world.runs.get_mut(&id(1)).expect("it is being started").state = RunState::Alive;
    world.step(Input::Started { replica_id: id(1), run: 1, started });
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready, report.endpoint.as_deref()), (ReportedState::Running, true, None));
}

#[test]
fn a_start_that_nobody_can_tell_of_is_held_and_not_repeated() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    let error = StartError::Unclear { run: 1, reason: "no answer".to_owned() };
    world.step(Input::StartFailed { replica_id: id(1), run: 1, error });
    world.pass(600 * SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 1, "there may be one already");
    let message = world.reports[&id(1)].message.clone().expect("a reason");
    assert!(message.contains("no answer") && message.contains("counts as running"), "{message}");
    world.exits(id(1), 0);
    world.pass(60 * SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 2);
}

#[test]
fn a_stop_is_graceful_first() {
    let mut world = running();
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    assert!(!world.reports[&id(1)].ready);
    world.pass(10 * SECOND_US - 1);
    assert_eq!(world.take_signals(), []);
    world.pass(1);
    assert_eq!(world.take_signals(), [Signal::Kill]);
    world.exits(id(1), 137);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.exit_code), (ReportedState::Stopped, Some(137)));
    world.assign(&[]);
    assert!(world.forgotten.contains(&id(1)) && world.memos.is_empty());
}

#[test]
fn a_stop_without_grace_kills_and_a_kill_is_repeated() {
    let mut world = World::new(ReplicaTemplate { grace_s: 0, ..template() });
    world.assign(&[(id(1), Want::Run)]);
    world.bring_up();
    world.assign(&[(id(1), Want::Stop)]);
    world.pass(11 * SECOND_US);
    assert_eq!(world.take_signals(), [Signal::Kill; 3]);
}

#[test]
fn stops_that_cross_something_else_end_as_stopped() {
    // It is not there at all.
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
    // It is being started.
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.state(id(1)), ReportedState::Starting);
    world.started(id(1));
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    world.exits(id(1), 0);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
    // It waits for its restart.
    let mut world = running();
    world.exits(id(1), 1);
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
    // Somebody else kills it while it is told to stop.
    let mut world = running();
    world.assign(&[(id(1), Want::Stop)]);
    world.exits(id(1), 137);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
}

#[test]
fn what_is_not_listed_is_kept_until_a_stop() {
    let mut world = running();
    world.assign(&[]);
    world.pass_answering(600 * SECOND_US, true);
    assert_eq!((world.take_signals(), world.state(id(1))), (vec![], ReportedState::Running));
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.take_signals(), [Signal::Terminate]);

    let mut world = running();
    world.assign(&[]);
    world.exits(id(1), 1);
    assert_eq!(world.state(id(1)), ReportedState::Failed, "nobody asks for it, so nobody starts it again");
    assert!(world.forgotten.contains(&id(1)));
}

#[test]
fn what_was_never_started_and_is_not_listed_any_more_never_is() {
    let mut world = World::new(template());
    let all: Vec<_> = (0..40).map(|number| (id(number), Want::Run)).collect();
    world.assign(&all[..10]);
    let first = world.runs.len();
    world.assign(&[]);
    assert_eq!(world.runs.len(), first);
}

#[test]
fn starts_are_limited_and_all_come_up() {
    let mut world = World::new(ReplicaTemplate { port: None, health: None, ..template() });
    let all: Vec<_> = (0..100).map(|number| (id(number), Want::Run)).collect();
    world.assign(&all);
    let under_way = world.runs.len();
    assert!((1..50).contains(&under_way), "{under_way}");
    for number in 0..100 {
        world.started(id(number));
    }
    assert!(all.iter().all(|(id, _)| world.reports[id].ready && world.reports[id].endpoint.is_none()));
}

#[test]
fn more_replicas_than_ports_wait_and_say_so() {
    let mut world = World::new(template());
    let all: Vec<_> = (0..11).map(|number| (id(number), Want::Run)).collect();
    world.assign(&all);
    let message = world.reports[&id(10)].message.clone().expect("a reason");
    assert!(message.contains("20000-20009"), "{message}");
}

#[test]
fn a_new_agent_adopts_and_restarts_nothing() {
    let mut world = running();
    world.exits(id(1), 1);
    world.pass(SECOND_US);
    world.bring_up();
    let before = world.reports[&id(1)].clone();
    world.restart_agent();
    let after = world.reports[&id(1)].clone();
    assert!(after.seq > before.seq);
    assert_eq!((after.state, after.ready, after.restarts, after.endpoint), (before.state, true, 1, before.endpoint));
    world.pass_answering(120 * SECOND_US, true);
    assert_eq!((world.take_signals(), world.runs[&id(1)].order.run), (vec![], 2));
}

#[test]
fn what_ended_while_no_agent_was_there_is_restarted_at_its_address() {
    let mut world = running();
    world.runs.get_mut(&id(1)).expect("it runs").state = RunState::Ended(4);
    world.restart_agent();
    assert_eq!(world.reports[&id(1)].exit_code, Some(4));
    world.pass(SECOND_US);
    let order = &world.runs[&id(1)].order;
    assert_eq!((order.run, order.port), (2, Some(20_000)));
}

#[test]
fn a_new_agent_does_not_kill_what_is_unready_for_a_while() {
    let mut world = running();
    world.pass_answering(60 * SECOND_US, false);
    world.restart_agent();
    world.pass_answering(600 * SECOND_US, false);
    assert_eq!((world.take_signals(), world.state(id(1))), (vec![], ReportedState::Running));
}

#[test]
fn a_new_agent_goes_on_stopping_even_what_is_not_listed_any_more() {
    let mut world = running();
    world.assign(&[(id(1), Want::Stop)]);
    world.assign(&[]);
    world.take_signals();
    world.restart_agent();
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    world.exits(id(1), 0);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
    world.assign(&[]);
    assert!(world.forgotten.contains(&id(1)));
}

#[test]
fn a_list_that_cannot_be_kept_starts_nothing_and_stops_what_it_says() {
    let mut world = running();
    world.set_list(&[(id(1), Want::Stop), (id(2), Want::Run)]);
    world.assign_as("one", Some("no space left"));
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    let report = &world.reports[&id(2)];
    assert_eq!(report.state, ReportedState::Failed);
    assert!(report.message.as_ref().is_some_and(|message| message.contains("no space left")));

    // The list that a new agent finds is older, and does not name what was refused.
    world.restart_agent();
    assert_eq!(world.state(id(2)), ReportedState::Failed);
    world.assign(&[(id(1), Want::Stop), (id(2), Want::Run)]);
    assert_eq!(world.state(id(2)), ReportedState::Failed, "an end is never taken back");
    assert!(!world.runs.contains_key(&id(2)));
    world.assign(&[(id(1), Want::Stop)]);
    assert!(world.forgotten.contains(&id(2)));
}

#[test]
fn an_agent_that_takes_its_replicas_with_it_stops_all() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run), (id(2), Want::Run)]);
    world.started(id(1));
    world.stop_ordered.extend([id(1), id(2), id(3)]);
    world.step(Input::StopAll);
    world.assign(&[(id(1), Want::Run), (id(2), Want::Run), (id(3), Want::Run)]);
    assert_eq!(world.supervisor.running(), 2);
    world.started(id(2));
    assert_eq!(world.take_signals(), [Signal::Terminate; 2]);
    world.exits(id(1), 0);
    world.exits(id(2), 0);
    assert_eq!(world.supervisor.running(), 0);
    assert!(!world.runs.contains_key(&id(3)));
}

#[test]
fn without_a_check_it_runs_when_it_runs() {
    let health = Some(HealthSpec { check: HealthCheck::None, ..HealthSpec::default() });
    let mut world = World::new(ReplicaTemplate { health, ..template() });
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    world.pass(100 * SECOND_US);
    assert!(world.reports[&id(1)].ready && world.probes.is_empty());
}

/// A running replica, and a new agent that cannot make it out.
fn held() -> World {
    let mut world = running();
    world.is_blind = true;
    world.restart_agent();
    world.pass(600 * SECOND_US);
    world
}

#[test]
fn what_holds_a_replica_counts_as_running_and_nothing_is_done_to_it() {
    let mut world = held();
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready, report.restarts), (ReportedState::Running, true, 0));
    let message = report.message.clone().expect("why");
    assert!(
        message.contains("a process of an earlier run still holds it") && message.contains("order.json"),
        "{message}"
    );
    assert_eq!((world.take_signals(), world.runs[&id(1)].order.run), (vec![], 1));
    assert_eq!(world.supervisor.running(), 1);
    // It ends, and is started anew.
    world.exits(id(1), 3);
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 2);
}

#[test]
fn what_holds_a_replica_can_be_stopped() {
    let mut world = held();
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    assert!(!world.reports[&id(1)].ready);
    world.pass(10 * SECOND_US);
    assert_eq!(world.take_signals(), [Signal::Kill]);
    world.pass(5 * SECOND_US);
    assert_eq!(world.take_signals(), [Signal::Kill], "until it has worked");
    world.exits(id(1), 137);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
    world.assign(&[]);
    assert!(world.forgotten.contains(&id(1)));
}

#[test]
fn what_can_be_made_out_later_is_watched_from_then_on() {
    let mut world = held();
    let order = world.runs[&id(1)].order.clone();
    let adopted = Adopted { order, container_id: Some("7".to_owned()), state: AdoptedState::Alive };
    world.step(Input::Adopted(Box::new(adopted)));
    let report = &world.reports[&id(1)];
    assert_eq!((report.ready, report.container_id.as_deref(), report.message.as_deref()), (true, Some("7"), None));
    world.pass_answering(60 * SECOND_US, false);
    assert!(!world.reports[&id(1)].ready, "it is asked again");
    assert_eq!(world.take_signals(), []);
}

#[test]
fn a_start_that_an_earlier_run_is_in_the_way_of_is_no_crash() {
    let mut world = World::new(template());
    world.assign(&[(id(1), Want::Run)]);
    world.step(Input::StartFailed { replica_id: id(1), run: 1, error: StartError::StillRunning { run: 0 } });
    world.pass(600 * SECOND_US);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.restarts, world.runs[&id(1)].order.run), (ReportedState::Starting, 0, 1));
    assert!(report.message.as_ref().is_some_and(|message| message.contains("earlier run still holds")));
    // Whichever run that was, it is over.
    world.step(Input::Exited { replica_id: id(1), run: 0, exit: super::world::exit(1) });
    world.runs.get_mut(&id(1)).expect("ordered").state = RunState::Ended(1);
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.run, 2);
}
