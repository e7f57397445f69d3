//! Targets that are not ours: told by a callback, once and surely, or by nobody.

use fogline_core::id::DecisionId;
use fogline_core::record::DecisionStatus;
use serde_json::{Value, json};

use super::stranger::{Does, Stranger};
use super::world::{World, merged, until, up_rule};

/// A policy on something outside, that is to be changed by a call of this URL.
async fn outside(world: &World, name: &str, fields: Value) {
    let base = json!({"name": name, "target_type": "cdc-worker", "target_id": name, "scale_up_rules": up_rule("0s")});
    world.policy_of(merged(base, fields)).await;
    let sample = json!({"target": format!("cdc-worker:{name}"), "metric": "queue", "value": 50.0});
    world.post("/api/v1/metrics", json!({"samples": [sample]})).await.ok(202);
}

/// The newest row of a change that has come this far.
async fn row(world: &World, status: &str) -> Value {
    until(&format!("a row that is {status}"), async || {
        world.history().await.into_iter().find(|row| row["status"] == status)
    })
    .await
}

fn ok() -> Does {
    Does::Says(200, String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_posted_once_and_confirmed_by_the_answer() {
    let world = World::new().await;
    let listener = Stranger::who(ok()).await;
    outside(&world, "lake", json!({"callback_url": listener.url("/scale")})).await;
    let row = row(&world, "completed").await;
    let [call] = listener.calls().try_into().expect("one call");
    assert_eq!(call.path, "/scale");
    assert_eq!(call.key.as_deref(), row["id"].as_str(), "the key is the decision's id");
    assert_eq!(
        (&call.body["target"], &call.body["previous"], &call.body["replicas"]),
        (&json!("lake"), &json!(1), &json!(3))
    );
    assert_eq!(call.body["decisionId"], row["id"]);
    assert!(call.body["reason"].as_str().expect("words").contains("queue > 10"), "{:?}", call.body);
    assert_eq!((&row["previous_replicas"], &row["new_replicas"]), (&json!(1), &json!(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_tried_again_under_the_same_key() {
    let world = World::new().await;
    let listener = Stranger::who(ok()).await;
    listener.next(Does::Says(500, "boom".to_owned()));
    listener.next(Does::Hangs);
    outside(&world, "lake", json!({"callback_url": listener.url("/")})).await;
    let row = row(&world, "completed").await;
    let keys: Vec<_> = listener.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(keys, vec![row["id"].as_str().map(str::to_owned); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_will_not_pass_fails_at_once_and_is_not_tried_each_round() {
    let world = World::new().await;
    let elsewhere = Stranger::who(ok()).await;
    for (name, does, said) in [
        ("refuses", Does::Says(404, "no such worker".to_owned()), "no such worker"),
        ("sends-away", Does::Redirects(elsewhere.url("/")), "redirects are not followed"),
    ] {
        let listener = Stranger::who(does).await;
        outside(&world, name, json!({"callback_url": listener.url("/")})).await;
        let failed = until("the failure", async || {
            world.history().await.into_iter().find(|row| row["status"] == "failed" && row["target_id"] == name)
        })
        .await;
        assert!(failed["error"].as_str().expect("words").contains(said), "{failed}");
        let rounds = world.get("/readyz").await["scaling"]["last_round_at"].clone();
        until("another round", async || {
            (world.get("/readyz").await["scaling"]["last_round_at"] != rounds).then_some(())
        })
        .await;
        assert_eq!(listener.calls().len(), 1, "{name}");
    }
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_of_one_owner_that_hang_take_four_places() {
    let world = World::new().await;
    let listener = Stranger::who(Does::Hangs).await;
    for name in ["one", "two", "three", "four", "five", "six"] {
        outside(&world, name, json!({"callback_url": listener.url("/")})).await;
    }
    until("six changes", async || {
        let pending = world.history().await.into_iter().filter(|row| row["status"] == "pending").count();
        (pending == 6 && listener.calls().len() >= 4).then_some(())
    })
    .await;
    for _ in 0..3 {
        let rounds = world.get("/readyz").await["scaling"]["last_round_at"].clone();
        until("another round", async || {
            (world.get("/readyz").await["scaling"]["last_round_at"] != rounds).then_some(())
        })
        .await;
    }
    let keys: std::collections::BTreeSet<_> = listener.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_on_is_open_until_somebody_completes_it() {
    let world = World::new().await;
    let listener = Stranger::who(Does::Says(202, String::new())).await;
    outside(&world, "lake", json!({"callback_url": listener.url("/")})).await;
    until("the call", async || (listener.calls().len() == 1).then_some(())).await;
    let open = row(&world, "pending").await;
    let id: DecisionId = serde_json::from_value(open["id"].clone()).expect("an id");

    // The next leader does not know whether it was told: it tells again, under the same key.
    let world = World::again(world.stop().await).await;
    until("the second call", async || (listener.calls().len() == 2).then_some(())).await;
    let keys: Vec<_> = listener.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(keys, vec![Some(id.to_string()); 2]);

    let done = world.post(&format!("/proxy/scaling/events/{id}/complete"), json!({"status": "completed"})).await;
    done.ok(200);
    let record = world.rig.shared().store.decision(id).await.expect("a read").expect("the row");
    assert_eq!(record.status, DecisionStatus::Completed);
    assert_eq!(listener.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_of_day_whose_change_failed_is_caught_up() {
    let world = World::new().await;
    let listener = Stranger::who(Does::Says(404, "not yet".to_owned())).await;
    // Once a day, and soon.
    let seconds = world.rig.shared().clock.now().as_micros() / 1_000_000 + 2;
    let cron = format!("{} {} {} * * *", seconds % 60, seconds / 60 % 60, seconds / 3_600 % 24);
    let schedules = json!([{"cron_expression": cron, "desired_replicas": 4}]);
    let fields = json!({"callback_url": listener.url("/"), "scale_up_rules": [], "schedules": schedules});
    outside(&world, "lake", fields).await;
    let failed = row(&world, "failed").await;
    assert_eq!((&failed["new_replicas"], &failed["trigger"]), (&json!(4), &json!("schedule")), "{failed}");

    // Another process would wait before it asks again; this one begins.
    listener.now(ok());
    let world = World::again(world.stop().await).await;
    let done = row(&world, "completed").await;
    assert_eq!((&done["new_replicas"], &done["trigger"]), (&json!(4), &json!("schedule")), "{done}");
    let generation = |call: &super::stranger::Call| call.body["generation"].as_u64().expect("a number");
    let [first, second] = listener.calls().try_into().expect("two calls");
    assert!(generation(&first) < generation(&second), "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callback_of_a_policy_that_only_records_is_never_called() {
    let world = World::new().await;
    let listener = Stranger::who(ok()).await;
    for (name, field) in [("dry", json!({"dry_run": true})), ("shadow", json!({"mode": "shadow"}))] {
        let rules = up_rule("0s");
        let fields = json!({"name": name, "target_type": "cdc-worker", "target_id": "lake", "scale_up_rules": rules});
        world.policy_of(merged(merged(fields, json!({"callback_url": listener.url("/")})), field)).await;
    }
    outside(&world, "lake", json!({})).await;
    let failed = row(&world, "failed").await;
    assert_eq!(failed["error"], "no executor for target type cdc-worker");
    assert!(listener.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_nobody_scales_is_evaluated_and_recorded_as_such_once() {
    let world = World::new().await;
    outside(&world, "lake", json!({})).await;
    let failed = row(&world, "failed").await;
    assert_eq!(failed["error"], "no executor for target type cdc-worker");
    // As many further evaluations as there are in a while, and no further row.
    let evaluations = async || {
        let text = world.rig.shared().telemetry.render();
        let line = text.lines().find(|line| line.starts_with("fogline_scaling_evaluations_total ")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = evaluations().await;
    until("evaluations", async || (evaluations().await > before + 20).then_some(())).await;
    assert_eq!(world.history().await.len(), 1);
}
