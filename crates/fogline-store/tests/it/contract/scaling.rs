//! Policies with their versions, what targets remember, and decisions: as rows, with their rules.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::record::{DecisionStatus, PolicyRecord, ScalingTarget};
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::{Run, Trigger};
use fogline_core::scaling::policy::Mode;
use fogline_store::{CommitError, PageRequest, PolicyFilter, Pruned};

use crate::backend::Backend;
use crate::rows::START;
use crate::world::{World, add, change, everything, remove};

/// A policy of the world's user on the world's deployment, committed with its first version.
pub async fn a_policy(world: &mut World, name: &str) -> PolicyRecord {
    let target = ScalingTarget::Deployment(world.deployment.id);
    let policy = world.rows.policy(&world.user.clone(), name, &target);
    let mut changes = Changes::default();
    add(&mut changes.policies, policy.id, &policy);
    changes.policy_versions.push(world.rows.policy_version(&policy));
    world.commit(&changes).await;
    policy
}

/// The policy under another name.
fn renamed(policy: &PolicyRecord, name: &str) -> PolicyRecord {
    let mut spec = (*policy.spec).clone();
    name.clone_into(&mut spec.name);
    PolicyRecord { spec: Arc::new(spec), version: policy.version + 1, ..policy.clone() }
}

fn refused(result: Result<u64, CommitError>, part: &str) {
    match result {
        Err(CommitError::Constraint { detail }) => assert!(detail.contains(part), "{detail}"),
        other => panic!("expected a refusal with {part:?}, got {other:?}"),
    }
}

pub async fn scaling_comes_back_as_it_was(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let user = world.user.clone();
    let outside = ScalingTarget::Outside {
        owner: user.id,
        target_type: "cdc-worker".to_owned(),
        target_id: "a:b «ü» ''".to_owned(),
    };
    let policy = a_policy(&mut world, "by-lag").await;
    let mut other = world.rows.policy(&user, "outside", &outside);
    let mut spec = (*other.spec).clone();
    (spec.enabled, spec.mode, spec.target_id) = (true, Mode::Active, None);
    other.spec = Arc::new(spec);
    let mut version = world.rows.policy_version(&other);
    version.created_by = None;
    let state = world.rows.scaling_state(&policy);
    let mut theirs = world.rows.scaling_state(&other);
    (theirs.replicas, theirs.version) = (Some(4_000_000_000), i64::MAX.unsigned_abs());
    let done = world.rows.decision(&policy, 2, 5);
    let mut pending = world.rows.decision(&other, 5, 0);
    (pending.status, pending.completed_at) = (DecisionStatus::Pending, None);
    pending.triggered_by = Some(user.id);
    let mut failed = world.rows.decision(&other, 5, 5);
    (failed.status, failed.error, failed.dry_run) = (DecisionStatus::Failed, Some("no «answer»\n".to_owned()), true);
    (failed.policy_id, failed.policy_name) = (None, None);
    let mut decision = (*failed.decision).clone();
    (decision.run, decision.trigger) = (Run::Shadow, Trigger::Admin);
    failed.decision = Arc::new(decision);
    let mut changes = Changes::default();
    add(&mut changes.policies, other.id, &other);
    changes.policy_versions.push(version.clone());
    add(&mut changes.scaling_states, state.target.clone(), &state);
    add(&mut changes.scaling_states, theirs.target.clone(), &theirs);
    for record in [&done, &pending, &failed] {
        add(&mut changes.decisions, record.id, record);
    }
    world.commit(&changes).await;

    // Read by somebody who opens the same database anew, so nothing comes out of a memory.
    world.store.close().await;
    let store = backend.open().await;
    for record in [&policy, &other] {
        assert_eq!(store.policy(record.id).await.expect("reads").as_ref(), Some(record));
    }
    let versions = store.policy_versions(other.id, &PageRequest::default()).await.expect("reads");
    assert_eq!(versions.items, [version]);
    for record in [&done, &pending, &failed] {
        assert_eq!(store.decision(record.id).await.expect("reads").as_ref(), Some(record));
    }
    let durable = store.load().await.expect("loads");
    assert_eq!(durable.policies, [policy, other]);
    assert_eq!(durable.decisions, [pending], "only what is pending is held in memory");
    let mut states = [state, theirs];
    states.sort_by_key(|state| state.target.to_string());
    assert_eq!(durable.scaling_states, states);
}

pub async fn scaling_comes_back_changed(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let before = a_policy(&mut world, "by-lag").await;
    let state = world.rows.scaling_state(&before);
    let mut pending = world.rows.decision(&before, 2, 5);
    (pending.status, pending.completed_at) = (DecisionStatus::Pending, None);
    let mut changes = Changes::default();
    add(&mut changes.scaling_states, state.target.clone(), &state);
    add(&mut changes.decisions, pending.id, &pending);
    world.commit(&changes).await;

    let mut policy = renamed(&before, "by-depth");
    let mut spec = (*policy.spec).clone();
    (spec.enabled, spec.mode, spec.target_type) = (true, Mode::Active, "proxy".to_owned());
    (spec.target_id, spec.max_replicas) = (Some("elsewhere".to_owned()), 9);
    policy.spec = Arc::new(spec);
    policy.target =
        ScalingTarget::Outside { owner: world.user.id, target_type: "proxy".to_owned(), target_id: "elsewhere".into() };
    policy.updated_at = world.rows.now();
    let version = world.rows.policy_version(&policy);
    let mut moved = state.clone();
    (moved.version, moved.replicas, moved.memory) = (2, Some(0), Arc::default());
    moved.updated_at = world.rows.now();
    let mut ended = pending.clone();
    (ended.status, ended.error) = (DecisionStatus::Failed, Some("503".to_owned()));
    ended.completed_at = Some(world.rows.now());
    let mut decision = (*ended.decision).clone();
    (decision.action, decision.replicas, decision.reason) = (Action::ScaleUp, 4, "as far as it went".to_owned());
    ended.decision = Arc::new(decision);
    let mut changes = Changes::default();
    change(&mut changes.policies, policy.id, &before, &policy);
    changes.policy_versions.push(version.clone());
    change(&mut changes.scaling_states, moved.target.clone(), &state, &moved);
    change(&mut changes.decisions, ended.id, &pending, &ended);
    world.commit(&changes).await;

    let store = &world.store;
    assert_eq!(store.policy(policy.id).await.expect("reads"), Some(policy.clone()));
    assert_eq!(store.decision(ended.id).await.expect("reads"), Some(ended));
    let versions = store.policy_versions(policy.id, &PageRequest::default()).await.expect("reads").items;
    assert_eq!((versions.len(), &versions[0]), (2, &version), "newest first");
    let durable = store.load().await.expect("loads");
    assert_eq!((durable.policies, durable.decisions), (vec![policy], vec![]));
    assert_eq!(durable.scaling_states, [moved]);
}

pub async fn a_removed_policy_leaves_decisions_behind(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let state = world.rows.scaling_state(&policy);
    let decision = world.rows.decision(&policy, 2, 5);
    let mut changes = Changes::default();
    add(&mut changes.scaling_states, state.target.clone(), &state);
    add(&mut changes.decisions, decision.id, &decision);
    world.commit(&changes).await;
    let mut changes = Changes::default();
    remove(&mut changes.policies, policy.id, &policy);
    remove(&mut changes.scaling_states, state.target.clone(), &state);
    world.commit(&changes).await;
    for table in ["scaling_policies", "scaling_policy_versions", "scaling_states"] {
        let left = backend.sql(format!("SELECT count(*) FROM {table}")).await.expect("reads");
        assert_eq!(left, [["0"]], "{table}");
    }
    assert_eq!(world.store.decision(decision.id).await.expect("reads"), Some(decision.clone()));

    // So does a user who goes, with the policies of theirs and the versions that they made of others.
    let again = a_policy(&mut world, "by-lag").await;
    let admin = world.rows.user("admin");
    let mut theirs = world.rows.policy(&admin, "theirs", &again.target);
    theirs.version = 2;
    let mut version = world.rows.policy_version(&theirs);
    version.created_by = Some(world.user.id);
    let mut changes = Changes::default();
    add(&mut changes.users, admin.id, &admin);
    add(&mut changes.policies, theirs.id, &theirs);
    changes.policy_versions.push(version.clone());
    world.commit(&changes).await;
    let mut changes = Changes::default();
    remove(&mut changes.policies, again.id, &again);
    remove(&mut changes.users, world.user.id, &world.user);
    world.commit(&changes).await;
    assert_eq!(world.store.load().await.expect("loads").policies, [theirs.clone()]);
    version.created_by = None;
    let versions = world.store.policy_versions(theirs.id, &PageRequest::default()).await.expect("reads");
    assert_eq!(versions.items, [version]);
    assert!(world.store.decision(decision.id).await.expect("reads").is_some());
}

pub async fn a_policy_name_is_one_users_once(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let twin = world.rows.policy(&world.user.clone(), "by-lag", &policy.target);
    let mut changes = Changes::default();
    add(&mut changes.policies, twin.id, &twin);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("scaling_policies.name"));
    let other = world.rows.user("grace");
    let theirs = world.rows.policy(&other, "by-lag", &policy.target);
    let mut changes = Changes::default();
    add(&mut changes.users, other.id, &other);
    add(&mut changes.policies, theirs.id, &theirs);
    world.commit(&changes).await;

    // Within one batch names go round, and the name of one that goes is free.
    let second = a_policy(&mut world, "by-depth").await;
    let third = a_policy(&mut world, "gone").await;
    let (one, two) = (renamed(&policy, "by-depth"), renamed(&second, "by-lag"));
    let fourth = world.rows.policy(&world.user.clone(), "gone", &policy.target);
    let mut changes = Changes::default();
    change(&mut changes.policies, one.id, &policy, &one);
    change(&mut changes.policies, two.id, &second, &two);
    remove(&mut changes.policies, third.id, &third);
    add(&mut changes.policies, fourth.id, &fourth);
    world.commit(&changes).await;
    assert_eq!(world.store.load().await.expect("loads").policies, [one.clone(), theirs, two, fourth]);

    // And a name that is only freed stays as it is for whoever is refused.
    let clash = renamed(&one, "gone");
    let mut changes = Changes::default();
    change(&mut changes.policies, one.id, &one, &clash);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("scaling_policies.name"));
    assert_eq!(world.store.policy(one.id).await.expect("reads"), Some(one));
}

pub async fn scaling_rows_need_what_they_belong_to(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let nobody = world.rows.user("nobody");
    let orphan = world.rows.policy(&nobody, "orphan", &policy.target);
    let version = world.rows.policy_version(&orphan);
    let mut batches: [Changes; 2] = Default::default();
    add(&mut batches[0].policies, orphan.id, &orphan);
    batches[1].policy_versions.push(version);
    for changes in batches {
        refused(world.store.commit(&world.lease, &changes).await, backend.words("FOREIGN KEY"));
    }

    // A change of what is not there means that memory and rows differ.
    let state = world.rows.scaling_state(&policy);
    let decision = world.rows.decision(&policy, 1, 2);
    let mut batches: [Changes; 3] = Default::default();
    change(&mut batches[0].policies, orphan.id, &orphan, &orphan);
    change(&mut batches[1].scaling_states, state.target.clone(), &state, &state);
    change(&mut batches[2].decisions, decision.id, &decision, &decision);
    for (changes, table) in batches.into_iter().zip(["policies", "states", "decisions"]) {
        let words = format!("1 rows of scaling_{table}");
        refused(world.store.commit(&world.lease, &changes).await, &words);
    }

    // Nothing is pending that has ended, and nothing of a backtest is ever recorded.
    let mut odd = world.rows.decision(&policy, 1, 2);
    odd.status = DecisionStatus::Pending;
    let mut tried = world.rows.decision(&policy, 1, 2);
    let mut of_a_backtest = (*tried.decision).clone();
    of_a_backtest.run = Run::Backtest;
    tried.decision = Arc::new(of_a_backtest);
    for record in [odd, tried] {
        let mut changes = Changes::default();
        add(&mut changes.decisions, record.id, &record);
        refused(world.store.commit(&world.lease, &changes).await, backend.words("CHECK"));
    }

    // One policy has each version once, one target one state.
    let mut changes = Changes::default();
    changes.policy_versions.push(world.rows.policy_version(&policy));
    let words = backend.words("scaling_policy_versions.version");
    refused(world.store.commit(&world.lease, &changes).await, words);
    let mut changes = Changes::default();
    add(&mut changes.scaling_states, state.target.clone(), &state);
    world.commit(&changes).await;
    refused(world.store.commit(&world.lease, &changes).await, backend.words("scaling_states.target"));
}

pub async fn holds_go_after_a_week_and_changes_never(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let mut changes = Changes::default();
    let mut kept = Vec::new();
    // More than one step of pruning takes.
    for at in 0..700 {
        let hold = world.rows.decision(&policy, 3, 3);
        add(&mut changes.decisions, hold.id, &hold);
        if at == 0 {
            let mut would = world.rows.decision(&policy, 3, 4);
            would.dry_run = true;
            let mut waits = world.rows.decision(&policy, 3, 3);
            (waits.status, waits.completed_at) = (DecisionStatus::Pending, None);
            kept = vec![would, waits];
        }
    }
    let mut young = world.rows.decision(&policy, 3, 3);
    let mut decision = (*young.decision).clone();
    decision.at = START.plus(Duration::from_secs(60));
    young.decision = Arc::new(decision);
    kept.push(young.clone());
    for record in &kept {
        add(&mut changes.decisions, record.id, record);
    }
    world.commit(&changes).await;
    let now = young.decision.at.plus(week);
    let pruned = world.store.prune(&world.lease, now).await.expect("prunes");
    assert_eq!(pruned, Pruned { decisions: 700, ..Pruned::default() });
    let store = &world.store;
    let left = everything(100, async |page| store.decisions(&Default::default(), &page).await).await;
    kept.reverse();
    assert_eq!(left, kept);
    assert_eq!(store.prune(&world.lease, now).await.expect("prunes"), Pruned::default());
}

pub async fn the_last_hundred_versions_of_a_policy_are_kept(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let (often, seldom) = (a_policy(&mut world, "often").await, a_policy(&mut world, "seldom").await);
    let mut changes = Changes::default();
    // More than one step of pruning takes.
    let last = 100 + 612;
    for (policy, last) in [(&often, last), (&seldom, 100)] {
        for version in 2..=last {
            let policy = PolicyRecord { version, ..policy.clone() };
            changes.policy_versions.push(world.rows.policy_version(&policy));
        }
    }
    world.commit(&changes).await;
    let now = world.rows.now();
    let pruned = world.store.prune(&world.lease, now).await.expect("prunes");
    assert_eq!(pruned, Pruned { policy_versions: 612, ..Pruned::default() });
    let store = &world.store;
    let left = async |id| {
        let all = everything(100, async |page| store.policy_versions(id, &page).await).await;
        all.iter().map(|row| row.version).collect::<Vec<_>>()
    };
    assert_eq!(left(often.id).await, (613..=last).rev().collect::<Vec<_>>(), "the latest are kept");
    assert_eq!(left(seldom.id).await.len(), 100);
    assert_eq!(store.prune(&world.lease, now).await.expect("prunes"), Pruned::default());
}

pub async fn policies_are_listed_for_those_who_may_see_them(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let own = a_policy(&mut world, "own").await;
    let (admin, user) = (world.rows.user("admin"), world.user.clone());
    let elsewhere =
        ScalingTarget::Outside { owner: admin.id, target_type: "trino".to_owned(), target_id: String::new() };
    let on_ours = world.rows.policy(&admin, "guard", &own.target);
    let theirs = world.rows.policy(&admin, "own", &elsewhere);
    let mut changes = Changes::default();
    add(&mut changes.users, admin.id, &admin);
    let mut many = vec![own.clone(), on_ours.clone(), theirs.clone()];
    for at in 0..10 {
        many.push(world.rows.policy(&user, &format!("more-{at}"), &elsewhere));
    }
    for policy in &many[1..] {
        add(&mut changes.policies, policy.id, policy);
    }
    world.commit(&changes).await;
    let store = &world.store;
    let listed = async |filter: PolicyFilter| {
        let mut lists = Vec::new();
        for limit in [1, 3, 13, 100] {
            lists.push(everything(limit, async |page| store.policies(&filter, &page).await).await);
        }
        assert!(lists.iter().all(|list| *list == lists[0]), "the same by pages of any length");
        lists.swap_remove(0)
    };
    assert_eq!(listed(PolicyFilter::default()).await, many, "oldest first");
    let seen = listed(PolicyFilter { visible_to: Some(user.id), ..Default::default() }).await;
    assert_eq!((seen.len(), &seen[..2]), (12, [own.clone(), on_ours.clone()].as_slice()));
    let named = PolicyFilter { name: Some("own".to_owned()), ..Default::default() };
    assert_eq!(listed(named.clone()).await, [own.clone(), theirs.clone()]);
    assert_eq!(listed(PolicyFilter { visible_to: Some(user.id), ..named }).await, std::slice::from_ref(&own));
    let on = PolicyFilter { target: Some(own.target.clone()), ..Default::default() };
    assert_eq!(listed(on.clone()).await, [own.clone(), on_ours.clone()]);
    assert_eq!(listed(PolicyFilter { name: Some("guard".to_owned()), ..on.clone() }).await, [on_ours]);
    assert_eq!(listed(PolicyFilter { user: Some(admin.id), ..on.clone() }).await.len(), 1);
    // Whoever wrote a policy on somebody else's deployment does not see it by that.
    assert_eq!(listed(PolicyFilter { visible_to: Some(admin.id), ..on }).await, []);
    let outside = listed(PolicyFilter { visible_to: Some(admin.id), ..Default::default() }).await;
    assert_eq!(outside, std::slice::from_ref(&theirs));
    assert_eq!(listed(PolicyFilter { user: Some(admin.id), ..Default::default() }).await.len(), 2);
}
