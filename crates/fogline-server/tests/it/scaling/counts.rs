//! What is pushed becomes a count, within what the policy allows.

use serde_json::json;

use super::world::{World, up_rule};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_metric_above_its_threshold_scales_up_and_leaves_its_record() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("0s")})).await;
    world.push("web", "queue", 11.0).await;
    world.scaled_to(id, 4).await;

    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert_eq!((&row["current"], &row["replicas"], &row["trigger"]), (&json!(2), &json!(4), &json!("auto")));
    assert_eq!(row["status"], "completed");
    let input = &row["inputs"][0];
    assert_eq!((&input["metric"], &input["source"], &input["value"]), (&json!("queue"), &json!("push"), &json!(11.0)));

    let history = world.get(&format!("/api/v1/deployments/{id}/history")).await;
    let reasons = history.to_string();
    assert!(reasons.contains("queue > 10"), "the deployment's own history says why: {reasons}");
    let line = &world.history().await[0];
    assert_eq!((&line["previous_replicas"], &line["new_replicas"]), (&json!(2), &json!(4)));

    // The cooldown of a minute holds the next one, however long the queue.
    let held = world.after_rounds(id, 5).await;
    assert_eq!((&held["action"], world.replicas(id).await), (&json!("hold"), 4));
    assert!(held["reason"].as_str().expect("words").contains("cooldown"), "{held}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_dry_run_nor_a_shadow_ever_scales_and_both_are_recorded() {
    let world = World::new().await;
    for (name, fields) in [("dry", json!({"dry_run": true})), ("shadow", json!({"mode": "shadow"}))] {
        let id = world.rig.deploy(name, 2).await;
        let fields = super::world::merged(json!({"name": name, "scale_up_rules": up_rule("0s")}), fields);
        world.policy(name, fields).await;
        world.push(name, "queue", 50.0).await;
        let decided = |decision: &serde_json::Value| decision["action"] == "scale_up" && !decision["id"].is_null();
        let row = world.decision(id, "the row", decided).await;
        assert_eq!((&row["replicas"], &row["dry_run"]), (&json!(4), &json!(true)), "{row}");
        world.after_rounds(id, 10).await;
        assert_eq!(world.replicas(id).await, 2, "{name}");
        let rows =
            world.decisions(id).await.into_iter().filter(|one| one["action"] == "scale_up" && !one["id"].is_null());
        assert_eq!(rows.count(), 1, "the same is not recorded each round");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duration_must_pass_while_every_sample_meets_it() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("1s")})).await;
    world.push("web", "queue", 20.0).await;
    world.after_rounds(id, 3).await;
    world.push("web", "queue", 5.0).await;
    let held = world.after_rounds(id, 3).await;
    assert_eq!(world.replicas(id).await, 2, "{held}");
    // Samples, not time, let it hold.
    super::world::until("the scale-up", async || {
        world.push("web", "queue", 20.0).await;
        (world.replicas(id).await == 4).then_some(())
    })
    .await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert!(row["reason"].as_str().expect("words").contains("queue > 10 for 1s"), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_count_is_never_passed() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 1).await;
    let rules = json!([{"metric": "queue", "operator": "gt", "threshold": 10, "scale_by": 50}]);
    let policy = json!({
        "name": "queue", "scale_up_rules": rules, "max_replicas": 10, "cooldown_seconds": 0,
        "scale_up": {"max_change": {"replicas": 100}},
    });
    world.policy("web", policy).await;
    world.push("web", "queue", 11.0).await;
    world.scaled_to(id, 10).await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert!(row["reason"].as_str().expect("words").contains("at most 10 are allowed"), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_hold_without_any_metric() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 1).await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("0s"), "min_replicas": 3})).await;
    world.scaled_to(id, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_policy_does_not_wait_for_its_turn() {
    let rig = crate::rig::Rig::with(tempfile::tempdir().expect("a directory"), |config| {
        super::world::quick(config);
        config.evaluation_interval = std::time::Duration::from_secs(3_600);
    })
    .await;
    let world = World::over(rig).await;
    world.rig.nodes(5).await;
    let id = world.rig.deploy("web", 1).await;
    super::world::until("the first round", async || {
        (!world.get("/readyz").await["scaling"]["last_round_at"].is_null()).then_some(())
    })
    .await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("0s"), "min_replicas": 3})).await;
    world.scaled_to(id, 3).await;
}
