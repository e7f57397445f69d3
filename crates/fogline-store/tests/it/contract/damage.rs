//! Rows that this program never writes are said, not guessed at.

use fogline_store::{PageRequest, StoreError};

use super::scaling::a_policy;
use crate::backend::Backend;
use crate::world::World;

pub async fn what_was_never_written_is_said_with_its_place(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let replica = world.replica.id.to_string();
    let deployment = world.deployment.id.to_string();
    let node = world.node.id.to_string();
    let scaled = policy.id.to_string();
    let mut found = 0;
    for (table, row, column, value, mended) in [
        ("deployment_replicas", &replica, "status", "'sleeping'", "'pending'"),
        ("deployment_replicas", &replica, "node_id", "'NOT-A-UUID'", &*format!("'{node}'")),
        ("deployment_replicas", &replica, "node_id", &*format!("upper('{node}')"), &*format!("'{node}'")),
        ("deployment_replicas", &replica, "memory_mb", "-1", "2048"),
        ("deployment_replicas", &replica, "restarts", "'many'", "0"),
        ("deployment_replicas", &replica, "cpu_cores", "0.00005", "0.501"),
        ("deployment_replicas", &replica, "host_port", "70000", "NULL"),
        ("deployments", &deployment, "target_replicas", "4", "3"),
        ("deployments", &deployment, "name", "'renamed'", "'web-api'"),
        ("deployments", &deployment, "status", "'Running'", "'running'"),
        ("scaling_policies", &scaled, "name", "'renamed'", "'by-lag'"),
        ("scaling_policies", &scaled, "target", "'deployment:web'", &*format!("'{}'", policy.target)),
        ("nodes", &node, "runtimes", "'docker,podman'", "'docker'"),
        ("nodes", &node, "labels", "'{'", "'{}'"),
        ("nodes", &node, "cordoned", "2", "0"),
    ] {
        // What the schema itself refuses cannot be there.
        if !backend.damage(format!("UPDATE {table} SET {column} = {value} WHERE id = '{row}'")).await {
            continue;
        }
        found += 1;
        match world.store.load().await.map(|_| ()) {
            Err(StoreError::Damaged { table: at, row: key, column: in_column, detail }) => {
                assert_eq!((at, key.as_str(), in_column), (table, row.as_str(), column), "{detail}");
            }
            other => panic!("{table}.{column} = {value}: {other:?}"),
        }
        backend.damage(format!("UPDATE {table} SET {column} = {mended} WHERE id = '{row}'")).await;
        world.store.load().await.expect("mended");
    }

    assert!(found >= 4, "only {found} of them were taken");

    // One bad row does not hide the others of other lists.
    backend.damage(format!("UPDATE nodes SET runtimes = 'maybe' WHERE id = '{node}'")).await;
    assert!(world.store.nodes(&PageRequest::default()).await.is_err());
    assert_eq!(world.store.users(&PageRequest::default()).await.expect("reads").items.len(), 1);
}
