//! Policies that act, that go to the log and that only record, on one target: none makes another forget.

use fogline_core::id::{DeploymentId, PolicyId};
use fogline_core::record::{ScalingStateRecord, ScalingTarget};
use serde_json::json;

use super::world::{World, up_rule};

/// Evaluations in which three arbiters are heard often.
const MANY: usize = 60;

async fn state(world: &World, id: DeploymentId) -> ScalingStateRecord {
    let target = ScalingTarget::Deployment(id);
    let look = world.rig.shared().writer.view(move |cluster, _| cluster.scaling_state(&target).cloned());
    look.await.expect("a look").expect("a state")
}

fn holds(state: &ScalingStateRecord, policy: PolicyId) -> bool {
    state
        .memory
        .policies
        .get(&policy)
        .is_some_and(|kept| kept.clocks.values().any(|clock| clock.holding_since.is_some()))
}

/// Nothing happens, so nothing is committed.
async fn is_at_rest(world: &World, id: DeploymentId) {
    world.after_rounds(id, MANY).await;
    let before = state(world, id).await;
    world.after_rounds(id, MANY).await;
    let after = state(world, id).await;
    assert_eq!(after.version, before.version, "{before:?} became {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_policy_on_a_target_remembers_its_own_and_none_commits_each_round() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    let active = world.policy("web", json!({"name": "active", "scale_up_rules": up_rule("1s")})).await;
    let dry = json!({"name": "dry", "dry_run": true, "scale_up_rules": up_rule("1h")});
    let dry = world.policy("web", dry).await;
    let shadow = json!({"name": "shadow", "mode": "shadow", "scale_up_rules": up_rule("0s")});
    let shadow = world.policy("web", shadow).await;
    world.post(&format!("/api/v1/scaling/policies/{shadow}/pause"), json!({"for": "1h"})).await.ok(200);
    world.push("web", "queue", 1.0).await;
    is_at_rest(&world, id).await;

    super::world::until("the scale-up", async || {
        world.push("web", "queue", 20.0).await;
        (world.replicas(id).await == 4).then_some(())
    })
    .await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert!(row["reason"].as_str().expect("words").contains("queue > 10 for 1s"), "{row}");
    is_at_rest(&world, id).await;
    let state = state(&world, id).await;
    assert!(holds(&state, active) && holds(&state, dry), "{state:?}");
    assert!(state.memory.policies[&shadow].paused_until.is_some(), "{state:?}");
}
