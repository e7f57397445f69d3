//! A request that waits wakes what sleeps.

use fogline_core::record::{DecisionStatus, ScalingTarget, Tier};
use fogline_core::scaling::inputs::Trigger;
use fogline_core::scaling::state::Memory;
use serde_json::json;

use super::*;
use crate::scaling::stage;

const SLEEPY: &str = "scale_to_zero: true\nmin_replicas: 2\nmax_replicas: 8\ncooldown_seconds: 3600\n";

fn wake(world: &mut World, id: DeploymentId) -> Result<(Outcome, Changes), Rejection> {
    tell(world, Command::Wake { deployment_id: id, held: 3 })
}

fn target(world: &World, id: DeploymentId) -> u32 {
    world.cluster.deployment(id).expect("there").record.target_replicas
}

/// A deployment of somebody's that a policy has put to sleep.
fn asleep(world: &mut World, actor: &Actor, name: &str) -> DeploymentId {
    let id = deploy(world, actor, name, &json!({"replicas": 2, "routes": [{"host": format!("{name}.test")}]}))
        .expect("fits");
    bring_up(world);
    let policy = stage::spec(&format!("name: {name}\ntarget_id: {name}\n{SLEEPY}"));
    world.ask(actor, Command::CreatePolicy { spec: policy.into() }).expect("a policy");
    let decided = crate::scaling_commands::decided(world, &ScalingTarget::Deployment(id), 0);
    world.ask(&Actor::System, Command::Decide(Box::new(decided))).expect("nobody needs it");
    obey(world);
    assert_eq!(target(world, id), 0);
    id
}

fn drop_policies(world: &mut World, actor: &Actor) {
    let all: Vec<_> = world.cluster.policies().map(|policy| policy.id).collect();
    for policy_id in all {
        world.ask(actor, Command::DeletePolicy { policy_id }).expect("theirs");
    }
}

#[test]
fn policies_say_how_many_and_a_row_says_why() {
    let mut world = old_site();
    let actor = admin(&world);
    let id = asleep(&mut world, &actor, "web");
    assert!(world.cluster.service(id).expect("routed").asleep);
    pass(&mut world, 5);
    let (outcome, changes) = wake(&mut world, id).expect("there is room");
    let Outcome::Decided { decision_id: Some(decision), from: 0, to: 2, pending: false, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let row = &world.decisions[&decision];
    assert_eq!((row.status, row.decision.trigger), (DecisionStatus::Completed, Trigger::Proxy));
    assert_eq!(row.decision.reason, "scaled up from 0 to 2: woken up: 0 open and 3 held requests");
    assert_eq!(
        changes.history[0].reason,
        "Scaled up from 0 to 2 replicas (2 added): woken up: 0 open and 3 held requests"
    );
    assert_eq!(target(&world, id), 2);
    assert!(!world.cluster.service(id).expect("routed").asleep);
    let memory: &Memory = &world.cluster.scaling_state(&ScalingTarget::Deployment(id)).expect("it remembers").memory;
    assert_eq!(memory.changes.last().map(|change| (change.from, change.to)), Some((0, 2)));

    let (again, changes) = wake(&mut world, id).expect("it is awake");
    assert_eq!(again, Outcome::Noted);
    assert!(changes.is_empty(), "one wake leaves one decision");
}

#[test]
fn a_wake_tells_of_a_request_before_any_report_does() {
    let mut world = old_site();
    let actor = admin(&world);
    let id = asleep(&mut world, &actor, "web");
    attach(&mut world, "p1");
    pass(&mut world, 600);
    note(&mut world, "p1", &[], &[]);
    let seen = |world: &World| world.cluster.proxy_signal(id, world.now).expect("a proxy was heard");
    let mut before = seen(&world);
    assert_ne!(before.quiet_since, world.now);
    // Again, by another proxy, when it is awake already.
    for expected_to_be_awake in [false, true] {
        pass(&mut world, 1);
        let (outcome, _) = wake(&mut world, id).expect("there is room");
        assert_eq!(outcome == Outcome::Noted, expected_to_be_awake);
        let now = seen(&world);
        assert!(now.sequence > before.sequence, "what was decided before is not true any more");
        assert_eq!(now.quiet_since, world.now, "it does not fall asleep at the next look");
        before = now;
    }
}

#[test]
fn where_no_policy_owns_the_count_one_is_enough() {
    for how in ["deleted", "paused"] {
        let mut world = old_site();
        let actor = admin(&world);
        let id = asleep(&mut world, &actor, "web");
        if how == "deleted" {
            drop_policies(&mut world, &actor);
        } else {
            let policy_id = world.cluster.policies().next().expect("one").id;
            let until = Some(world.now.plus(Duration::from_secs(600)));
            world.ask(&actor, Command::PausePolicy { policy_id, until }).expect("theirs");
        }
        let (outcome, _) = wake(&mut world, id).expect("there is room");
        let Outcome::Decided { decision_id: Some(decision), to: 1, .. } = outcome else { panic!("{how}: {outcome:?}") };
        assert_eq!(world.decisions[&decision].decision.reason, "scaled up from 0 to 1: woken up: 3 held requests");
        assert_eq!(target(&world, id), 1);
        let remembers = world.cluster.scaling_state(&ScalingTarget::Deployment(id)).is_some();
        assert_eq!(remembers, how == "paused", "nothing is left behind of what has no policy");
    }
}

#[test]
fn what_fits_is_enough_and_nothing_is_said_to_be_so() {
    let mut world = old_site();
    let actor = admin(&world);
    let id = asleep(&mut world, &actor, "web");
    serving(&mut world, "filler", &json!({"replicas": 19}));
    let (outcome, _) = wake(&mut world, id).expect("one fits");
    let Outcome::Decided { decision_id: Some(decision), to: 1, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(world.decisions[&decision].error.as_deref(), Some("wanted 2, room for 1"));
}

#[test]
fn a_wake_without_room_is_not_refused_and_waits_for_some() {
    let mut world = old_site();
    let actor = admin(&world);
    let id = asleep(&mut world, &actor, "web");
    let filler = serving(&mut world, "filler", &json!({"replicas": 20}));
    let (outcome, _) = wake(&mut world, id).expect("requests wait for room");
    let Outcome::Decided { decision_id: Some(decision), from: 0, to: 1, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(world.decisions[&decision].error.as_deref(), Some("wanted 2, room for 0"));
    assert_eq!((target(&world, id), replicas(&world, id).len()), (1, 0));
    let service = world.cluster.service(id).expect("routed");
    assert!(service.serving && !service.asleep);
    assert_eq!(service.trouble.as_deref(), Some("it cannot be placed: no room"));
    assert_eq!(wake(&mut world, id).expect("once is enough").0, Outcome::Noted);

    world.ask(&actor, Command::StopDeployment { deployment_id: filler }).expect("theirs");
    obey(&mut world);
    pass(&mut world, 1);
    bring_up(&mut world);
    assert_eq!(replicas(&world, id).len(), 1, "room has appeared");
    assert_eq!(world.cluster.service(id).expect("routed").trouble, None);
}

#[test]
fn an_owners_quota_counts_as_well() {
    let mut world = old_site();
    let ann = world.add_user("ann", Tier::Pro);
    let id = asleep(&mut world, &ann, "web");
    let Some(user_id) = ann.user_id() else { panic!("she is a user") };
    let tier = Command::UpdateUser { user_id, password_hash: None, role: None, tier: Some(Tier::Free), disabled: None };
    world.as_admin(tier).expect("an administrator may");
    deploy(&mut world, &ann, "more", &json!({"replicas": 10})).expect("her ten");
    let refused = wake(&mut world, id).expect_err("she has ten");
    assert!(matches!(refused, Rejection::QuotaExceeded { .. }), "{refused}");
}

#[test]
fn an_owners_wakes_are_counted() {
    let mut world = old_site();
    let (ann, ben) = (world.add_user("ann", Tier::Enterprise), world.add_user("ben", Tier::Enterprise));
    let hers = asleep(&mut world, &ann, "hers");
    let his = asleep(&mut world, &ben, "his");
    let most = world.cluster.settings().wakes_per_minute;
    let sleep = |world: &mut World, id| {
        let decided = crate::scaling_commands::decided(world, &ScalingTarget::Deployment(id), 0);
        world.ask(&Actor::System, Command::Decide(Box::new(decided))).expect("nobody needs it");
        obey(world);
    };
    for _ in 0..most {
        wake(&mut world, hers).expect("within the budget");
        sleep(&mut world, hers);
    }
    pass(&mut world, 20);
    let refused = wake(&mut world, hers).expect_err("too often");
    assert_eq!(refused, Rejection::TooManyWakes { woken: most, retry_after: Duration::from_secs(40) });
    assert_eq!(
        refused.to_string(),
        "60 deployments of this account were woken within a minute, and that is the most: try again in 40 s"
    );
    wake(&mut world, his).expect("his own budget");
    pass(&mut world, 39);
    wake(&mut world, hers).expect_err("not yet");
    pass(&mut world, 1);
    wake(&mut world, hers).expect("another minute");
}

#[test]
fn only_what_sleeps_is_woken() {
    let mut world = old_site();
    let actor = admin(&world);
    let id = asleep(&mut world, &actor, "web");
    let refused = world.ask(&actor, Command::Wake { deployment_id: id, held: 1 }).expect_err("a person scales");
    assert!(matches!(refused, Rejection::Forbidden { needed: "agent", .. }), "{refused}");
    world.ask(&actor, Command::StopDeployment { deployment_id: id }).expect("theirs");
    let refused = wake(&mut world, id).expect_err("it is stopped");
    assert!(matches!(refused, Rejection::WrongStatus { action: "wake", .. }), "{refused}");
    world.ask(&actor, Command::DeleteDeployment { deployment_id: id }).expect("theirs");
    let refused = wake(&mut world, id).expect_err("it is gone");
    assert!(matches!(refused, Rejection::NotFound { .. }), "{refused}");
}
