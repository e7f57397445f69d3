//! Lists of decisions and figures of them.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::record::{DecisionRecord, DecisionStatus, PolicyRecord, ScalingTarget};
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::Trigger;
use fogline_core::time::Timestamp;
use fogline_store::{DecisionCount, DecisionFilter, DecisionsOf, PageRequest, StoreError};

use super::scaling::a_policy;
use crate::backend::Backend;
use crate::rows::START;
use crate::world::{World, add, everything, remove};

const SECOND: Duration = Duration::from_secs(1);

/// Decisions on the target of `policy`, oldest first: changes, holds and dry runs, two of each moment.
async fn many(world: &mut World, policy: &PolicyRecord) -> Vec<DecisionRecord> {
    let mut changes = Changes::default();
    let mut made = Vec::new();
    for at in 0..12_u32 {
        let mut record = world.rows.decision(policy, 3, if at % 3 == 0 { 3 } else { 4 });
        record.dry_run = at % 4 == 1;
        let mut decision = (*record.decision).clone();
        decision.at = START.plus(SECOND * (100 + at / 2));
        record.decision = Arc::new(decision);
        add(&mut changes.decisions, record.id, &record);
        made.push(record);
    }
    world.commit(&changes).await;
    made
}

pub async fn decisions_are_listed_newest_first(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "one").await;
    let other = a_policy(&mut world, "other").await;
    let mut all = many(&mut world, &policy).await;
    all.extend(many(&mut world, &other).await);
    let newest_first = |fits: &dyn Fn(&DecisionRecord) -> bool| {
        let mut found: Vec<_> = all.iter().filter(|record| fits(record)).cloned().collect();
        found.sort_by_key(|record| (record.decision.at, record.id));
        found.reverse();
        found
    };
    let store = &world.store;
    let listed = async |filter: &DecisionFilter| {
        let mut lists = Vec::new();
        for limit in [1, 3, 24, 100] {
            lists.push(everything(limit, async |page| store.decisions(filter, &page).await).await);
        }
        assert!(lists.iter().all(|list| *list == lists[0]), "the same by pages of any length");
        lists.swap_remove(0)
    };
    let of = |of| DecisionFilter { of, ..DecisionFilter::default() };
    assert_eq!(listed(&of(DecisionsOf::All)).await, newest_first(&|_| true));
    let target = of(DecisionsOf::Target(policy.target.clone()));
    assert_eq!(listed(&target).await.len(), 24);
    let one = of(DecisionsOf::Policy(policy.id));
    assert_eq!(listed(&one).await, newest_first(&|record| record.policy_id == Some(policy.id)));
    let changed = |record: &DecisionRecord| record.decision.action != Action::Hold;
    let changes_only = DecisionFilter { changes_only: true, ..target.clone() };
    assert_eq!(listed(&changes_only).await, newest_first(&changed));
    for dry_run in [true, false] {
        let filter = DecisionFilter { dry_run: Some(dry_run), ..target.clone() };
        assert_eq!(listed(&filter).await, newest_first(&|record| record.dry_run == dry_run));
    }
    let from = START.plus(SECOND * 103);
    let late = DecisionFilter { from: Some(from), dry_run: Some(false), ..changes_only };
    let fits = |record: &DecisionRecord| changed(record) && !record.dry_run && record.decision.at >= from;
    assert_eq!(listed(&late).await, newest_first(&fits));
    for (from, count) in [(Timestamp::from_micros(i64::MIN), 24), (Timestamp::from_micros(i64::MAX), 0)] {
        assert_eq!(listed(&DecisionFilter { from: Some(from), ..target.clone() }).await.len(), count);
    }
    let nowhere = ScalingTarget::Outside { owner: world.user.id, target_type: "x".into(), target_id: "y".into() };
    assert_eq!(listed(&of(DecisionsOf::Target(nowhere))).await, []);

    // What comes between two pages neither repeats nor hides anything.
    let first = store.decisions(&target, &PageRequest::first(5)).await.expect("a page");
    let late = world.rows.decision(&policy, 1, 2);
    let mut changes = Changes::default();
    add(&mut changes.decisions, late.id, &late);
    world.commit(&changes).await;
    let next = PageRequest::after(5, first.next.expect("there is more"));
    let second = world.store.decisions(&target, &next).await.expect("a page");
    assert_eq!([first.items, second.items].concat(), newest_first(&|_| true)[..10]);

    for cursor in ["sd.", "sd.zz", "d.00", "sd.313a32", &format!("sd.{}", "39".repeat(40))] {
        let error = world.store.decisions(&target, &PageRequest::after(5, cursor)).await.expect_err("never given");
        assert!(matches!(error, StoreError::BadCursor { .. }), "{error:?}");
    }
}

pub async fn decisions_are_shown_to_those_whose_target_it_is(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let on_deployment = a_policy(&mut world, "one").await;
    let (user, stranger) = (world.user.clone(), world.rows.user("grace"));
    // Somebody may call their target as they like; whose it is does not follow from that.
    let target = |owner| ScalingTarget::Outside { owner, target_type: "x".into(), target_id: format!(":{}:", user.id) };
    let outside = world.rows.policy(&user, "outside", &target(user.id));
    let theirs = world.rows.policy(&stranger, "outside", &target(stranger.id));
    let mut changes = Changes::default();
    add(&mut changes.users, stranger.id, &stranger);
    add(&mut changes.policies, outside.id, &outside);
    add(&mut changes.policies, theirs.id, &theirs);
    let made = [&on_deployment, &outside, &theirs].map(|policy| world.rows.decision(policy, 1, 2));
    for record in &made {
        add(&mut changes.decisions, record.id, record);
    }
    world.commit(&changes).await;
    let mut changes = Changes::default();
    remove(&mut changes.policies, outside.id, &outside);
    world.commit(&changes).await;
    let [one, two, three] = made;
    for (user, seen) in [(user.id, vec![two, one]), (stranger.id, vec![three])] {
        let filter = DecisionFilter { of: DecisionsOf::VisibleTo(user), ..DecisionFilter::default() };
        let found = world.store.decisions(&filter, &PageRequest::default()).await.expect("reads").items;
        assert_eq!(found, seen);
    }
}

pub async fn decisions_are_counted_by_kind(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "one").await;
    let mut changes = Changes::default();
    let mut made = |from, to, status, trigger, took: Option<u64>| {
        let mut record = world.rows.decision(&policy, from, to);
        record.status = status;
        let mut decision = (*record.decision).clone();
        decision.trigger = trigger;
        record.completed_at = took.map(|micros| decision.at.plus(Duration::from_micros(micros)));
        record.decision = Arc::new(decision);
        add(&mut changes.decisions, record.id, &record);
        record
    };
    made(1, 9, DecisionStatus::Completed, Trigger::Auto, Some(1));
    let first = made(1, 2, DecisionStatus::Completed, Trigger::Auto, Some(1_500_000));
    made(2, 3, DecisionStatus::Completed, Trigger::Auto, Some(2_500_001));
    made(3, 4, DecisionStatus::Completed, Trigger::Auto, None);
    made(4, 3, DecisionStatus::Failed, Trigger::Admin, Some(7));
    made(3, 5, DecisionStatus::Pending, Trigger::Auto, None);
    made(5, 5, DecisionStatus::Completed, Trigger::Schedule, Some(0));
    world.commit(&changes).await;
    let counted = world.store.decision_counts(&policy.target, first.decision.at).await.expect("counts");
    let count = |action, trigger, status, count, timed, micros| DecisionCount {
        action,
        trigger,
        status,
        count,
        timed,
        took: Duration::from_micros(micros),
    };
    assert_eq!(
        counted,
        [
            count(Action::Hold, Trigger::Schedule, DecisionStatus::Completed, 1, 1, 0),
            count(Action::ScaleDown, Trigger::Admin, DecisionStatus::Failed, 1, 1, 7),
            count(Action::ScaleUp, Trigger::Auto, DecisionStatus::Completed, 3, 2, 4_000_001),
            count(Action::ScaleUp, Trigger::Auto, DecisionStatus::Pending, 1, 0, 0),
        ]
    );
    let nothing = world.store.decision_counts(&policy.target, Timestamp::from_micros(i64::MAX)).await;
    assert_eq!(nothing.expect("counts"), []);
}
