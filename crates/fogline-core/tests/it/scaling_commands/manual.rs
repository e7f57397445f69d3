//! Counts that people set: by their own word, or over the heads of policies.

use std::time::Duration;

use fogline_core::command::{Actor, ByHand, Command, Outcome, Rejection, Request};
use fogline_core::id::DeploymentId;
use fogline_core::record::{DecisionStatus, ScalingTarget, Tier};
use fogline_core::scaling::inputs::Trigger;
use fogline_core::scaling::{Inputs, State, evaluate};

use super::{create, deployed, row, settled, site, target_replicas};
use crate::world::World;

const ON_WEB: &str =
    "name: auto\ntarget_type: deployment\ntarget_id: web\nmin_replicas: 2\nmax_replicas: 8\ncooldown_seconds: 600\n";

fn owned(world: &mut World, more: &str) -> (Actor, DeploymentId, ScalingTarget) {
    let ann = world.add_user("ann", Tier::Pro);
    let web = deployed(world, &ann, "web", 3);
    create(world, &ann, &format!("{ON_WEB}{more}")).expect("fine");
    (ann, web, ScalingTarget::Deployment(web))
}

fn scale(target: &ScalingTarget, replicas: i64) -> Command {
    Command::ScaleTarget { target: target.clone(), count: ByHand { replicas, ..ByHand::default() } }
}

#[test]
fn a_person_overrides_the_policy_until_its_cooldown_ends() {
    let mut world = site();
    let (ann, web, target) = owned(&mut world, "");
    let command = Command::ScaleDeployment { deployment_id: web, replicas: 6 };
    let request = Request { actor: ann.clone(), command, idempotency: None, remote: None };
    let (outcome, changes) = world.request(&request).expect("within the bounds");
    assert!(matches!(outcome, Outcome::Scaled { from: 3, to: 6, .. }), "{outcome:?}");
    let line = &changes.history[0];
    assert!(
        line.reason.starts_with("Scaled up from 3 to 6 replicas (3 added): set to 6 by ann, held until "),
        "{line:?}"
    );
    assert_eq!(line.changed_by, ann.user_id());
    let row = changes.decisions.upserts().next().expect("a row says who").clone();
    assert_eq!((row.status, row.decision.trigger), (DecisionStatus::Completed, Trigger::Manual));
    assert_eq!((row.triggered_by, row.policy_name.as_deref()), (ann.user_id(), Some("auto")));
    settled(&mut world);
    let until = world.now.plus(Duration::from_secs(600));
    world.reload();
    let view = world.cluster.scaling_target(&target).expect("there");
    let held = view.memory.held.clone().expect("it holds");
    assert_eq!((held.replicas, held.by.as_str(), held.until), (6, "ann", until));
    let state = State::resumed((*view.memory).clone(), 6, world.now);
    let inputs = Inputs { replicas: view.counts, ..Inputs::default() };
    let (decision, _) = evaluate(&view.policies, &inputs, &state, world.now);
    assert_eq!(decision.replicas, 6, "{}", decision.reason);
}

#[test]
fn outside_the_bounds_it_is_the_policy_that_is_named() {
    let mut world = site();
    let (ann, web, target) = owned(&mut world, "");
    for command in [Command::ScaleDeployment { deployment_id: web, replicas: 9 }, scale(&target, 1)] {
        let refused = world.ask(&ann, command).expect_err("2 to 8").to_string();
        assert!(refused.contains("the scaling policy auto") && refused.contains("2 to 8"), "{refused}");
    }
    for replicas in [0, -1, 101] {
        let refused = world.ask(&ann, scale(&target, replicas)).expect_err("no count").to_string();
        assert!(refused.starts_with("replicas: "), "{refused}");
    }
    assert_eq!(target_replicas(&world, web), 3);
    let id = world.cluster.policies().next().expect("there").id;
    let pause = Command::PausePolicy { policy_id: id, until: Some(world.now.plus(Duration::from_secs(60))) };
    world.ask(&ann, pause).expect("Ann's");
    world.ask(&ann, scale(&target, 1)).expect("who is paused does not bound");
    assert_eq!(target_replicas(&world, web), 1);
    assert_eq!(
        world.cluster.scaling_target(&target).expect("there").memory.held,
        None,
        "and nothing is held against it"
    );
}

#[test]
fn reason_and_end_are_the_persons_own() {
    let mut world = site();
    let (ann, _, target) = owned(&mut world, "");
    let set = |until, reason: &str| Command::ScaleTarget {
        target: target.clone(),
        count: ByHand { replicas: 4, reason: Some(reason.to_owned()), until, trigger: None },
    };
    let until = world.now.plus(Duration::from_secs(7_200));
    let outcome = world.ask(&ann, set(Some(until), "a sale begins")).expect("fine");
    assert!(row(&world, &outcome).decision.reason.ends_with("; a sale begins"), "{outcome:?}");
    assert_eq!(world.cluster.scaling_target(&target).expect("there").memory.held.clone().expect("held").until, until);
    for (until, reason, field) in
        [(Some(world.now), "a", "override_until"), (None, "two\nlines", "reason"), (None, &*"x".repeat(501), "reason")]
    {
        let refused = world.ask(&ann, set(until, reason)).expect_err(field);
        assert!(matches!(&refused, Rejection::Invalid(errors) if errors[0].field == field), "{refused}");
    }
    let outcome = world.as_admin(scale(&target, 5)).expect("fine").0;
    assert_eq!(row(&world, &outcome).decision.trigger, Trigger::Admin);
}

#[test]
fn the_cost_cap_holds_for_people_too() {
    let mut world = site();
    let (ann, web, target) = owned(&mut world, "max_hourly_cost: 5\nreplica_hourly_cost: 1\n");
    let outcome = world.ask(&ann, scale(&target, 7)).expect("as far as it pays");
    assert!(matches!(outcome, Outcome::Decided { from: 3, to: 5, .. }), "{outcome:?}");
    assert_eq!(target_replicas(&world, web), 5);
}

#[test]
fn a_person_gets_all_or_nothing() {
    let mut world = site();
    let (ann, web, target) = owned(&mut world, "");
    deployed(&mut world, &ann, "big", 15);
    let before = world.cluster.scaling_state(&target).cloned();
    let refused = world.ask(&ann, scale(&target, 8)).expect_err("room for two more");
    assert_eq!(refused, Rejection::Insufficient { action: "scale-up", needed: 5, found: 2 });
    assert_eq!((target_replicas(&world, web), world.cluster.scaling_state(&target).cloned()), (3, before));
    assert!(world.decisions.is_empty());
}

#[test]
fn without_a_policy_a_count_is_set_and_that_is_all() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let web = deployed(&mut world, &ann, "web", 3);
    let target = ScalingTarget::Deployment(web);
    let command = Command::ScaleDeployment { deployment_id: web, replicas: 5 };
    let (_, changes) =
        world.request(&Request { actor: ann.clone(), command, idempotency: None, remote: None }).expect("fits");
    assert_eq!(changes.history[0].reason, "Scaled up from 3 to 5 replicas (2 added)");
    assert!(changes.decisions.is_empty());
    // The other door leaves a row, because its answer is that row.
    let outcome = world.ask(&ann, scale(&target, 4)).expect("fits");
    assert_eq!(row(&world, &outcome).decision.reason, "scaled down from 5 to 4: set to 4 by ann");
    assert_eq!((target_replicas(&world, web), world.cluster.scaling_states().count()), (4, 0));
    let bob = world.add_user("bob", Tier::Pro);
    let refused = world.ask(&bob, scale(&target, 1)).expect_err("not Bob's");
    assert!(matches!(refused, Rejection::NotFound { .. }), "{refused}");
    let nowhere = ScalingTarget::Outside {
        owner: ann.user_id().expect("a user"),
        target_type: "webhook".to_owned(),
        target_id: "a".to_owned(),
    };
    let refused = world.ask(&ann, scale(&nowhere, 1)).expect_err("no policy says how");
    assert!(matches!(refused, Rejection::NotFound { .. }), "{refused}");
}
