//! Targets outside of this system: decided here, carried out elsewhere, and only then true.

use std::time::Duration;

use fogline_core::command::{Actor, ByHand, Command, Decided, Outcome, Rejection};
use fogline_core::id::DecisionId;
use fogline_core::record::{DecisionStatus, ScalingTarget, Tier};
use fogline_core::scaling::state::{CronCursor, Memory};

use super::{create, decide, decided, row, row_of, site, submit};
use crate::world::World;

/// SCALE-001's own body; here for its target.
const SCALE_001: &str = "name: cdc-worker-autoscaling\ntarget_type: cdc-worker\n\
                         target_id: 550e8400-e29b-41d4-a716-446655440000\nmin_replicas: 1\nmax_replicas: 10\n";

fn owned(world: &mut World) -> (Actor, ScalingTarget) {
    let ann = world.add_user("ann", Tier::Free);
    let id = create(world, &ann, SCALE_001).expect("fine");
    let target = world.cluster.policy(id).expect("there").target.clone();
    (ann, target)
}

fn pending(outcome: &Outcome) -> DecisionId {
    let Outcome::Decided { decision_id: Some(id), pending: true, .. } = outcome else { panic!("{outcome:?}") };
    *id
}

fn complete(world: &mut World, actor: &Actor, id: DecisionId, error: Option<&str>) -> Result<Outcome, Rejection> {
    world.ask(actor, Command::CompleteDecision { decision_id: id, error: error.map(str::to_owned) })
}

fn current(world: &World, target: &ScalingTarget) -> u32 {
    world.cluster.scaling_target(target).expect("there").counts.current
}

#[test]
fn a_count_is_the_targets_once_it_was_carried_out() {
    let mut world = site();
    let (ann, target) = owned(&mut world);
    assert_eq!(current(&world, &target), 1, "nobody has said anything else");
    let id = pending(&decide(&mut world, &target, 4).expect("accepted"));
    assert_eq!((current(&world, &target), row_of(&world, id).status), (1, DecisionStatus::Pending));
    assert_eq!(row_of(&world, id).completed_at, None);
    world.advance(Duration::from_secs(3), &[]);
    complete(&mut world, &Actor::System, id, None).expect("carried out");
    assert_eq!(current(&world, &target), 4);
    let row = row_of(&world, id);
    assert_eq!((row.status, row.error.clone(), row.completed_at), (DecisionStatus::Completed, None, Some(world.now)));
    let again = complete(&mut world, &ann, id, Some("no")).expect_err("it has ended");
    assert_eq!(again, Rejection::NotPending { decision: id });
    assert_eq!(row_of(&world, id), row);
    world.reload();
    assert_eq!(current(&world, &target), 4);
}

#[test]
fn what_was_not_carried_out_starts_no_cooldown() {
    let mut world = site();
    let (_, target) = owned(&mut world);
    let before = world.cluster.scaling_target(&target).expect("there").memory;
    let id = pending(&decide(&mut world, &target, 4).expect("accepted"));
    // A fail-over in between, and rounds that hold.
    world.reload();
    let view = world.cluster.scaling_target(&target).expect("there");
    assert_eq!((view.pending, view.memory.last_up), (Some(id), Some(world.now)));
    let hold = decided(&world, &target, 1);
    submit(&mut world, hold).expect("a hold is no change");
    complete(&mut world, &Actor::System, id, Some(&"x".repeat(2_000))).expect("heard");
    let row = row_of(&world, id);
    assert_eq!((row.status, row.error.expect("why").len()), (DecisionStatus::Failed, 500));
    let after = world.cluster.scaling_target(&target).expect("there");
    assert_eq!((after.counts.current, after.pending), (1, None));
    assert_eq!((after.memory.last_up, &after.memory.changes), (before.last_up, &before.changes));
    decide(&mut world, &target, 4).expect("it is tried again");
}

#[test]
fn a_fire_time_that_came_to_nothing_is_still_due() {
    let mut world = site();
    let (_, target) = owned(&mut world);
    let policy = world.cluster.policies_on(&target).next().expect("there").id;
    let mut memory = Memory::default();
    let cursor = |handled| CronCursor { handled, next: None };
    let key = "0 8 * * *".to_owned();
    memory.policies.entry(policy).or_default().schedules.insert(key.clone(), cursor(world.now));
    let before = Decided { memory: Some(memory.clone()), ..decided(&world, &target, 1) };
    submit(&mut world, before).expect("a hold");
    let fired = world.now.plus(Duration::from_secs(60));
    let after = {
        let mut memory = memory.clone();
        memory.policies.entry(policy).or_default().schedules.insert(key.clone(), cursor(fired));
        memory
    };
    let change = Decided { memory: Some(after), memory_without: Some(memory), ..decided(&world, &target, 4) };
    let id = pending(&submit(&mut world, change).expect("accepted"));
    let handled = |world: &World| {
        let view = world.cluster.scaling_target(&target).expect("there");
        view.memory.policies[&policy].schedules[&key].handled
    };
    assert_eq!(handled(&world), fired);
    complete(&mut world, &Actor::System, id, Some("the other side is away")).expect("heard");
    assert!(handled(&world) < fired, "it is to be caught up");
}

#[test]
fn words_of_others_are_one_line_without_a_nul() {
    let mut world = site();
    let (_, target) = owned(&mut world);
    let id = pending(&decide(&mut world, &target, 4).expect("accepted"));
    complete(&mut world, &Actor::System, id, Some("broken\u{0}\r\npipe")).expect("heard");
    assert_eq!(row_of(&world, id).error.as_deref(), Some("broken   pipe"));
}

#[test]
fn one_change_at_a_time() {
    let mut world = site();
    let (ann, target) = owned(&mut world);
    let id = pending(&decide(&mut world, &target, 4).expect("accepted"));
    let refused = decide(&mut world, &target, 5).expect_err("one is under way");
    assert!(matches!(refused, Rejection::ScalingPending { decision, .. } if decision == id), "{refused}");
    let set = Command::ScaleTarget { target: target.clone(), count: ByHand { replicas: 2, ..ByHand::default() } };
    let refused = world.ask(&ann, set.clone()).expect_err("one is under way");
    assert!(matches!(refused, Rejection::ScalingPending { .. }), "{refused}");
    complete(&mut world, &ann, id, None).expect("Ann's policy, Ann's executor");
    let outcome = world.ask(&ann, set).expect("nothing is under way");
    assert!(matches!(outcome, Outcome::Decided { from: 4, to: 2, pending: true, .. }), "{outcome:?}");
    assert_eq!(row(&world, &outcome).triggered_by, ann.user_id());
}

#[test]
fn a_persons_count_that_was_not_carried_out_is_not_held() {
    let mut world = site();
    let (ann, target) = owned(&mut world);
    let until = Some(world.now.plus(Duration::from_secs(3_600)));
    let count = ByHand { replicas: 3, until, ..ByHand::default() };
    let set = Command::ScaleTarget { target: target.clone(), count };
    let id = pending(&world.ask(&ann, set.clone()).expect("fine"));
    assert!(world.cluster.scaling_target(&target).expect("there").memory.held.is_some());
    complete(&mut world, &ann, id, Some("the hook answered 500")).expect("heard");
    assert_eq!(world.cluster.scaling_target(&target).expect("there").memory.held, None);
    let id = pending(&world.ask(&ann, set.clone()).expect("fine"));
    complete(&mut world, &ann, id, None).expect("heard");
    assert!(world.cluster.scaling_target(&target).expect("there").memory.held.is_some());
    let outcome = world.ask(&ann, set).expect("it has that count");
    assert!(matches!(outcome, Outcome::Decided { from: 3, to: 3, pending: false, .. }), "{outcome:?}");
}

#[test]
fn only_the_owner_an_administrator_and_the_system_say_how_it_went() {
    let mut world = site();
    let (_, target) = owned(&mut world);
    let bob = world.add_user("bob", Tier::Free);
    let id = pending(&decide(&mut world, &target, 4).expect("accepted"));
    for actor in [bob, Actor::Agent] {
        let refused = complete(&mut world, &actor, id, None).expect_err("not theirs");
        assert_eq!(refused, Rejection::NotPending { decision: id });
    }
    let admin = super::admin(&world);
    complete(&mut world, &admin, id, None).expect("an administrator may");
}
