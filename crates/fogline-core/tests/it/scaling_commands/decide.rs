//! Decisions of the engine: what becomes of them, and which are too old to be true.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::command::{Actor, Command, Decided, Outcome, Rejection, Request};
use fogline_core::record::{DecisionStatus, ScalingTarget, Tier};
use fogline_core::scaling::Decision;
use fogline_core::scaling::inputs::Run;
use fogline_core::spec::DeploymentSpec;

use super::{admin, create, decide, decided, deployed, row, settled, site, submit, target_replicas, update};
use crate::world::World;

const ON_WEB: &str = "name: auto\ntarget_type: deployment\ntarget_id: web\n";

/// A deployment of three with a policy, and its target.
fn owned(world: &mut World) -> ScalingTarget {
    let admin = admin(world);
    let web = deployed(world, &admin, "web", 3);
    create(world, &admin, ON_WEB).expect("fine");
    ScalingTarget::Deployment(web)
}

fn web(world: &World) -> fogline_core::id::DeploymentId {
    world.deployment("web")
}

#[test]
fn count_row_memory_and_history_are_one_commit() {
    let mut world = site();
    let target = owned(&mut world);
    let id = web(&world);
    let command = Command::Decide(Box::new(decided(&world, &target, 5)));
    let (outcome, changes) = world.request(&Request::system(command)).expect("accepted");
    assert!(matches!(outcome, Outcome::Decided { from: 3, to: 5, pending: false, .. }), "{outcome:?}");
    let lines: Vec<_> = changes.history.iter().map(|line| (line.reason.to_string(), line.changed_by)).collect();
    assert_eq!(lines, [("Scaled up from 3 to 5 replicas (2 added): lag is 90".to_owned(), None)]);
    assert_eq!((changes.decisions.len(), changes.scaling_states.len(), changes.deployments.len()), (1, 1, 1));
    let row = row(&world, &outcome);
    assert_eq!((row.status, row.dry_run, row.triggered_by), (DecisionStatus::Completed, false, None));
    assert_eq!(row.policy_name.as_deref(), Some("auto"));
    assert_eq!(row.completed_at, Some(world.now));
    settled(&mut world);
    assert_eq!(world.cluster.deployment(id).expect("there").replicas.len(), 5);
    world.advance(Duration::from_secs(1), &world.online_nodes());
    let (_, changes) =
        world.request(&Request::system(Command::Decide(Box::new(decided(&world, &target, 4))))).expect("accepted");
    assert_eq!(changes.history[0].reason, "Scaled down from 5 to 4 replicas (1 removed): lag is 90");
    let view = world.cluster.scaling_target(&target).expect("there");
    assert_eq!((view.counts.current, view.memory.last_change), (4, Some(world.now)));
    assert_eq!(view.memory.changes.len(), 2);
    // Another server knows all of it.
    world.reload();
    let after = world.cluster.scaling_target(&target).expect("there");
    assert_eq!((after.version, after.memory), (view.version, view.memory));
}

#[test]
fn a_decision_that_says_no_cause_is_not_told_twice() {
    let mut world = site();
    let target = owned(&mut world);
    let mut plan = decided(&world, &target, 5);
    plan.decision.reason = "scaled up from 3 to 5".to_owned();
    let (_, changes) = world.request(&Request::system(Command::Decide(Box::new(plan)))).expect("accepted");
    assert_eq!(changes.history[0].reason, "Scaled up from 3 to 5 replicas (2 added)");
}

/// FAULTS 23: whatever delayed it, a plan made from something older does nothing.
#[test]
fn an_older_plan_is_refused() {
    type Meanwhile = fn(&mut World, &ScalingTarget);
    let cases: [(&str, Meanwhile); 8] = [
        ("another decision", |world, target| drop(decide(world, target, 4).expect("accepted"))),
        ("there and back again", |world, target| {
            decide(world, target, 4).expect("accepted");
            decide(world, target, 3).expect("accepted");
        }),
        ("a person, who sets the same count", |world, target| {
            let ScalingTarget::Deployment(deployment_id) = *target else { unreachable!("it is one") };
            world.as_admin(Command::ScaleDeployment { deployment_id, replicas: 3 }).expect("accepted");
        }),
        ("another policy", |world, _| {
            let admin = admin(world);
            let id = world.cluster.policies().next().expect("there").id;
            update(world, &admin, id, &format!("{ON_WEB}max_replicas: 4\n")).expect("accepted");
        }),
        ("the same policy, written anew", |world, _| {
            let admin = admin(world);
            let policy_id = world.cluster.policies().next().expect("there").id;
            world.ask(&admin, Command::DeletePolicy { policy_id }).expect("accepted");
            create(world, &admin, ON_WEB).expect("accepted");
        }),
        ("one more policy", |world, _| {
            let admin = admin(world);
            create(world, &admin, "name: more\ntarget_type: proxy\ntarget_id: web\nmax_replicas: 4\n")
                .expect("accepted");
        }),
        ("a policy that was elsewhere and came back", |world, _| {
            let admin = admin(world);
            let id = world.cluster.policies().next().expect("there").id;
            update(world, &admin, id, "name: auto\ntarget_type: webhook\n").expect("accepted");
            update(world, &admin, id, ON_WEB).expect("accepted");
        }),
        ("a fail-over between two decisions", |world, target| {
            decide(world, target, 4).expect("accepted");
            world.reload();
        }),
    ];
    for (what, meanwhile) in cases {
        let mut world = site();
        let target = owned(&mut world);
        let late = decided(&world, &target, 9);
        world.advance(Duration::from_secs(1), &world.online_nodes());
        meanwhile(&mut world, &target);
        let count = target_replicas(&world, web(&world));
        let refused = submit(&mut world, late).expect_err(what);
        assert!(matches!(refused, Rejection::ChangedMeanwhile { kind: "scaling target", .. }), "{what}: {refused}");
        assert_eq!(target_replicas(&world, web(&world)), count, "{what}");
        decide(&mut world, &target, count + 1).expect("decided again");
    }
}

#[test]
fn nobody_but_the_system_decides() {
    let mut world = site();
    let target = owned(&mut world);
    let command = Command::Decide(Box::new(decided(&world, &target, 5)));
    for actor in [admin(&world), Actor::Agent] {
        let refused = world.ask(&actor, command.clone()).expect_err("not theirs to say");
        assert!(matches!(refused, Rejection::Forbidden { .. }), "{refused}");
    }
}

#[test]
fn without_room_for_all_it_takes_what_there_is_and_says_so() {
    let mut world = site();
    let target = owned(&mut world);
    let outcome = decide(&mut world, &target, 25).expect("accepted");
    assert!(matches!(outcome, Outcome::Decided { from: 3, to: 20, .. }), "{outcome:?}");
    let partly = row(&world, &outcome);
    assert_eq!(partly.error.as_deref(), Some("wanted 25, room for 20"));
    assert_eq!((partly.status, partly.decision.replicas), (DecisionStatus::Completed, 20));
    assert_eq!(partly.decision.reason, "scaled up from 3 to 20: lag is 90; wanted 25, room for 20");
    let view = world.cluster.scaling_target(&target).expect("there");
    assert_eq!(view.memory.changes.last().map(|change| (change.from, change.to)), Some((3, 20)));
    settled(&mut world);
    let outcome = decide(&mut world, &target, 25).expect("heard");
    assert!(matches!(outcome, Outcome::Decided { from: 20, to: 20, .. }), "{outcome:?}");
    let nothing = row(&world, &outcome);
    assert_eq!((nothing.status, nothing.error.as_deref()), (DecisionStatus::Failed, Some("wanted 25, room for 20")));
    let after = world.cluster.scaling_target(&target).expect("there");
    assert_eq!(after.memory.last_up, view.memory.last_up, "nothing was done that would start a cooldown");
}

#[test]
fn the_owners_quota_is_a_capacity() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Free);
    let id = deployed(&mut world, &ann, "web", 3);
    deployed(&mut world, &ann, "other", 2);
    create(&mut world, &ann, ON_WEB).expect("fine");
    let target = ScalingTarget::Deployment(id);
    let outcome = decide(&mut world, &target, 10).expect("accepted");
    assert!(matches!(outcome, Outcome::Decided { to: 8, .. }), "{outcome:?}");
    assert_eq!(row(&world, &outcome).error.as_deref(), Some("wanted 10, the free tier allows 8"));
    let outcome = decide(&mut world, &target, 9).expect("heard");
    assert_eq!(row(&world, &outcome).status, DecisionStatus::Failed);
}

#[test]
fn what_is_stopped_stays_as_it_is() {
    let mut world = site();
    let target = owned(&mut world);
    let deployment_id = web(&world);
    world.as_admin(Command::StopDeployment { deployment_id }).expect("accepted");
    assert!(world.cluster.scaling_target(&target).expect("there").dormant);
    let refused = decide(&mut world, &target, 5).expect_err("it is stopped");
    assert!(matches!(refused, Rejection::WrongStatus { .. }), "{refused}");
    decide(&mut world, &target, 3).expect("a hold may be noted");
}

#[test]
fn dry_runs_and_shadows_leave_a_row_and_nothing_else() {
    let mut world = site();
    let target = owned(&mut world);
    for run in [Run::DryRun, Run::Shadow] {
        let decided = decided(&world, &target, 5);
        let decided = Decided { decision: Decision { run, ..decided.decision }, memory_without: None, ..decided };
        let before = world.cluster.scaling_state(&target).cloned();
        let outcome = submit(&mut world, decided).expect("accepted");
        let row = row(&world, &outcome);
        assert!(row.dry_run && row.status == DecisionStatus::Completed && row.decision.replicas == 5);
        assert_eq!(world.cluster.scaling_state(&target).cloned(), before);
        assert_eq!(target_replicas(&world, web(&world)), 3);
    }
}

#[test]
fn a_hold_leaves_a_row_where_it_is_to_be_kept() {
    let mut world = site();
    let target = owned(&mut world);
    for keep in [true, false] {
        let hold = Decided { keep, ..decided(&world, &target, 3) };
        let outcome = submit(&mut world, hold).expect("accepted");
        let Outcome::Decided { decision_id, from: 3, to: 3, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(decision_id.is_some(), keep);
    }
}

#[test]
fn zero_needs_every_policys_leave() {
    let mut world = site();
    let target = owned(&mut world);
    let refused = decide(&mut world, &target, 0).expect_err("the policy does not let it sleep");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
    let (admin, id) = (admin(&world), world.cluster.policies().next().expect("there").id);
    update(&mut world, &admin, id, &format!("{ON_WEB}scale_to_zero: true\n")).expect("fine");
    decide(&mut world, &target, 0).expect("it may sleep");
    settled(&mut world);
    assert_eq!(world.cluster.deployment(web(&world)).expect("there").replicas.len(), 0);
    // It can be changed in its sleep, with the count that it shows or with one that counts when no policy does.
    let known = world.cluster.deployment(web(&world)).expect("there").record.spec.clone();
    for replicas in [0, 2] {
        let command = vec![format!("version-{replicas}")];
        let spec = Arc::new(DeploymentSpec { command, replicas, ..(*known).clone() });
        let update = Command::UpdateDeployment { deployment_id: web(&world), spec, based_on: None };
        let (outcome, _) = world.as_admin(update).expect("accepted");
        assert!(matches!(outcome, Outcome::DeploymentUpdated { replicas: 0, .. }), "{outcome:?}");
    }
    decide(&mut world, &target, 2).expect("woken");
    settled(&mut world);
    assert_eq!(world.cluster.deployment(web(&world)).expect("there").replicas.len(), 2);
}

#[test]
fn a_rollout_never_changes_a_count_that_a_policy_owns() {
    let mut world = site();
    let target = owned(&mut world);
    let deployment_id = web(&world);
    let read = world.cluster.deployment(deployment_id).expect("there").record.spec.clone();
    decide(&mut world, &target, 5).expect("accepted");
    let next = DeploymentSpec { command: vec!["next".to_owned()], ..(*read).clone() };
    let rollout = |world: &mut World, spec: DeploymentSpec, based_on| {
        let update = Command::UpdateDeployment { deployment_id, spec: Arc::new(spec), based_on };
        world.as_admin(update).map(|(outcome, changes)| (outcome, changes.is_empty()))
    };
    // Made from a spec of three, while the engine has made five of them.
    let (outcome, _) = rollout(&mut world, next.clone(), Some(read)).expect("nobody else touched what it changes");
    assert!(matches!(outcome, Outcome::DeploymentUpdated { replicas: 5, revision: 2, .. }), "{outcome:?}");
    assert_eq!(target_replicas(&world, deployment_id), 5);
    settled(&mut world);
    let (_, unchanged) = rollout(&mut world, next.clone(), None).expect("applied once more");
    let audit_only = !unchanged;
    assert!(audit_only && target_replicas(&world, deployment_id) == 5);
    rollout(&mut world, DeploymentSpec { replicas: 0, ..next.clone() }, None)
        .expect_err("no count that may be asked for");
    // Without an active policy the spec counts again.
    let (admin, id) = (admin(&world), world.cluster.policies().next().expect("there").id);
    update(&mut world, &admin, id, &format!("{ON_WEB}mode: shadow\n")).expect("fine");
    let (outcome, _) = rollout(&mut world, next, None).expect("accepted");
    assert!(matches!(outcome, Outcome::DeploymentUpdated { replicas: 3, .. }), "{outcome:?}");
}

#[test]
fn targets_are_shown_without_copying_their_policies() {
    let mut world = site();
    let target = owned(&mut world);
    let before = world.cluster.scaling_targets();
    decide(&mut world, &target, 5).expect("accepted");
    let (one, other) = (world.cluster.scaling_targets(), world.cluster.scaling_target(&target).expect("there"));
    assert!(Arc::ptr_eq(&one[0].policies, &other.policies) && Arc::ptr_eq(&one[0].memory, &other.memory));
    assert!(Arc::ptr_eq(&one[0].policies, &before[0].policies), "only a policy's change lays them out anew");
}
