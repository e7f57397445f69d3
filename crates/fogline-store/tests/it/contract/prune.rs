//! What is kept for a while, and what is kept for good.

use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::command::Outcome;
use fogline_core::record::{IdempotencyRecord, SessionRecord};
use fogline_core::state::ReplicaStatus;
use fogline_store::Pruned;

use crate::backend::Backend;
use crate::rows::START;
use crate::world::{World, add, change, everything};

pub async fn the_last_fifty_ended_replicas_are_kept(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let (user, node) = (world.user.clone(), world.node.clone());
    let crowded = world.deployment.clone();
    let quiet = world.rows.deployment(&user, "quiet");
    let mut changes = Changes::default();
    add(&mut changes.deployments, quiet.id, &quiet);
    let mut ended = Vec::new();
    // More than one step of pruning takes.
    for number in 0..700 {
        let mut replica = world.rows.replica(&crowded, &node);
        replica.status = if number % 2 == 0 { ReplicaStatus::Stopped } else { ReplicaStatus::Failed };
        replica.stopped_at = Some(world.rows.now());
        add(&mut changes.replicas, replica.id, &replica);
        ended.push(replica);
    }
    for _ in 0..50 {
        let mut replica = world.rows.replica(&quiet, &node);
        replica.status = ReplicaStatus::Failed;
        add(&mut changes.replicas, replica.id, &replica);
    }
    world.commit(&changes).await;

    let now = world.rows.now();
    let pruned = world.store.prune(&world.lease, now).await.expect("prunes");
    assert_eq!(pruned, Pruned { replicas: 650, ..Pruned::default() });
    let kept = everything(100, async |page| world.store.replicas(crowded.id, &page, true).await).await;
    assert_eq!(kept[0], world.replica, "one that lives is never pruned");
    assert_eq!(kept[1..], ended[650..], "the last ones to end are kept");
    let quiet = everything(100, async |page| world.store.replicas(quiet.id, &page, true).await).await;
    assert_eq!(quiet.len(), 50);
    assert_eq!(world.store.prune(&world.lease, now).await.expect("prunes"), Pruned::default());
}

pub async fn keys_and_sessions_go_when_their_time_is_over(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let user_id = world.user.id;
    let day = Duration::from_secs(24 * 60 * 60);
    let now = START.plus(day).plus(day);
    let key = |key: &str, created_at| IdempotencyRecord {
        user_id,
        key: key.to_owned(),
        fingerprint: [0; 32],
        outcome: Outcome::Noted,
        created_at,
    };
    let just = now.plus(Duration::from_micros(1));
    let idempotency = vec![key("old", START), key("young", START.plus(day))];
    let mut changes = Changes { idempotency, ..Changes::default() };
    let mut sessions = Vec::new();
    for expires_at in [now, just] {
        let made = world.rows.now();
        sessions.push(SessionRecord {
            id: world.rows.ids.next(made),
            user_id,
            refresh_hash: [0; 32],
            created_at: made,
            expires_at,
            revoked_at: None,
        });
    }
    for session in &sessions {
        add(&mut changes.sessions, session.id, session);
    }
    world.commit(&changes).await;
    let pruned = world.store.prune(&world.lease, now).await.expect("prunes");
    assert_eq!(pruned, Pruned { idempotency_keys: 1, sessions: 1, ..Pruned::default() });
    let left = world.store.answered(&[(user_id, "old"), (user_id, "young")]).await.expect("reads");
    assert_eq!(left, [key("young", START.plus(day))]);
    assert!(world.store.session(sessions[0].id).await.expect("reads").is_none());
    assert!(world.store.session(sessions[1].id).await.expect("reads").is_some());

    // Memory may still hold the session that is gone, and end it: that is no error.
    let mut ended = sessions[0].clone();
    ended.revoked_at = Some(just);
    let mut changes = Changes::default();
    change(&mut changes.sessions, ended.id, &sessions[0], &ended);
    world.commit(&changes).await;
}
