//! Fault 20: a source that is down, says nonsense or hangs. Never down for it, and never at anybody else's cost.

use serde_json::{Value, json};

use super::stranger::{Does, Stranger, number};
use super::world::{World, merged, until};

/// The length of a queue, asked every second.
fn queue(url: &str) -> Value {
    json!({"queue": {"source": "http_json", "url": url, "pointer": "/queue/length", "interval": 1, "timeout": 1}})
}

/// Two more above ten, one less below five.
fn rules(name: &str, url: &str) -> Value {
    json!({
        "name": name, "metrics": queue(url), "cooldown_seconds": 0, "scale_down": {"stabilization": 0},
        "scale_up_rules": [{"metric": "queue", "operator": "gt", "threshold": 10, "scale_by": 2}],
        "scale_down_rules": [{"metric": "queue", "operator": "lt", "threshold": 5, "scale_by": -1}],
    })
}

fn outcome(decision: &Value) -> &str {
    decision["inputs"][0]["outcome"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_holds_the_count_and_one_that_is_back_moves_it() {
    let world = World::new().await;
    let source = Stranger::telling(7.0).await;
    let id = world.rig.deploy("web", 4).await;
    world.policy("web", rules("queue", &source.url("/stats"))).await;
    let read = world.decision(id, "a value", |decision| outcome(decision) == "value").await;
    assert_eq!((&read["inputs"][0]["source"], &read["action"]), (&json!("http_json"), &json!("hold")));

    // Low enough to go down, were it a number.
    for (does, said) in [
        (Does::Says(500, "0".to_owned()), "error"),
        (Does::Says(200, r#"{"queue": {"length": "NaN"}}"#.to_owned()), "error"),
        (Does::Says(200, "{}".to_owned()), "missing"),
        (Does::Hangs, "error"),
    ] {
        source.now(number(7.0));
        world.decision(id, "a value", |decision| outcome(decision) == "value").await;
        until("a value again", async || (outcome(&world.decisions(id).await[0]) == "value").then_some(())).await;
        source.now(does.clone());
        until(&format!("{does:?} told as {said}"), async || {
            (outcome(&world.decisions(id).await[0]) == said).then_some(())
        })
        .await;
        let held = world.after_rounds(id, 3).await;
        assert_eq!((&held["action"], world.replicas(id).await), (&json!("hold"), 4), "{does:?}: {held}");
    }
    source.now(number(1.0));
    world.scaled_to(id, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_fallback_takes_over_after_some_failures() {
    let world = World::new().await;
    let source = Stranger::who(Does::Says(503, String::new())).await;
    let id = world.rig.deploy("web", 2).await;
    let fallback = json!({"on_missing": "fallback", "fallback": {"after_failures": 5, "replicas": 6}});
    world.policy("web", merged(rules("queue", &source.url("/stats")), fallback)).await;
    world.scaled_to(id, 6).await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert!(row["reason"].as_str().expect("words").contains("fallback"), "{row}");
    assert!(row["events"].to_string().contains("fallback"), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_delays_nobody() {
    let world = World::new().await;
    let hangs = Stranger::who(Does::Hangs).await;
    let mut waiting = Vec::new();
    // More than may be open at once to one server, each with a question of its own that takes a minute.
    for number in 0..20 {
        let name = format!("waits-{number}");
        waiting.push(world.rig.deploy(&name, 1).await);
        let metrics = json!({"queue": {
            "source": "http_json", "url": hangs.url(&format!("/{number}")), "pointer": "/queue/length", "timeout": 60,
        }});
        world.policy(&name, merged(rules(&name, ""), json!({"metrics": metrics}))).await;
    }
    until("open questions", async || (hangs.calls().len() >= 6).then_some(())).await;
    let id = world.rig.deploy("web", 1).await;
    let source = Stranger::telling(50.0).await;
    // Another host: of one, all ports are one server.
    let url = source.url("/stats").replace("127.0.0.1", "localhost");
    world.policy("web", rules("web", &url)).await;
    world.scaled_to(id, 3).await;
    let open = hangs.calls().len();
    assert!(open <= 8, "{open} questions are open to one server");
    // They are evaluated as often as anybody else: there is nothing known of them, and that is said.
    let decision = world.after_rounds(waiting[0], 5).await;
    assert_eq!((outcome(&decision), world.replicas(waiting[0]).await), ("missing", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_questions_are_asked_once_and_forgotten_with_the_last_who_wants_to_know() {
    let world = World::new().await;
    let source = Stranger::telling(50.0).await;
    let mut ids = Vec::new();
    for name in ["one", "other"] {
        let id = world.rig.deploy(name, 1).await;
        let metrics = json!({"queue": {
            "source": "http_json", "url": source.url("/stats"), "pointer": "/queue/length", "interval": "1h",
        }});
        let policy = world.policy(name, merged(rules(name, ""), json!({"metrics": metrics}))).await;
        ids.push((id, policy));
    }
    for (id, _) in &ids {
        until("growth", async || (world.replicas(*id).await >= 3).then_some(())).await;
    }
    assert_eq!(source.calls().len(), 1, "{:?}", source.calls());
    let asked = async || world.get("/readyz").await["scaling"]["sources"].clone();
    assert_eq!(asked().await, 1);
    for (_, policy_id) in ids {
        let delete = fogline_core::command::Command::DeletePolicy { policy_id };
        world.rig.submit(delete).await.expect("deleted");
    }
    until("it to be forgotten", async || (asked().await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_name_is_a_question_to_the_prometheus_for_all() {
    // It speaks just enough of Prometheus' API.
    let answer = json!({"status": "success", "data": {"resultType": "scalar", "result": [1_800_000_000, "42"]}});
    let prometheus = Stranger::who(Does::Says(200, answer.to_string())).await;
    let url = prometheus.url("");
    let rig = crate::rig::Rig::with(tempfile::tempdir().expect("a directory"), |config| {
        super::world::quick(config);
        config.sources.prometheus_url = Some(url);
    })
    .await;
    let world = World::over(rig).await;
    world.rig.nodes(5).await;
    let id = world.rig.deploy("web", 1).await;
    let rule = json!([{"metric": "queue_length", "operator": "gt", "threshold": 10, "scale_by": 1}]);
    world.policy("web", json!({"name": "bare", "scale_up_rules": rule, "max_replicas": 2})).await;
    world.scaled_to(id, 2).await;
    let row = world.decision(id, "the row", |decision| decision["action"] == "scale_up").await;
    assert_eq!(
        (&row["inputs"][0]["source"], &row["inputs"][0]["value"]),
        (&json!("prometheus"), &json!(42.0)),
        "{row}"
    );
}
