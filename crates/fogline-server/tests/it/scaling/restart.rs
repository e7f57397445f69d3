//! A restart decides nothing, and forgets nothing that matters.

use std::time::Duration;

use fogline_core::id::DeploymentId;
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::state::Memory;
use fogline_core::time::Timestamp;
use fogline_store::{SampleStore, SamplesConfig, SeriesKey};
use serde_json::json;

use super::world::{World, until, up_rule};

async fn memory(world: &World, id: DeploymentId) -> Memory {
    let look = world.rig.shared().writer.view(move |cluster, _| {
        cluster.scaling_state(&ScalingTarget::Deployment(id)).map(|state| Memory::clone(&state.memory))
    });
    look.await.expect("a look").unwrap_or_default()
}

async fn holding_since(world: &World, id: DeploymentId) -> Option<Timestamp> {
    let memory = memory(world, id).await;
    memory.policies.values().flat_map(|policy| policy.clocks.values()).find_map(|clock| clock.holding_since)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duration_goes_on_over_a_restart() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("2s")})).await;
    world.push("web", "queue", 50.0).await;
    let since = until("the clock to run", async || holding_since(&world, id).await).await;
    let directory = world.stop().await;

    // What was sampled last is kept as well: a longer time is bridged by it.
    let samples = SamplesConfig::Sqlite { file: directory.path().join("samples.db") };
    let samples = SampleStore::open(&samples).await.expect("the samples");
    let key = SeriesKey { target: ScalingTarget::Deployment(id).to_string(), metric: "queue".to_owned() };
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let from = Timestamp::from_micros(since.as_micros() - 60 * 1_000_000);
    let buckets = samples.range(&key, from, since.plus(day), 10 * second).await.expect("a read");
    assert!(buckets.iter().any(|bucket| bucket.mean > 49.0), "{buckets:?}");
    samples.close().await;

    let world = World::again(directory).await;
    assert_eq!(holding_since(&world, id).await, Some(since), "it is in the row");
    until("the scale-up", async || {
        world.push("web", "queue", 50.0).await;
        (world.replicas(id).await == 4).then_some(())
    })
    .await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    let at: Timestamp = serde_json::from_value(row["at"].clone()).expect("a time");
    assert!(at.since(since) >= 2 * second, "{row}");
    // It was not begun anew: what the rule says it held for reaches back to before the restart.
    assert_eq!(holding_since(&world, id).await, Some(since), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cooldown_and_override_survive() {
    let world = World::new().await;
    let scaled = world.rig.deploy("scaled", 2).await;
    world.policy("scaled", json!({"name": "scaled", "scale_up_rules": up_rule("0s")})).await;
    world.push("scaled", "queue", 50.0).await;
    world.scaled_to(scaled, 4).await;
    let set = world.rig.deploy("set", 2).await;
    world.policy("set", json!({"name": "set", "scale_up_rules": up_rule("0s")})).await;
    world.post(&format!("/api/v1/deployments/{set}/scale"), json!({"replicas": 5})).await;
    world.scaled_to(set, 5).await;

    let world = World::again(world.stop().await).await;
    for (name, id, count, why) in [("scaled", scaled, 4, "cooldown"), ("set", set, 5, "set to 5 by admin")] {
        world.push(name, "queue", 50.0).await;
        let read =
            |decision: &serde_json::Value| decision["inputs"][0]["outcome"] == "value" && decision["id"].is_null();
        let held = world.decision(id, "an evaluation", read).await;
        assert_eq!((&held["action"], world.replicas(id).await), (&json!("hold"), count), "{held}");
        assert!(held["reason"].as_str().expect("words").contains(why), "{held}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acts_earlier_than_the_old_process_would_have() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 4).await;
    let down = json!([{"metric": "queue", "operator": "lt", "threshold": 5, "scale_by": -1}]);
    world.policy("web", json!({"name": "queue", "scale_down_rules": down, "cooldown_seconds": 0})).await;
    world.push("web", "queue", 1.0).await;
    world.after_rounds(id, 3).await;
    let world = World::again(world.stop().await).await;
    world.push("web", "queue", 1.0).await;
    let wants = |decision: &serde_json::Value| decision["votes"][0]["down"] == json!({"count": 3});
    let held = world.decision(id, "a vote to go down", wants).await;
    let held = if held["action"] == "hold" { world.after_rounds(id, 3).await } else { held };
    assert_eq!((&held["action"], world.replicas(id).await), (&json!("hold"), 4), "{held}");
    let step = held["steps"].as_array().expect("steps").iter().find(|step| step["name"] == "stabilization").cloned();
    assert_eq!(step.map(|step| step["after"].clone()), Some(json!(4)), "the window counts as full: {held}");
}
