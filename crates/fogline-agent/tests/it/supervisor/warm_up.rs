//! Warm-ups: between the first passed check of a run and being ready.

use fogline_agent::driver::Signal;
use fogline_agent::supervisor::{CRASH_LOOP, Input};
use fogline_core::assignment::Want;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{HealthCheck, HealthSpec, ReplicaTemplate, WarmUpSpec};

use super::world::{SECOND_US, World, id, template};

fn with_warm_up() -> ReplicaTemplate {
    let warm_up = WarmUpSpec { path: Some("/warm".to_owned()), command: Vec::new(), times: 3, timeout_s: 20 };
    ReplicaTemplate { warm_up: Some(warm_up), ..template() }
}

/// One whose check passes.
fn checked(template: ReplicaTemplate) -> World {
    let mut world = World::new(template);
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    world.pass_answering(SECOND_US, true);
    world
}

fn message(world: &World) -> &str {
    world.reports[&id(1)].message.as_deref().unwrap_or_default()
}

#[test]
fn one_is_ready_when_its_check_passes_and_it_is_warm() {
    let mut world = World::new(with_warm_up());
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    world.pass_answering(SECOND_US, false);
    assert!(world.warm_ups.is_empty(), "not before its check passes");
    world.pass_answering(15 * SECOND_US, true);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready), (ReportedState::Starting, false));
    assert_eq!(report.endpoint.as_deref(), Some("127.0.0.1:20000"), "where it can be found is told all the same");
    assert!(message(&world).contains("warmed up"), "{}", message(&world));
    let order = world.warm_ups[0].clone();
    assert_eq!((world.warm_ups.len(), order.port, order.timeout_us), (1, Some(20_000), 20 * SECOND_US));
    world.warmed_up(Ok(()));
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready, report.message.as_deref()), (ReportedState::Running, true, None));
    world.pass_answering(600 * SECOND_US, true);
    assert!(world.warm_ups.is_empty() && world.reports[&id(1)].ready, "once a run");
}

#[test]
fn a_restart_in_place_is_warmed_up_again_and_an_adopted_one_is_not() {
    let mut world = checked(with_warm_up());
    world.warmed_up(Ok(()));
    world.restart_agent();
    world.pass_answering(60 * SECOND_US, true);
    assert!(world.reports[&id(1)].ready && world.warm_ups.is_empty());
    world.exits(id(1), 1);
    world.pass(SECOND_US);
    world.started(id(1));
    world.pass_answering(SECOND_US, true);
    let report = &world.reports[&id(1)];
    assert_eq!((report.state, report.ready), (ReportedState::Running, false));
    assert_eq!(world.warm_ups.iter().map(|order| order.run).collect::<Vec<_>>(), [2]);
    world.warmed_up(Ok(()));
    assert!(world.reports[&id(1)].ready);
}

#[test]
fn a_new_agent_warms_up_what_was_not_warm_yet() {
    let mut world = checked(with_warm_up());
    world.warm_ups.clear();
    world.restart_agent();
    world.pass_answering(SECOND_US, true);
    assert_eq!((world.warm_ups.len(), world.state(id(1))), (1, ReportedState::Starting));
    world.warmed_up(Ok(()));
    assert!(world.reports[&id(1)].ready);
}

#[test]
fn a_warm_up_that_fails_is_a_failed_start_with_the_reason() {
    let mut world = checked(with_warm_up());
    world.warmed_up(Err("GET /warm: status 500".to_owned()));
    assert_eq!(world.take_signals(), [Signal::Kill]);
    world.exits(id(1), 137);
    assert!(message(&world).contains("warm-up failed: GET /warm: status 500"), "{}", message(&world));
    world.pass(SECOND_US);
    assert_eq!((world.runs[&id(1)].order.run, world.reports[&id(1)].restarts), (2, 1));
}

#[test]
fn one_whose_end_nobody_tells_fails_too() {
    let mut world = checked(with_warm_up());
    world.pass_answering(26 * SECOND_US, true);
    assert_eq!(world.take_signals(), [Signal::Kill]);
    assert!(message(&world).contains("warm-up failed"), "{}", message(&world));
}

/// The check passes for far longer than what counts as steady, and that earns nothing.
#[test]
fn warm_ups_that_keep_failing_are_a_crash_loop() {
    let mut world = World::new(with_warm_up());
    world.assign(&[(id(1), Want::Run)]);
    for crash in 1..=CRASH_LOOP {
        assert_ne!(world.state(id(1)), ReportedState::Failed, "crash {crash}");
        world.started(id(1));
        world.pass_answering(15 * SECOND_US, true);
        world.warmed_up(Err("cold".to_owned()));
        world.exits(id(1), 137);
        world.pass(60 * SECOND_US);
    }
    assert_eq!(world.state(id(1)), ReportedState::Failed);
    assert!(message(&world).contains("crash loop") && message(&world).contains("cold"), "{}", message(&world));
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let mut world = checked(with_warm_up());
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    world.warmed_up(Err("the connection was closed".to_owned()));
    world.exits(id(1), 0);
    assert_eq!(world.state(id(1)), ReportedState::Stopped);
}

#[test]
fn what_is_heard_of_an_earlier_run_changes_nothing() {
    let mut world = checked(with_warm_up());
    world.exits(id(1), 1);
    world.pass(SECOND_US);
    world.started(id(1));
    world.step(Input::WarmedUp { replica_id: id(1), run: 1, result: Ok(()) });
    world.pass_answering(SECOND_US, true);
    assert_eq!(world.state(id(1)), ReportedState::Starting);
}

#[test]
fn without_a_check_it_is_warmed_up_as_soon_as_it_runs() {
    let health = Some(HealthSpec { check: HealthCheck::None, ..HealthSpec::default() });
    let mut world = World::new(ReplicaTemplate { health, ..with_warm_up() });
    world.assign(&[(id(1), Want::Run)]);
    world.started(id(1));
    assert_eq!((world.warm_ups.len(), world.state(id(1))), (1, ReportedState::Starting));
    world.warmed_up(Ok(()));
    assert!(world.reports[&id(1)].ready);
}
