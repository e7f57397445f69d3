//! What proxies tell becomes figures, readings, and counts.

use std::time::Duration;

use fogline_core::id::DeploymentId;
use fogline_core::traffic::ReplicaTraffic;
use serde_json::{Value, json};

use super::play::{Proxy, deploy, running, traffic};
use crate::http::api::{Api, call, spec};
use crate::rig::Rig;
use crate::scaling::world::{World, quick, until};

/// Tells of so many requests a second, again and again, until there is what is waited for.
async fn under_load<T>(
    proxy: &Proxy,
    id: DeploymentId,
    rate: u64,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = tokio::time::Instant::now();
    until(what, async || {
        let begun = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        proxy.report(&[traffic(id, begun + 2, 2)]).await;
        look().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_score_runs_on_what_proxies_tell_with_nothing_set_up() {
    let world = World::over(Rig::with(tempfile::tempdir().expect("a directory"), quick).await).await;
    let (mut agent, node, _) = world.rig.agent("one").await;
    let id = deploy(&world.rig, "shop", 1, json!({})).await;
    let replica = running(id, &mut agent, node, 1).await[0];
    world.policy("shop", json!({"name": "load", "load_score": {}, "max_replicas": 5})).await;
    let proxy = Proxy::attach(&world.rig, "edge").await;
    let shown = under_load(&proxy, id, 200, "the load", async || {
        let answer = call(
            fogline_server::http::router(std::sync::Arc::clone(world.rig.shared())),
            "GET",
            "/proxy/scaling/metrics/shop",
            Some(&world.token),
            &[],
            "",
        )
        .await;
        let rate = answer.json["requestRate"].as_f64()?;
        ((150.0..=250.0).contains(&rate) && answer.json["averageLatencyMs"].is_number()).then_some(answer.json)
    })
    .await;
    assert_eq!(shown["errorRate"], json!(0.0), "{shown}");
    let latency = shown["averageLatencyMs"].as_f64().expect("a number");
    assert!((latency - 8.0).abs() < 1e-6, "{shown}");

    let decision = under_load(&proxy, id, 200, "an evaluation on it", async || {
        let latest = world.decisions(id).await.into_iter().next()?;
        let inputs = latest["inputs"].as_array().cloned().unwrap_or_default();
        inputs.into_iter().find(|input| input["metric"] == "request_rate" && input["outcome"] == "value")
    })
    .await;
    assert_eq!(decision["source"], "builtin", "{decision}");

    let mut told = traffic(id, 10_000, 2);
    told.replicas = vec![ReplicaTraffic {
        replica_id: replica,
        ended: 9_998,
        failed: 3,
        open: 2,
        latency_sum: Duration::from_secs(80),
        ejected: true,
    }];
    proxy.report(&[told]).await;
    let view = until("the replica's part", async || {
        let view = world.get("/api/v1/deployments/shop/traffic").await;
        (view["replicas"][0]["open"] == 2).then_some(view)
    })
    .await;
    assert_eq!((&view["open"], &view["held"], &view["proxies"]), (&json!(2), &json!(0), &json!(1)), "{view}");
    assert_eq!((&view["replicas"][0]["errors"], &view["replicas"][0]["ejected"]), (&json!(3), &json!(true)), "{view}");
    let second = &view["seconds"][0];
    for figure in ["request_rate", "error_rate", "concurrency"] {
        assert!(second[figure].is_number(), "{figure} of {second}");
    }
    let routes = world.get("/api/v1/routes").await;
    let line = &routes["items"][0];
    assert_eq!((&line["host"], &line["path"]), (&json!("shop.example.com"), &json!("/")), "{routes}");
    assert_eq!((&line["upstreams_ready"], &line["upstreams"]), (&json!(1), &json!(1)), "{routes}");
    assert_eq!(line["listeners"], json!(["http://127.0.0.1:8080"]));
    let router = fogline_server::http::router(std::sync::Arc::clone(world.rig.shared()));
    let strangers = call(router.clone(), "GET", "/metrics", None, &[], "").await.text;
    assert!(strangers.lines().any(|line| line == "fogline_traffic_open 2"), "{strangers}");
    assert!(!strangers.contains(&id.to_string()), "nobody's: {strangers}");
    assert_eq!(call(router.clone(), "GET", "/metrics", Some("wrong"), &[], "").await.status, 401);
    let text = call(router, "GET", "/metrics", Some(&world.token), &[], "").await.text;
    for line in [
        format!("fogline_traffic_open{{deployment=\"{id}\"}} 2"),
        format!("fogline_traffic_replica_open{{deployment=\"{id}\",replica=\"{replica}\"}} 2"),
        "fogline_proxies_attached 1".to_owned(),
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_the_load_does_not_wait_for_its_turn() {
    let change = |config: &mut fogline_server::ServerConfig| {
        quick(config);
        config.evaluation_interval = Duration::from_secs(3_600);
    };
    let world = World::over(Rig::with(tempfile::tempdir().expect("a directory"), change).await).await;
    world.rig.nodes(5).await;
    let id = deploy(&world.rig, "shop", 1, json!({})).await;
    let proxy = Proxy::attach(&world.rig, "edge").await;
    let rules = json!([{"metric": "request_rate", "operator": "gt", "threshold": 100, "scale_by": 2}]);
    world.policy("shop", json!({"name": "rate", "scale_up_rules": rules})).await;
    until("the first evaluation", async || (!world.decisions(id).await.is_empty()).then_some(())).await;
    under_load(&proxy, id, 500, "more replicas", async || (world.replicas(id).await >= 3).then_some(())).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_deployment_is_not_put_to_sleep() {
    let world = World::new().await;
    let id = deploy(&world.rig, "shop", 1, json!({})).await;
    let proxy = Proxy::attach(&world.rig, "edge").await;
    let fields = json!({"name": "idle", "min_replicas": 0, "scale_to_zero": true, "idle": {"idle_period": "10s"}});
    world.policy("shop", fields).await;
    // One has been open for long.
    let mut told = traffic(id, 5, 1);
    told.quiet = Duration::from_secs(60);
    until("its requests count", async || {
        proxy.report(&[told.clone()]).await;
        let signal = world.rig.shared().writer.view(move |cluster, now| cluster.proxy_signal(id, now));
        signal.await.expect("a look").filter(|signal| signal.open == 1)
    })
    .await;
    proxy.report(&[]).await;
    world.after_rounds(id, 10).await;
    assert_eq!(world.replicas(id).await, 1);
    told = traffic(id, 5, 0);
    told.quiet = Duration::from_secs(60);
    until("sleep", async || {
        proxy.report(&[told.clone()]).await;
        (world.replicas(id).await == 0).then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_listed_to_their_owners_page_by_page() {
    let api = Api::with_nodes(3).await;
    let (alice, bob) = (api.user("alice", "user").await, api.user("bob", "user").await);
    let routed = |name: &str, hosts: &[&str]| {
        let mut spec = spec(name, 1);
        spec["routes"] = hosts.iter().map(|host| json!({"host": host})).collect();
        spec
    };
    let mine = routed("mine", &["a.example.com", "b.example.com", "c.example.com"]);
    api.post("/api/v1/deployments", &alice, mine).await.ok(202);
    api.post("/api/v1/deployments", &bob, routed("his", &["bob.example.com"])).await.ok(202);
    let taken = api.post("/api/v1/deployments", &bob, routed("other", &["a.example.com"])).await;
    taken.problem(409, "route-taken");
    assert!(!taken.text.contains("mine"), "{}", taken.text);

    let hosts = |page: &Value| -> Vec<String> {
        let lines = page["items"].as_array().expect("a list");
        lines.iter().map(|line| line["host"].as_str().expect("a host").to_owned()).collect()
    };
    let first = api.get("/api/v1/routes?limit=2", &alice).await.ok(200);
    assert_eq!(hosts(&first), ["a.example.com", "b.example.com"]);
    let next = format!("/api/v1/routes?limit=2&cursor={}", first["next"].as_str().expect("more"));
    let last = api.get(&next, &alice).await.ok(200);
    assert_eq!((hosts(&last), &last["next"]), (vec!["c.example.com".to_owned()], &Value::Null));
    assert_eq!(hosts(&api.get("/api/v1/routes", &bob).await.ok(200)), ["bob.example.com"]);
    assert_eq!(api.client(&api.admin).routes().await.expect("a list").len(), 4);
    assert_eq!(api.client(&alice).traffic("mine").await.expect("its traffic").seconds, []);
    api.get("/api/v1/deployments/mine/traffic", &bob).await.problem(404, "not-found");
    api.get("/api/v1/routes?cursor=x", &bob).await.problem(400, "invalid-request");

    // What is asked for is shown, and a patch changes a part of it.
    let patch = json!({"traffic": {"timeout_s": 5}, "routes": [{"host": "a.example.com", "path": "/api"}]});
    api.call("PATCH", "/api/v1/deployments/mine", Some(&alice), &patch.to_string()).await.ok(200);
    let shown = api.get("/api/v1/deployments/mine", &alice).await.ok(200);
    assert_eq!(shown["spec"]["traffic"]["timeout_s"], 5, "{shown}");
    assert_eq!(shown["spec"]["routes"], patch["routes"], "{shown}");
    api.stop().await;
}
