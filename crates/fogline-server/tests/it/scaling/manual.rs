//! What a person sets outranks the policy, and stays within it.

use serde_json::json;

use super::world::{World, up_rule};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_overrides_until_the_cooldown_ends_and_is_refused_outside_of_the_bounds() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    let policy = json!({"name": "queue", "scale_up_rules": up_rule("0s"), "min_replicas": 2, "max_replicas": 8});
    world.policy("web", policy).await;
    world.push("web", "queue", 1.0).await;
    world.after_rounds(id, 2).await;

    let scale = format!("/api/v1/deployments/{id}/scale");
    for replicas in [1, 9] {
        let refused = world.post(&scale, json!({"replicas": replicas})).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.text.contains("queue"), "it names the policy: {}", refused.text);
    }
    world.post(&scale, json!({"replicas": 7})).await;
    world.scaled_to(id, 7).await;
    // What the rule says now would be two more.
    world.push("web", "queue", 100.0).await;
    let held = world.after_rounds(id, 5).await;
    assert_eq!((&held["action"], world.replicas(id).await), (&json!("hold"), 7), "{held}");
    assert!(held["reason"].as_str().expect("words").contains("set to 7 by admin"), "{held}");
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert_ne!(row["trigger"], "auto", "{row}");
    assert!(!row["triggered_by"].is_null(), "{row}");
}
