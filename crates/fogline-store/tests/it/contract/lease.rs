//! One leader writes, whatever the others believe.

use fogline_core::cluster::Changes;
use fogline_store::{CommitError, Lease};

use crate::backend::Backend;
use crate::world::{World, add, lead};

async fn writes_nothing(world: &mut World, lease: &Lease) {
    let user = world.rows.user("late");
    let mut changes = Changes::default();
    add(&mut changes.users, user.id, &user);
    let result = world.store.commit(lease, &changes).await;
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
    assert_eq!(world.store.user_by_name("late").await.expect("reads"), None);
    // Not even an empty batch, which would renew somebody else's lease.
    assert!(matches!(world.store.commit(lease, &Changes::default()).await, Err(CommitError::Fenced)));
}

pub async fn an_older_epoch_writes_nothing(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let old = world.lease.clone();
    // Even where the holder is called the same.
    world.lease = lead(&world.store, "first").await;
    assert_eq!(world.lease.epoch, old.epoch + 1);
    writes_nothing(&mut world, &old).await;
    world.commit(&Changes::default()).await;
}

pub async fn another_holder_of_the_same_epoch_writes_nothing(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let twin = Lease { holder: "twin".to_owned(), ..world.lease.clone() };
    writes_nothing(&mut world, &twin).await;
    let later = Lease { epoch: world.lease.epoch + 1, ..world.lease.clone() };
    writes_nothing(&mut world, &later).await;
    let absurd = Lease { epoch: u64::MAX, ..world.lease.clone() };
    writes_nothing(&mut world, &absurd).await;
}

pub async fn the_cluster_keeps_its_id_and_counts_on(backend: Backend) {
    let store = backend.open().await;
    let first = lead(&store, "one").await;
    assert_eq!((first.epoch, first.revision, first.holder.as_str()), (1, 1, "one"));
    let revision = store.commit(&first, &Changes::default()).await.expect("commits");
    store.close().await;
    let store = backend.open().await;
    let second = lead(&store, "two").await;
    assert_eq!((second.epoch, second.revision), (2, revision + 1));
    assert_eq!(second.cluster_id, first.cluster_id);
    let id: fogline_core::id::NodeId = first.cluster_id.parse().expect("a UUID");
    assert_eq!((id.as_uuid().get_version_num(), id.to_string()), (4, first.cluster_id));

    let other = backend.another().await;
    let elsewhere = lead(&other.open().await, "one").await;
    assert_ne!(elsewhere.cluster_id, second.cluster_id);
}

pub async fn each_commit_is_a_revision_and_an_empty_one_renews(backend: Backend) {
    let world = World::new(backend.open().await).await;
    let renewed = async || {
        let rows = backend.sql(format!("SELECT {} FROM leader", backend.micros("renewed_at"))).await.expect("reads");
        rows[0][0].parse::<i64>().expect("a time")
    };
    let (before, first) = (renewed().await, world.commit(&Changes::default()).await);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut last = first;
    // The database's clock is good to a millisecond, and it goes on.
    while renewed().await <= before {
        assert!(tokio::time::Instant::now() < deadline, "the lease was never renewed");
        let next = world.commit(&Changes::default()).await;
        assert_eq!(next, last + 1);
        last = next;
    }
}
