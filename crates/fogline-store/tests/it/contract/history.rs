//! The trail of what happened: in order, complete, and for ever as it was.

use fogline_core::cluster::Changes;
use fogline_core::record::AuditRecord;
use fogline_store::PageRequest;

use crate::backend::Backend;
use crate::world::World;

pub async fn lines_come_back_in_order(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let deployment = world.deployment.clone();
    let mut changes = Changes::default();
    // Three lines of one instant, as a deploy writes them.
    let now = world.rows.now();
    let words = ["running", "stopped", "pending", "scheduled"];
    for (at, pair) in words.windows(2).enumerate() {
        let mut line = world.rows.history(&deployment, 3 + u32::try_from(at).expect("small"), pair[0], pair[1]);
        line.changed_at = now;
        changes.history.push(line);
    }
    world.commit(&changes).await;
    let lines = world.store.history(deployment.id, &PageRequest::default()).await.expect("reads").items;
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(lines[0].old_status, "none");
    assert!(lines.windows(2).all(|pair| pair[0].new_status == pair[1].old_status));
    assert_eq!(lines[2..], changes.history[..]);
    assert_eq!(world.store.last_history(deployment.id).await.expect("reads").as_ref(), lines.last());
    let nobodys = world.rows.ids.next(now);
    assert_eq!(world.store.last_history(nobodys).await.expect("reads"), None);

    // A line number is given once.
    let twice =
        Changes { history: vec![world.rows.history(&deployment, 5, "running", "failed")], ..Default::default() };
    assert!(world.store.commit(&world.lease, &twice).await.is_err());
}

pub async fn nobody_rewrites_history(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let now = world.rows.now();
    let line = AuditRecord {
        id: world.rows.ids.next(now),
        at: now,
        actor: None,
        actor_name: "mallory".to_owned(),
        action: "login",
        object: String::new(),
        outcome: "refused".to_owned(),
        remote: None,
        detail: String::new(),
    };
    world.commit(&Changes { audit: vec![line], ..Default::default() }).await;
    let before = world.store.history(world.deployment.id, &PageRequest::default()).await.expect("reads");
    for meddling in [
        "UPDATE deployment_status_history SET reason = 'nothing happened' WHERE seq = 1",
        "UPDATE deployment_status_history SET changed_at = (SELECT created_at FROM deployments)",
        "UPDATE deployment_status_history SET changed_by = NULL",
        "DELETE FROM deployment_status_history WHERE seq = 1",
        "UPDATE audit_logs SET outcome = 'ok'",
        "DELETE FROM audit_logs",
    ] {
        let error = backend.sql(meddling).await.expect_err(meddling);
        assert!(error.to_string().contains("append-only"), "{meddling}: {error}");
    }
    let after = world.store.history(world.deployment.id, &PageRequest::default()).await.expect("reads");
    assert_eq!(before, after);
    assert_eq!(world.store.audit(&PageRequest::default()).await.expect("reads").items[0].outcome, "refused");
}

pub async fn the_queries_of_the_seeds_work_verbatim(backend: Backend) {
    let world = World::new(backend.open().await).await;
    let (deployment, replica) = (&world.deployment, &world.replica);
    let ask = async |sql: &str| {
        let sql = sql.replace("'uuid'", &format!("'{}'", deployment.id));
        backend.sql(sql).await.expect("the seeds' query works")
    };
    let row = ask("-- Check deployment record
SELECT id, name, status, target_replicas, created_at
FROM deployments
WHERE name = 'web-api';")
    .await;
    assert_eq!(row[0][..4], [deployment.id.to_string().as_str(), "web-api", "running", "3"]);
    let created_at = backend.sql(format!("SELECT {} FROM deployments", backend.micros("created_at"))).await;
    assert_eq!(created_at.expect("reads"), [[deployment.created_at.as_micros().to_string()]]);

    let row = ask("-- Check replica allocation
SELECT r.id, r.status, n.node_id
FROM deployment_replicas r
JOIN nodes n ON r.node_id = n.id
WHERE r.deployment_id = 'uuid';")
    .await;
    assert_eq!(row, [[replica.id.to_string().as_str(), "pending", "node-01"]]);

    let row = ask("-- Check resource allocation
SELECT cpu_cores, memory_mb, gpu_units, storage_gb
FROM deployment_resources
WHERE deployment_id = 'uuid';")
    .await;
    assert_eq!(row, [["0.501", "2048", "1", "20"]]);

    let rows = ask("-- Check status history
SELECT old_status, new_status, changed_at, reason
FROM deployment_status_history
WHERE deployment_id = 'uuid'
ORDER BY changed_at;")
    .await;
    let words: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[3].as_str())).collect();
    assert_eq!(words, [("none", "pending", "none to pending"), ("pending", "running", "pending to running")]);
}
