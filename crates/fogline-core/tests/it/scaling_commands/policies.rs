//! Policies as they are written, moved and deleted; by whom, and how many.

use fogline_core::Cluster;
use fogline_core::cluster::Durable;
use fogline_core::command::{Actor, Command, Rejection, Request};
use fogline_core::id::{IdSource, UserId};
use fogline_core::record::{Role, ScalingTarget, Tier};
use fogline_core::scaling::PolicySpec;
use fogline_core::settings::Settings;

use super::{admin, create, decide, deployed, site, update};
use crate::scaling::stage::spec;

fn outside(owner: UserId, target_type: &str, target_id: &str) -> ScalingTarget {
    ScalingTarget::Outside { owner, target_type: target_type.to_owned(), target_id: target_id.to_owned() }
}

fn user_id(actor: &Actor) -> UserId {
    actor.user_id().expect("a user")
}

#[test]
fn the_target_is_found_out_once_and_kept() {
    let mut world = site();
    let (ann, bob) = (world.add_user("ann", Tier::Enterprise), world.add_user("bob", Tier::Enterprise));
    let root = admin(&world);
    let web = deployed(&mut world, &ann, "web", 1);
    let mut number = 0;
    let mut target = |world: &mut crate::world::World, actor: &Actor, kind: &str, id: &str| {
        number += 1;
        let id = create(world, actor, &format!("name: p{number}\ntarget_type: {kind}\ntarget_id: {id}\n"))?;
        Ok::<_, Rejection>(world.cluster.policy(id).expect("there").target.clone())
    };
    let by_id = format!("\"{web}\"");
    for (kind, id) in [("deployment", "web"), ("deployment", by_id.as_str()), ("proxy", "web"), ("proxy", &by_id)] {
        assert_eq!(target(&mut world, &ann, kind, id), Ok(ScalingTarget::Deployment(web)), "{kind} {id}");
    }
    assert_eq!(target(&mut world, &root, "deployment", "web"), Ok(ScalingTarget::Deployment(web)));
    let kafka = "550e8400-e29b-41d4-a716-446655440000";
    assert_eq!(target(&mut world, &ann, "cdc-worker", kafka), Ok(outside(user_id(&ann), "cdc-worker", kafka)));
    assert_eq!(target(&mut world, &ann, "proxy", "edge"), Ok(outside(user_id(&ann), "proxy", "edge")));
    // What is Ann's looks to Bob as if it were not there.
    for id in ["web", by_id.as_str(), "nothing"] {
        let refused = target(&mut world, &bob, "deployment", id).expect_err("not Bob's");
        assert!(matches!(&refused, Rejection::Invalid(errors) if errors[0].field == "target_id"), "{refused}");
    }
    assert_eq!(target(&mut world, &bob, "proxy", "web"), Ok(outside(user_id(&bob), "proxy", "web")));
    let refused = create(&mut world, &ann, "target_type: deployment\n").expect_err("which one?");
    assert!(refused.to_string().contains("target_id: is missing"), "{refused}");
}

#[test]
fn a_name_that_several_users_use_must_be_told_apart_by_the_administrator() {
    let mut world = site();
    let (ann, bob) = (world.add_user("ann", Tier::Pro), world.add_user("bob", Tier::Pro));
    deployed(&mut world, &ann, "web", 1);
    let bobs = deployed(&mut world, &bob, "web", 1);
    let admin = admin(&world);
    let refused = create(&mut world, &admin, "target_type: proxy\ntarget_id: web\n").expect_err("two of them");
    assert!(refused.to_string().contains("several users"), "{refused}");
    create(&mut world, &admin, &format!("target_type: proxy\ntarget_id: \"{bobs}\"\n")).expect("one of them");
}

#[test]
fn a_proxy_that_is_a_deployment_keeps_its_limits() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    deployed(&mut world, &ann, "web", 1);
    let yaml = "target_type: proxy\nmax_replicas: 101\ncallback_url: https://hooks.example/\n";
    let refused = create(&mut world, &ann, &format!("{yaml}target_id: web\n")).expect_err("it is a deployment");
    let Rejection::Invalid(errors) = refused else { panic!("{refused}") };
    assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["max_replicas", "callback_url"]);
    create(&mut world, &ann, &format!("{yaml}target_id: edge\n")).expect("it is something outside");
}

#[test]
fn names_are_an_owners_and_quotas_a_tiers() {
    let mut world = site();
    let (free, pro) = (world.add_user("free", Tier::Free), world.add_user("pro", Tier::Pro));
    let policy = |name: &str| format!("name: {name}\ntarget_type: webhook\ntarget_id: a\n");
    create(&mut world, &free, &policy("one")).expect("one is free");
    let refused = create(&mut world, &free, &policy("two")).expect_err("the second is not");
    assert!(matches!(refused, Rejection::QuotaExceeded { would_be: 2, tier: "free", allowed: 1, .. }), "{refused}");
    let refused = create(&mut world, &free, &policy("one")).expect_err("it is there already");
    assert!(matches!(refused, Rejection::NameTaken { kind: "scaling policy", .. }), "{refused}");
    for number in 0..20 {
        create(&mut world, &pro, &policy(&format!("one{number}"))).expect("20 are pro");
    }
    create(&mut world, &pro, &policy("more")).expect_err("21 are not");
    let admin = admin(&world);
    for number in 0..25 {
        create(&mut world, &admin, &policy(&format!("one{number}"))).expect("administrators have no quota");
    }
}

#[test]
fn an_update_makes_a_version_and_an_old_one_is_refused() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let id = create(&mut world, &ann, "target_type: webhook\ntarget_id: a\n").expect("fine");
    create(&mut world, &ann, "name: other\ntarget_type: webhook\ntarget_id: a\n").expect("fine");
    let change = |max: u32, based_on| Command::UpdatePolicy {
        policy_id: id,
        spec: spec(&format!("target_type: webhook\ntarget_id: a\nmax_replicas: {max}\n")).into(),
        based_on,
    };
    let request = |command| Request { actor: ann.clone(), command, idempotency: None, remote: None };
    let (_, changes) = world.request(&request(change(5, Some(1)))).expect("made from the present one");
    let versions: Vec<_> = changes.policy_versions.iter().map(|row| (row.version, row.spec.max_replicas)).collect();
    assert_eq!(versions, [(2, 5)]);
    let refused = world.ask(&ann, change(6, Some(1))).expect_err("made from an older one");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
    let (_, changes) = world.request(&request(change(5, Some(2)))).expect("says nothing new");
    assert!(changes.policies.is_empty() && changes.policy_versions.is_empty());
    let refused = update(&mut world, &ann, id, "name: other\ntarget_type: webhook\n").expect_err("the name is taken");
    assert!(matches!(refused, Rejection::NameTaken { .. }), "{refused}");
    let refused = update(&mut world, &ann, id, "target_type: webhook\nmax_replicas: 0\n").expect_err("no policy");
    assert!(matches!(refused, Rejection::Invalid(_)), "{refused}");
    assert_eq!(update(&mut world, &ann, id, "name: mine\ntarget_type: webhook\ntarget_id: b\n"), Ok(3));
    let record = world.cluster.policy(id).expect("there");
    assert_eq!(record.target, outside(user_id(&ann), "webhook", "b"));
    assert_eq!(world.cluster.policies_on(&outside(user_id(&ann), "webhook", "a")).count(), 1);
    assert_eq!(world.cluster.policy_named(user_id(&ann), "mine").map(|policy| policy.id), Some(id));
    assert_eq!(world.cluster.policy_named(user_id(&ann), "web"), None);
}

#[test]
fn with_the_last_policy_a_target_forgets() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let target = outside(user_id(&ann), "webhook", "a");
    let one = create(&mut world, &ann, "target_type: webhook\ntarget_id: a\n").expect("fine");
    let two = create(&mut world, &ann, "name: two\ntarget_type: webhook\ntarget_id: a\n").expect("fine");
    let outcome = decide(&mut world, &target, 3).expect("accepted");
    let pending = super::row(&world, &outcome);
    world.ask(&ann, Command::DeletePolicy { policy_id: one }).expect("Ann's");
    let view = world.cluster.scaling_target(&target).expect("one is left");
    assert_eq!(view.pending, Some(pending.id));
    assert!(view.memory.policies.keys().all(|id| *id == two));
    // The other one moves away.
    update(&mut world, &ann, two, "name: two\ntarget_type: webhook\ntarget_id: b\n").expect("Ann's");
    assert!(world.cluster.scaling_target(&target).is_none() && world.cluster.scaling_state(&target).is_none());
    let ended = super::row_of(&world, pending.id);
    assert!(ended.error.expect("it failed").contains("deleted before it was carried out"));
    let gone = world.ask(&ann, Command::DeletePolicy { policy_id: one }).expect_err("gone");
    assert!(matches!(gone, Rejection::NotFound { kind: "scaling policy", .. }), "{gone}");
}

#[test]
fn a_policy_on_a_deployment_is_its_owners_too_whoever_wrote_it() {
    let mut world = site();
    let (ann, bob) = (world.add_user("ann", Tier::Pro), world.add_user("bob", Tier::Pro));
    let web = deployed(&mut world, &ann, "web", 1);
    let admin = admin(&world);
    let on_web = format!("target_type: deployment\ntarget_id: \"{web}\"\n");
    let id = create(&mut world, &admin, &on_web).expect("an administrator's");
    for command in [
        Command::DeletePolicy { policy_id: id },
        Command::PausePolicy { policy_id: id, until: None },
        Command::UpdatePolicy { policy_id: id, spec: spec(&on_web).into(), based_on: None },
    ] {
        let refused = world.ask(&bob, command).expect_err("not Bob's");
        assert!(matches!(refused, Rejection::NotFound { .. }), "{refused}");
    }
    update(&mut world, &ann, id, &format!("{on_web}max_replicas: 3\n")).expect("it is Ann's deployment");
    let refused = update(&mut world, &ann, id, "target_type: webhook\n").expect_err("it is not Ann's policy");
    assert!(matches!(refused, Rejection::Forbidden { .. }), "{refused}");
    // One who only looks changes nothing.
    let role = Some(Role::Viewer);
    let command = Command::UpdateUser { user_id: user_id(&ann), password_hash: None, role, tier: None, disabled: None };
    world.ask(&admin, command).expect("an administrator may");
    let refused = world.ask(&ann, Command::DeletePolicy { policy_id: id }).expect_err("a viewer");
    assert!(matches!(refused, Rejection::Forbidden { .. }), "{refused}");
    assert!(world.cluster.visible_policy(&ann, id).is_ok() && world.cluster.visible_policy(&bob, id).is_err());
}

#[test]
fn a_metric_name_means_one_thing_on_a_target() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let web = deployed(&mut world, &ann, "web", 1);
    let policy = |name: &str, key: &str| {
        format!(
            "name: {name}\ntarget_type: deployment\ntarget_id: \"{web}\"\n\
             metrics: {{jobs: {{source: redis, url: \"redis://r.example\", key: {key}}}}}\n"
        )
    };
    create(&mut world, &ann, &policy("first", "a")).expect("fine");
    let refused = create(&mut world, &ann, &policy("second", "b")).expect_err("it is another list");
    let text = refused.to_string();
    assert!(text.contains("metrics.jobs: is something else in the policy first on the same target"), "{text}");
    let second = create(&mut world, &ann, &policy("second", "a")).expect("the same list");
    update(&mut world, &ann, second, &policy("second", "b")).expect_err("not by the back door either");
    update(&mut world, &ann, second, &policy("second", "a").replace("jobs", "others")).expect("another name");
}

#[test]
fn who_wrote_a_policy_as_an_administrator_does_not_see_it_as_somebody_else() {
    let mut world = site();
    let (ann, bob) = (world.add_user("ann", Tier::Pro), world.add_user("bob", Tier::Pro));
    let web = deployed(&mut world, &ann, "web", 1);
    let admin = admin(&world);
    let promote = |world: &mut crate::world::World, role| {
        let (user_id, role) = (user_id(&bob), Some(role));
        let command = Command::UpdateUser { user_id, password_hash: None, role, tier: None, disabled: None };
        world.ask(&admin, command).expect("an administrator may");
    };
    promote(&mut world, Role::Admin);
    let id = create(&mut world, &bob, &format!("target_type: deployment\ntarget_id: \"{web}\"\n")).expect("fine");
    promote(&mut world, Role::User);
    assert!(world.cluster.visible_policy(&bob, id).is_err(), "what Ann's deployment does is Ann's business");
    let refused = world.ask(&bob, Command::DeletePolicy { policy_id: id }).expect_err("not any more");
    assert!(matches!(refused, Rejection::NotFound { .. }), "{refused}");
    assert!(world.cluster.visible_policy(&ann, id).is_ok());
}

#[test]
fn policies_go_with_their_deployment_and_with_their_owner() {
    let mut world = site();
    let (ann, bob) = (world.add_user("ann", Tier::Free), world.add_user("bob", Tier::Free));
    let web = deployed(&mut world, &ann, "web", 2);
    let admin = admin(&world);
    create(&mut world, &ann, "target_type: deployment\ntarget_id: web\n").expect("fine");
    create(&mut world, &admin, &format!("target_type: proxy\ntarget_id: \"{web}\"\n")).expect("fine");
    world.ask(&ann, Command::DeleteDeployment { deployment_id: web }).expect("Ann's");
    assert_eq!((world.cluster.policies().count(), world.cluster.scaling_states().count()), (0, 0));
    // The quota is free again.
    create(&mut world, &bob, "target_type: webhook\ntarget_id: a\n").expect("fine");
    create(&mut world, &ann, "target_type: webhook\ntarget_id: a\n").expect("fine");
    let outcome = decide(&mut world, &outside(user_id(&ann), "webhook", "a"), 3).expect("accepted");
    super::settled(&mut world);
    world.ask(&admin, Command::DeleteUser { user_id: user_id(&ann) }).expect("nothing of theirs runs");
    let left: Vec<_> = world.cluster.policies().map(|policy| policy.user_id).collect();
    assert_eq!(left, [user_id(&bob)]);
    assert!(super::row(&world, &outcome).error.is_some(), "nobody will carry it out");
}

#[test]
fn a_policy_that_is_created_and_deleted_in_one_batch_leaves_no_version() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Free);
    let mut changes = fogline_core::cluster::Changes::default();
    let ask = |command| Request { actor: ann.clone(), command, idempotency: None, remote: None };
    let spec = spec("target_type: webhook\n").into();
    world.cluster.apply(&ask(Command::CreatePolicy { spec }), world.now, &mut changes).expect("fine");
    let policy_id = world.cluster.policies().next().expect("there").id;
    world.cluster.apply(&ask(Command::DeletePolicy { policy_id }), world.now, &mut changes).expect("fine");
    world.finish(&mut changes);
    assert!(changes.policy_versions.is_empty());
}

#[test]
fn what_an_older_version_let_in_is_kept_shown_and_not_evaluated() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let id = create(&mut world, &ann, "target_type: webhook\ntarget_id: a\n").expect("fine");
    let good = create(&mut world, &ann, "name: good\ntarget_type: webhook\ntarget_id: b\n").expect("fine");
    let mut policies: Vec<_> = world.cluster.policies().cloned().collect();
    for policy in policies.iter_mut().filter(|policy| policy.id == id) {
        policy.spec = PolicySpec { max_replicas: 0, ..(*policy.spec).clone() }.into();
    }
    let users = world.cluster.users().cloned().collect();
    let durable = Durable { users, policies, ..Durable::default() };
    let cluster = Cluster::load(durable, Settings::default(), IdSource::new(7), world.now).expect("it starts");
    assert_eq!(cluster.policy(id).expect("kept").spec.max_replicas, 0);
    assert_eq!(cluster.policy_faults(id)[0].field, "max_replicas");
    assert!(cluster.policy_faults(good).is_empty());
    assert_eq!(cluster.faulty_policies().map(|(policy, _)| policy.id).collect::<Vec<_>>(), [id]);
    let evaluated: Vec<_> = cluster.scaling_targets().into_iter().map(|view| view.target).collect();
    assert_eq!(evaluated, [outside(user_id(&ann), "webhook", "b")]);
    assert!(cluster.scaling_target(&outside(user_id(&ann), "webhook", "a")).expect("there").policies.is_empty());
}
