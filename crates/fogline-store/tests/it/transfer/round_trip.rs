//! What was there is there: rows, checksums, and the cluster's name and count.

use fogline_core::id::UserId;
use fogline_store::{Enclosed, KeysPinned, Restore, Restored, Source, Store, StoreConfig, TABLES, TransferError, copy};

use super::{backup, packed, restore, state, unpacked};
use crate::backend::Backend;
use crate::world::{World, everything, lead};

/// Everything that can be seen of a store from outside is equal.
async fn same(one: &Store, other: &Store, users: &[UserId]) {
    let (here, there) = (one.load().await.expect("loads"), other.load().await.expect("loads"));
    assert_eq!(here.users, there.users);
    assert_eq!(here.nodes, there.nodes);
    assert_eq!(here.deployments, there.deployments);
    assert_eq!(here.replicas, there.replicas);
    assert_eq!(here.revisions, there.revisions);
    assert_eq!(here.sessions, there.sessions);
    assert_eq!(here.policies, there.policies);
    assert_eq!(here.scaling_states, there.scaling_states);
    assert_eq!(here.decisions, there.decisions);
    let decisions =
        async |store: &Store| everything(100, async |page| store.decisions(&Default::default(), &page).await).await;
    assert_eq!(decisions(one).await, decisions(other).await);
    let audit = async |store: &Store| everything(100, async |page| store.audit(&page).await).await;
    assert_eq!(audit(one).await, audit(other).await);
    for deployment in &here.deployments {
        let history =
            async |store: &Store| everything(100, async |page| store.history(deployment.id, &page).await).await;
        assert_eq!(history(one).await, history(other).await);
    }
    let keys: Vec<(UserId, String)> = (0..7)
        .flat_map(|at| users.iter().map(move |user| (*user, format!("{}{at}", ["a", "B", "_"][at % 3]))))
        .collect();
    let asked: Vec<(UserId, &str)> = keys.iter().map(|(user, key)| (*user, key.as_str())).collect();
    let answered = async |store: &Store| {
        let mut found = store.answered(&asked).await.expect("reads");
        found.sort_by(|a, b| (a.user_id, &a.key).cmp(&(b.user_id, &b.key)));
        found
    };
    assert_eq!(answered(one).await, answered(other).await);
}

/// A restored database: its own backup has the same sums, and the next leader counts on above the old one's agents.
async fn is_the_same(world: &World, to: &Backend, restored: &Restored) {
    let (again, _) = backup(&to.config(), &[]).await;
    assert_eq!(again.tables, restored.tables);
    assert_eq!((again.header.epoch, &again.header.cluster_id), (restored.epoch, &world.lease.cluster_id));
    let names: Vec<&str> = again.tables.iter().map(|sum| sum.table.as_str()).collect();
    assert_eq!(names, TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
    assert!(again.tables.iter().all(|sum| sum.rows > 0), "{:?}", again.tables);
    let store = to.open().await;
    let users: Vec<UserId> = store.load().await.expect("loads").users.iter().map(|user| user.id).collect();
    same(&world.store, &store, &users).await;
    let lease = lead(&store, "next").await;
    assert_eq!(lease.cluster_id, world.lease.cluster_id);
    assert!(lease.epoch > restored.epoch && restored.epoch >= world.lease.epoch + 1_000_000, "{lease:?}");
    assert!(lease.revision > restored.header.revision, "{lease:?}");
    assert!(store.commit(&lease, &Default::default()).await.is_ok());
    store.close().await;
}

async fn through_a_file(from: Backend, to: Backend) {
    let world = state::fill(from.open().await).await;
    let keys = [Enclosed { file: "jwt.key".to_owned(), text: "secret\n".to_owned() }];
    let (taken, file) = backup(&from.config(), &keys).await;
    assert_eq!(taken.header.revision, world.commit(&Default::default()).await - 1);
    let whole = fogline_store::Backup::open(file).await.expect("is whole");
    assert_eq!(
        (&whole.header, &whole.tables, whole.enclosed.as_slice()),
        (&taken.header, &taken.tables, keys.as_slice())
    );
    let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    assert_eq!(restored.set_aside, None);
    is_the_same(&world, &to, &restored).await;
}

async fn straight(from: Backend, to: Backend) {
    let world = state::fill(from.open().await).await;
    let source = Source::open(&from.config()).await.expect("opens");
    let restored = copy(source, &to.config(), &Restore::default()).await.expect("copies");
    is_the_same(&world, &to, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_sqlite_through_a_file() {
    through_a_file(Backend::sqlite().await, Backend::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_sqlite_straight() {
    straight(Backend::sqlite().await, Backend::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_postgres_through_a_file() {
    through_a_file(Backend::sqlite().await, Backend::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_postgres_to_sqlite_through_a_file() {
    through_a_file(Backend::postgres().await, Backend::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_postgres_straight() {
    straight(Backend::sqlite().await, Backend::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_postgres_to_postgres_straight() {
    straight(Backend::postgres().await, Backend::postgres().await).await;
}

/// There and back again, and the checksums are those of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_postgres_and_back() {
    let (from, between, to) = (Backend::sqlite().await, Backend::postgres().await, Backend::sqlite().await);
    let world = state::fill(from.open().await).await;
    let there = Source::open(&from.config()).await.expect("opens");
    let there = copy(there, &between.config(), &Restore::default()).await.expect("copies");
    let back = Source::open(&between.config()).await.expect("opens");
    assert!(!back.is_in_use(), "nobody leads there yet");
    let back = copy(back, &to.config(), &Restore::default()).await.expect("copies");
    assert_eq!(back.tables, there.tables);
    assert_eq!(back.header.revision, there.header.revision, "a copy is no commit");
    is_the_same(&world, &to, &back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_agents_have_obeyed_is_passed() {
    let (from, to) = (Backend::sqlite().await, Backend::sqlite().await);
    World::new(from.open().await).await.store.close().await;
    let (_, file) = backup(&from.config(), &[]).await;
    let how = Restore { epoch_above: Some((7 << 32) + 3), ..Restore::default() };
    let whole = fogline_store::Backup::open(file).await.expect("is whole");
    let restored = whole.restore(&to.config(), &how).await.expect("restores");
    assert!(restored.epoch > (7 << 32) + 3);
    let unheard = Restore { epoch_above: Some(u64::MAX), replace: true, forget_keys: false };
    let error = whole.restore(&to.config(), &unheard).await.expect_err("there is none above");
    assert!(matches!(error, TransferError::NoEpochLeft { .. }), "{error}");
    assert_eq!(lead(&to.open().await, "next").await.epoch, restored.epoch + 1, "nothing was changed");
}

async fn keys_travel_along(from: Backend, to: Backend) {
    let world = World::new(from.open().await).await;
    world.store.pin_keys("ours").await.expect("pins");
    let (_, file) = backup(&from.config(), &[]).await;
    let whole = fogline_store::Backup::open(file).await.expect("is whole");
    whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    let store = to.open().await;
    assert_eq!(store.pin_keys("theirs").await.expect("reads"), KeysPinned::Other);
    assert_eq!(store.pin_keys("ours").await.expect("reads"), KeysPinned::Same);
    store.close().await;
    let lost = Restore { forget_keys: true, replace: true, epoch_above: None };
    whole.restore(&to.config(), &lost).await.expect("restores");
    assert_eq!(to.open().await.pin_keys("theirs").await.expect("pins"), KeysPinned::Same);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_keys_the_cluster_has_travels_along() {
    keys_travel_along(Backend::sqlite().await, Backend::postgres().await).await;
    keys_travel_along(Backend::postgres().await, Backend::sqlite().await).await;
}

async fn brought_up_to_date(from: Backend, to: Backend) {
    let world = World::new(from.open().await).await;
    let newest = world.store.migrations().await.expect("reads").len();
    world.store.revert(newest - 3).await.expect("reverts");
    world.store.close().await;
    let (taken, file) = backup(&from.config(), &[]).await;
    assert_eq!(taken.header.schema, 3);
    restore(file, &to.config()).await.expect("restores");
    let store = to.open_bare().await;
    assert!(store.migrations().await.expect("reads").iter().all(|step| step.applied));
    assert_eq!(store.user(world.user.id).await.expect("reads"), Some(world.user));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_an_older_schema_is_brought_up_to_date() {
    brought_up_to_date(Backend::sqlite().await, Backend::postgres().await).await;
    brought_up_to_date(Backend::postgres().await, Backend::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_text_that_anybody_can_read() {
    let from = Backend::sqlite().await;
    let world = World::new(from.open().await).await;
    let (_, file) = backup(&from.config(), &[]).await;
    let text = unpacked(&file);
    let header = text.lines().next().expect("a line");
    assert!(header.starts_with("{\"kind\":\"fogline-backup\",\"format\":1,"), "{header}");
    let user = text.lines().find(|line| line.contains("\"ada\"")).expect("a line");
    assert!(user.starts_with(&format!("[\"{}\",\"ada\",", world.user.id)), "{user}");
    restore(packed(&text), &Backend::sqlite().await.config()).await.expect("what was packed anew is the same backup");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_cluster_is_not_backed_up() {
    let nowhere = StoreConfig::sqlite("/nowhere/fogline.db");
    let error = Source::open(&nowhere).await.err().expect("there is none");
    assert!(matches!(error, TransferError::Missing { .. }) && error.to_string().contains("/nowhere/fogline.db"));
    for backend in [Backend::sqlite().await, Backend::postgres().await] {
        backend.open().await.close().await;
        let source = Source::open(&backend.config()).await.expect("opens");
        let error = source.back_up(&[], tempfile::tempfile().expect("a file")).await.expect_err("nobody has led");
        assert!(matches!(error, TransferError::NoCluster), "{error}");
    }
}
