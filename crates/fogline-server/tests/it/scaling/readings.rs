//! What the system measures itself, and what outranks it.

use fogline_core::command::{Command, Request};
use fogline_core::id::DeploymentId;
use fogline_core::observation::{NodeUsage, ReplicaUsage, ReportedState};
use fogline_store::PageRequest;
use serde_json::{Value, json};

use super::world::{World, until};
use crate::rig::report;

const IDLE: NodeUsage = NodeUsage { cpu_percent: 1.0, memory_percent: 1.0 };

/// The agents say that all replicas run, and what they use: of the first so much, of the others so much.
async fn use_up(world: &World, id: DeploymentId, seq: u64, told: impl Fn(usize) -> Option<(u32, u32)>) {
    let page = world.rig.shared().store.replicas(id, &PageRequest::first(100), false).await.expect("a read");
    for (index, replica) in page.items.into_iter().enumerate() {
        let node_id = replica.node_id.expect("a node");
        let reports = vec![report(replica.id, seq, ReportedState::Running)];
        let tell = async |command| world.rig.shared().writer.submit(Request::agent(command)).await.expect("heard");
        tell(Command::Observe { node_id, reports }).await;
        let usage =
            told(index).map(|(cpu_millis, memory_mb)| ReplicaUsage { replica_id: replica.id, cpu_millis, memory_mb });
        tell(Command::Heartbeat { node_id, usage: IDLE, replicas: usage.into_iter().collect() }).await;
    }
}

fn input<'a>(decision: &'a Value, name: &str) -> &'a Value {
    let inputs = decision["inputs"].as_array().expect("a list");
    inputs.iter().find(|input| input["metric"] == name).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processor_and_memory_are_percents_of_what_is_reserved_over_the_ready_replicas() {
    let world = World::new().await;
    // Each reserves half a core and 512 MB.
    let id = world.rig.deploy("web", 2).await;
    let targets = json!([{"metric": "cpu_percent", "target": 50}, {"metric": "memory_percent", "target": 90}]);
    world.policy("web", json!({"name": "cpu", "targets": targets, "max_replicas": 3})).await;
    let before = world.after_rounds(id, 2).await;
    assert_eq!(input(&before, "cpu_percent")["outcome"], "missing", "a replica that says nothing uses not 0: {before}");
    use_up(&world, id, 1, |index| Some(if index == 0 { (500, 256) } else { (300, 256) })).await;
    world.scaled_to(id, 3).await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert_eq!(input(&row, "cpu_percent")["value"], 80.0, "{row}");
    assert_eq!(input(&row, "memory_percent")["value"], 50.0, "{row}");
    assert_eq!(input(&row, "cpu_percent")["source"], "builtin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_sample_outranks_and_the_record_shows_both() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    world.policy("web", json!({"name": "score", "load_score": {}})).await;
    use_up(&world, id, 1, |_| Some((250, 256))).await;
    let decision = world.decision(id, "a mean", |one| input(one, "cpu_percent")["value"] == 50.0).await;
    let rate = input(&decision, "request_rate");
    assert_eq!((&rate["outcome"], &rate["value"]), (&json!("not_applicable"), &json!(0.0)), "no route: {decision}");

    world.push("web", "cpu_percent", 60.0).await;
    let decision = world.decision(id, "the pushed one", |one| input(one, "cpu_percent")["source"] == "push").await;
    let cpu = input(&decision, "cpu_percent");
    assert_eq!((&cpu["value"], &cpu["outranked"]["value"]), (&json!(60.0), &json!(50.0)), "{decision}");
    let latest = world.get(&format!("/api/v1/metrics?target=deployment:{id}")).await;
    assert!(latest.to_string().contains("outranked"), "{latest}");

    // Once it is stale, what the system measures counts again.
    let sample = json!({"deployment": "web", "metric": "cpu_percent", "value": 70.0, "stale_after": 1});
    world.post("/api/v1/metrics", json!({"samples": [sample]})).await.ok(202);
    until("the system's own", async || {
        use_up(&world, id, 2, |_| Some((250, 256))).await;
        (input(&world.decisions(id).await[0], "cpu_percent")["source"] == "builtin").then_some(())
    })
    .await;
}
