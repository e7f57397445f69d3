//! A repeated request is answered, not done again.

use fogline_core::cluster::Changes;
use fogline_core::command::Outcome;
use fogline_core::record::IdempotencyRecord;
use fogline_store::CommitError;

use crate::backend::Backend;
use crate::world::{World, add};

fn answer(world: &mut World, key: &str) -> IdempotencyRecord {
    IdempotencyRecord {
        user_id: world.user.id,
        key: key.to_owned(),
        fingerprint: [3; 32],
        outcome: Outcome::Deployed { deployment_id: world.deployment.id, replicas: 3 },
        created_at: world.rows.now(),
    }
}

pub async fn an_answer_commits_with_its_change(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let (one, two) = (answer(&mut world, "one"), answer(&mut world, "two"));
    world.commit(&Changes { idempotency: vec![one.clone(), two.clone()], ..Default::default() }).await;
    let (user, stranger) = (world.user.id, world.rows.user("stranger").id);
    let asked = [(user, "two"), (user, "never"), (stranger, "one"), (user, "one")];
    let mut found = world.store.answered(&asked).await.expect("reads");
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found, [one, two]);
    assert_eq!(world.store.answered(&[]).await.expect("reads"), []);

    // A batch that is refused leaves no answer behind.
    let twin = world.rows.user("ada");
    let three = answer(&mut world, "three");
    let mut changes = Changes { idempotency: vec![three], ..Default::default() };
    add(&mut changes.users, twin.id, &twin);
    assert!(world.store.commit(&world.lease, &changes).await.is_err());
    assert_eq!(world.store.answered(&[(user, "three")]).await.expect("reads"), []);
}

pub async fn a_key_is_answered_once(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let first = answer(&mut world, "key");
    world.commit(&Changes { idempotency: vec![first.clone()], ..Default::default() }).await;
    let second = answer(&mut world, "key");
    let result = world.store.commit(&world.lease, &Changes { idempotency: vec![second], ..Default::default() }).await;
    assert!(matches!(result, Err(CommitError::Constraint { .. })), "{result:?}");
    assert_eq!(world.store.answered(&[(world.user.id, "key")]).await.expect("reads"), [first]);
}
