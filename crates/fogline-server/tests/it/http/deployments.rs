//! Deployments over `/api/v1`.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::api::{Answer, Api, spec};

const ROOT: &str = "/api/v1/deployments";

async fn keyed(api: &Api, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    api.call_with(method, path, Some(&api.admin), &[("idempotency-key", key)], &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployments_life_by_name() {
    let api = Api::with_nodes(3).await;
    let made = api.post(ROOT, &api.admin, spec("web", 2)).await;
    let id = made.json["deployment_id"].as_str().expect("an id").to_owned();
    assert_eq!((made.status, made.header("location")), (202, format!("{ROOT}/{id}").as_str()));
    let web = format!("{ROOT}/web");
    let seen = api.get(&web, &api.admin).await.ok(200);
    assert_eq!(
        (&seen["id"], &seen["status"], &seen["health"]["summary"]),
        (&json!(id), &json!("scheduled"), &json!("unhealthy"))
    );
    api.run(&id).await;
    let seen = api.get(&web, &api.admin).await.ok(200);
    assert_eq!((&seen["status"], &seen["health"]["summary"]), (&json!("running"), &json!("healthy")));
    assert_eq!(
        (&seen["health"]["ready"], &seen["health"]["running"], &seen["health"]["target"]),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(seen["spec"]["command"], json!(["serve"]));

    // A merge patch leaves the rest alone; a change of what a replica is makes a revision.
    let patched = api.call("PATCH", &web, Some(&api.admin), r#"{"env":{"A":"1"}}"#).await.ok(200);
    assert_eq!((&patched["revision"], &patched["rolling"], &patched["replicas"]), (&json!(2), &json!(true), &json!(2)));
    let mut whole = spec("web", 2);
    whole["env"] = json!({"A": "1"});
    let same = api.call("PUT", &web, Some(&api.admin), &whole.to_string()).await.ok(200);
    assert_eq!((&same["revision"], &same["rolling"]), (&json!(2), &json!(false)), "nothing is new");

    let stopped = api.call("POST", &format!("{web}/stop"), Some(&api.admin), "").await.ok(202);
    assert_eq!(stopped["status"], "stopped");
    api.run(&id).await;
    assert_eq!(api.get(&format!("{web}/replicas"), &api.admin).await.ok(200)["items"], json!([]));
    let scaled = api.post(&format!("{web}/scale"), &api.admin, json!({"replicas": 3})).await.ok(200);
    assert_eq!((&scaled["status"], &scaled["replicas"]), (&json!("stopped"), &json!(3)));
    let seen = api.get(&web, &api.admin).await.ok(200);
    assert_eq!((&seen["status"], &seen["health"]["summary"]), (&json!("stopped"), &json!("inactive")));
    let started = api.call("POST", &format!("{web}/start"), Some(&api.admin), "{}").await.ok(202);
    assert_eq!((&started["status"], &started["replicas"]), (&json!("pending"), &json!(3)));
    api.run(&id).await;
    assert_eq!(api.get(&web, &api.admin).await.ok(200)["health"]["ready"], 3);

    let deleted = api.call("DELETE", &web, Some(&api.admin), "").await.ok(200);
    assert_eq!((&deleted["status"], &deleted["deployment_id"]), (&json!("deleted"), &json!(id)));
    for (method, path, body) in [
        ("GET", web.clone(), ""),
        ("GET", format!("{ROOT}/{id}"), ""),
        ("GET", format!("{ROOT}/{id}/history"), ""),
        ("GET", format!("{ROOT}/{id}/replicas"), ""),
        ("GET", format!("{ROOT}/{id}/explain"), ""),
        ("GET", format!("{ROOT}/{id}/logs"), ""),
        ("POST", format!("{ROOT}/{id}/scale"), r#"{"replicas":1}"#),
        ("POST", format!("{ROOT}/{id}/start"), ""),
        ("POST", format!("{ROOT}/{id}/stop"), ""),
        ("PATCH", format!("{ROOT}/{id}"), "{}"),
        ("DELETE", format!("{ROOT}/{id}"), ""),
    ] {
        api.call(method, &path, Some(&api.admin), body).await.problem_of(&format!("{method} {path}"), 404, "not-found");
    }
    // The name is free again.
    api.deploy(&api.admin, "web", 1).await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_and_takes_filters() {
    let api = Api::with_nodes(5).await;
    for n in 0..5 {
        api.deploy(&api.admin, &format!("web-{n}"), 1).await;
    }
    let bob = api.user("bob", "user").await;
    api.deploy(&bob, "web-0", 1).await;
    let (mut names, mut path) = (Vec::new(), format!("{ROOT}?limit=4"));
    loop {
        let page = api.get(&path, &api.admin).await.ok(200);
        let items = page["items"].as_array().expect("a list").clone();
        assert!(items.len() <= 4);
        names.extend(items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{ROOT}?limit=4&cursor={next}");
    }
    assert_eq!(names, ["web-0", "web-1", "web-2", "web-3", "web-4", "web-0"]);
    let count = |answer: Value| answer["items"].as_array().expect("a list").len();
    assert_eq!(count(api.get(&format!("{ROOT}?name=web-0"), &api.admin).await.ok(200)), 2);
    assert_eq!(count(api.get(&format!("{ROOT}?name=web-0"), &bob).await.ok(200)), 1);
    assert_eq!(count(api.get(&format!("{ROOT}?status=running"), &api.admin).await.ok(200)), 0);
    assert_eq!(count(api.get(&format!("{ROOT}?status=scheduled"), &api.admin).await.ok(200)), 6);
    api.call("DELETE", &format!("{ROOT}/web-0"), Some(&bob), "").await.ok(200);
    assert_eq!(count(api.get(ROOT, &bob).await.ok(200)), 0);
    assert_eq!(count(api.get(&format!("{ROOT}?include_deleted=true"), &bob).await.ok(200)), 1);
    // A cursor of one list is none of another.
    let cursor = api.get("/api/v1/nodes?limit=1", &api.admin).await.ok(200)["next"].as_str().expect("more").to_owned();
    let refused = api.get(&format!("{ROOT}?cursor={cursor}"), &api.admin).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["cursor"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_and_not_done_again() {
    let api = Api::with_nodes(3).await;
    let first = keyed(&api, "POST", ROOT, "k1", &spec("web", 2)).await;
    let again = keyed(&api, "POST", ROOT, "k1", &spec("web", 2)).await;
    assert_eq!((first.status, again.status), (202, 202), "{} {}", first.text, again.text);
    assert_eq!(first.json, again.json);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    keyed(&api, "POST", ROOT, "k1", &spec("other", 2)).await.problem(409, "idempotency-key-reused");
    let scale = format!("{ROOT}/web/scale");
    keyed(&api, "POST", &scale, "k2", &json!({"replicas": 4})).await.ok(200);
    keyed(&api, "POST", &scale, "k3", &json!({"replicas": 1})).await.ok(200);
    let again = keyed(&api, "POST", &scale, "k2", &json!({"replicas": 4})).await.ok(200);
    assert_eq!(again["message"], "Scaled up to 4 replicas (2 added)");
    assert_eq!(api.get(&format!("{ROOT}/web"), &api.admin).await.ok(200)["target_replicas"], 1, "not done again");
    for _ in 0..2 {
        let deleted = keyed(&api, "DELETE", &format!("{ROOT}/web"), "k4", &Value::Null).await.ok(200);
        assert_eq!(deleted["deployment_id"], first.json["deployment_id"]);
    }
    keyed(&api, "DELETE", &format!("{ROOT}/web"), "k5", &Value::Null).await.problem(404, "not-found");
    let refused = keyed(&api, "POST", ROOT, &"k".repeat(256), &spec("new", 1)).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["Idempotency-Key"]);
    // The same key of somebody else is another key.
    let bob = api.user("bob", "user").await;
    let body = spec("web", 2).to_string();
    let other = api.call_with("POST", ROOT, Some(&bob), &[("idempotency-key", "k1")], &body).await.ok(202);
    assert_ne!(other["deployment_id"], first.json["deployment_id"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_says_why_and_changes_nothing() {
    let api = Api::with_nodes(2).await;
    let id = api.deploy(&api.admin, "web", 2).await;
    let before = api.everything().await;
    let explained = api.get(&format!("{ROOT}/web/explain"), &api.admin).await.ok(200);
    assert_eq!((&explained["deployment_id"], &explained["fits"]), (&json!(id), &json!(true)));
    assert_eq!(explained["replicas"].as_array().expect("a list").len(), 2);
    assert!(explained["message"].as_str().expect("text").starts_with("All 2 replicas have a place"), "{explained}");

    let mut large = spec("large", 4);
    large["resources"]["cpu"] = json!(8);
    let explained = api.post(&format!("{ROOT}/explain"), &api.admin, large).await.ok(200);
    assert_eq!((&explained["fits"], &explained["placement"]["found"]), (&json!(false), &json!(0)));
    assert_eq!(explained["placement"]["turned_away"][0]["filter"], "cpu");
    assert_eq!(explained["placement"]["turned_away"][0]["nodes"], 2);
    let explained = api.post(&format!("{ROOT}/explain"), &api.admin, spec("small", 2)).await.ok(200);
    assert_eq!(explained["fits"], true);
    assert_eq!(api.everything().await, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_reached_says_why() {
    let api = Api::with_nodes(1).await;
    let id = api.deploy(&api.admin, "web", 1).await;
    let replicas = api.get(&format!("{ROOT}/web/replicas"), &api.admin).await.ok(200);
    let replica = &replicas["items"][0];
    assert_eq!(
        (&replica["node"], &replica["status"], &replica["ready"]),
        (&json!("node-01"), &json!("pending"), &json!(false))
    );
    let log = format!("{ROOT}/{id}/replicas/{}/logs", replica["id"].as_str().expect("an id"));
    api.get(&log, &api.admin).await.problem(503, "unavailable");
    api.get(&format!("{ROOT}/web/logs"), &api.admin).await.problem(503, "unavailable");
    let refused = api.get(&format!("{ROOT}/web/logs?tail=10001"), &api.admin).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["tail"]);
    api.get(&format!("{ROOT}/web/logs?replica={id}"), &api.admin).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_hexadecimal_digits_is_a_name() {
    let api = Api::with_nodes(1).await;
    let name = "0192f0c12d3e7a4b8c5d6e7f8091a2b3";
    let id = api.deploy(&api.admin, name, 1).await;
    let path = format!("{ROOT}/{name}");
    assert_eq!(api.get(&path, &api.admin).await.ok(200)["id"], json!(id));
    assert_eq!(api.get(&format!("{ROOT}/{}", id.to_uppercase()), &api.admin).await.ok(200)["id"], json!(id));
    api.post(&format!("{path}/scale"), &api.admin, json!({"replicas": 2})).await.ok(200);
    api.call("DELETE", &path, Some(&api.admin), "").await.ok(200);
    api.user(name, "user").await;
    assert_eq!(api.get(&format!("/api/v1/users/{name}"), &api.admin).await.ok(200)["username"], json!(name));
    api.call("DELETE", &format!("/api/v1/users/{name}"), Some(&api.admin), "").await.ok(204);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_have_few_places() {
    let api = Api::with_nodes(1).await;
    api.deploy(&api.admin, "web", 1).await;
    // The writer is held until this is dropped.
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let (tell, entered) = tokio::sync::oneshot::channel();
    let writer = api.shared().writer.clone();
    let hold = move |_: &_, _| {
        tell.send(()).expect("listened to");
        held.recv().expect_err("nothing is said");
    };
    let holding = tokio::spawn(async move { writer.view(hold).await });
    entered.await.expect("held");
    let path = format!("{ROOT}/web/explain");
    let mut waiting: FuturesUnordered<_> = (0..5).map(|_| api.get(&path, &api.admin)).collect();
    // Four wait for the writer, which is held; so the first that is answered is the fifth.
    let refused = waiting.next().await.expect("five");
    refused.problem(503, "busy");
    assert_eq!(refused.header("retry-after"), "1");
    api.post(&format!("{ROOT}/explain"), &api.admin, spec("new", 1)).await.problem(503, "busy");
    drop(let_go);
    holding.await.expect("no panic").expect("a look");
    while let Some(answer) = waiting.next().await {
        answer.ok(200);
    }
    drop(waiting);
    api.stop().await;
}
