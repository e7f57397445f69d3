//! What a server must not depend on: that it starts alone, and that the database was set up by somebody careful.

use fogline_core::cluster::Changes;
use fogline_store::CommitError;

use crate::backend::Backend;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_migrate_once() {
    let backend = Backend::postgres().await;
    let (one, two, three) = (backend.open_bare().await, backend.open_bare().await, backend.open_bare().await);
    let migrated = tokio::join!(one.migrate(), two.migrate(), three.migrate());
    for result in [migrated.0, migrated.1, migrated.2] {
        result.expect("waits for the others, or finds nothing to do");
    }
    let noted = backend.sql("SELECT count(*), count(DISTINCT version) FROM schema_migrations").await.expect("reads");
    assert_eq!(noted, [["6", "6"]]);
    World::new(two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_the_disk_whatever_the_role_is_set_to() {
    let backend = Backend::postgres().await;
    backend.sql("ALTER ROLE CURRENT_USER SET synchronous_commit = off").await.expect("a role may set its own defaults");
    let world = World::new(backend.open().await).await;
    backend.sql("CREATE TABLE noted (setting TEXT)").await.expect("makes");
    let note = "CREATE FUNCTION note() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
        INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$";
    backend.sql(note).await.expect("makes");
    let each = "CREATE TRIGGER each AFTER UPDATE ON leader FOR EACH ROW EXECUTE FUNCTION note()";
    backend.sql(each).await.expect("makes");
    world.commit(&Changes::default()).await;
    let default = backend.sql("SHOW synchronous_commit").await.expect("reads");
    assert_eq!(default, [["off"]], "the test sets what it says");
    assert_eq!(backend.sql("SELECT setting FROM noted").await.expect("reads"), [["on"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_no_column_can_hold_is_refused_and_nothing_is_written() {
    let backend = Backend::postgres().await;
    let mut world = World::new(backend.open().await).await;
    let mut user = world.rows.user("zero");
    user.username = "zero\0byte".to_owned();
    let mut changes = Changes::default();
    changes.users.record(user.id, None, Some(user.clone()));
    let refused = world.store.commit(&world.lease, &changes).await;
    assert!(matches!(refused, Err(CommitError::Constraint { .. })), "{refused:?}");
    user.username = "after".to_owned();
    let mut changes = Changes::default();
    changes.users.record(user.id, None, Some(user));
    world.commit(&changes).await;
}
