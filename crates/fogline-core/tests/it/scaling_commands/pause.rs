//! A policy that is paused neither votes nor bounds.

use std::time::Duration;

use fogline_core::command::{Command, Rejection};
use fogline_core::record::{ScalingTarget, Tier};
use fogline_core::scaling::{Decision, Inputs, State, evaluate};

use super::{create, decide, decided, deployed, site, submit, update};
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// What the engine comes to now, with no metric at all: bounds are all there is.
fn evaluated(world: &World, target: &ScalingTarget) -> Decision {
    let view = world.cluster.scaling_target(target).expect("there");
    let state = State::resumed((*view.memory).clone(), view.counts.current, world.now);
    let inputs = Inputs { replicas: view.counts, ..Inputs::default() };
    evaluate(&view.policies, &inputs, &state, world.now).0
}

fn pause(world: &mut World, policy_id: fogline_core::id::PolicyId, by: Option<Duration>) -> Result<(), Rejection> {
    let until = by.map(|by| world.now.plus(by));
    world.as_admin(Command::PausePolicy { policy_id, until }).map(drop)
}

#[test]
fn until_then_or_until_it_is_taken_back() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let target = ScalingTarget::Deployment(deployed(&mut world, &ann, "web", 3));
    let on_web = "target_type: deployment\ntarget_id: web\n";
    let low = create(&mut world, &ann, &format!("name: low\n{on_web}max_replicas: 2\n")).expect("fine");
    let high = create(&mut world, &ann, &format!("name: high\n{on_web}min_replicas: 5\n")).expect("fine");
    assert_eq!(evaluated(&world, &target).replicas, 2, "the lower upper bound wins");
    pause(&mut world, low, Some(10 * MINUTE)).expect("fine");
    assert_eq!(evaluated(&world, &target).replicas, 5, "it does not bound");
    pause(&mut world, high, Some(5 * MINUTE)).expect("fine");
    let held = evaluated(&world, &target);
    assert_eq!(held.replicas, 3, "nobody is left to say anything");
    assert!(held.reason.starts_with("held at 3: high is paused until "), "{}", held.reason);
    // It outlives a fail-over, and what the engine commits meanwhile.
    let hold = decided(&world, &target, 3);
    submit(&mut world, hold).expect("accepted");
    world.reload();
    assert_eq!(evaluated(&world, &target).replicas, 3);
    let nodes = world.online_nodes();
    world.advance(6 * MINUTE, &nodes);
    assert_eq!(evaluated(&world, &target).replicas, 5, "one is back");
    pause(&mut world, low, None).expect("fine");
    assert_eq!(evaluated(&world, &target).replicas, 2, "and the other, early");
}

#[test]
fn a_pause_waits_for_a_policy_that_does_not_act() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let target = ScalingTarget::Deployment(deployed(&mut world, &ann, "web", 3));
    let on_web = "target_type: deployment\ntarget_id: web\n";
    create(&mut world, &ann, &format!("name: high\n{on_web}max_replicas: 8\n")).expect("fine");
    let shadow = format!("name: low\n{on_web}max_replicas: 2\n");
    let low = create(&mut world, &ann, &format!("{shadow}mode: shadow\n")).expect("fine");
    pause(&mut world, low, Some(10 * MINUTE)).expect("fine");
    // What the others do does not disturb it, nor does it make them commit again and again.
    let before = world.cluster.scaling_target(&target).expect("there").memory;
    decide(&mut world, &target, 4).expect("accepted");
    let after = world.cluster.scaling_target(&target).expect("there").memory;
    assert_eq!(after.policies[&low], before.policies[&low]);
    let state = State::resumed((*after).clone(), 4, world.now);
    let view = world.cluster.scaling_target(&target).expect("there");
    let inputs = Inputs { replicas: view.counts, ..Inputs::default() };
    let (_, next) = evaluate(&view.policies, &inputs, &state, world.now);
    assert!(!next.memory.needs_commit(&after));
    update(&mut world, &ann, low, &shadow).expect("it acts");
    assert_eq!(evaluated(&world, &target).replicas, 4, "but for the pause, it would bound at 2");
}

#[test]
fn a_pause_ends_within_a_year_and_a_day() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let id = create(&mut world, &ann, "target_type: webhook\n").expect("fine");
    for by in [Duration::ZERO, Duration::from_secs(367 * 86_400)] {
        let refused = pause(&mut world, id, Some(by)).expect_err("no pause");
        assert!(matches!(&refused, Rejection::Invalid(errors) if errors[0].field == "until"), "{refused}");
    }
}
