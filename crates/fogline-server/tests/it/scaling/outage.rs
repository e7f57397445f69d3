//! A plan that is old (fault 23), and another leader.

use fogline_core::command::{Actor, Command, Decided, Rejection, Request};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::inputs::{Inputs, ReplicaCounts};
use fogline_core::scaling::sample::{Reading, Source};
use fogline_core::scaling::{State, evaluate};
use fogline_server::WriteError;
use serde_json::{Value, json};

use super::world::{World, quick, until, up_rule};
use crate::http::api::spec;
use crate::leadership::cluster::{Ground, Member};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_plan_is_refused() {
    let world = World::new().await;
    let id = world.rig.deploy("web", 2).await;
    world.policy("web", json!({"name": "queue", "scale_up_rules": up_rule("0s"), "max_replicas": 9})).await;
    world.after_rounds(id, 2).await;
    let target = ScalingTarget::Deployment(id);
    let asked = target.clone();
    let look = world.rig.shared().writer.view(move |cluster, now| (cluster.scaling_target(&asked), now));
    let (view, now) = look.await.expect("a look");
    let view = view.expect("a target");
    let readings =
        [("queue".to_owned(), Reading::value(99.0, now, Source::Push, std::time::Duration::from_secs(30)))].into();
    let counts = ReplicaCounts { current: 2, ..ReplicaCounts::default() };
    let inputs = Inputs { replicas: counts, readings, ..Inputs::default() };
    let (decision, next) = evaluate(&view.policies, &inputs, &State::resumed((*view.memory).clone(), 2, now), now);
    assert_eq!(decision.replicas, 4);

    // A person is quicker.
    world.post(&format!("/api/v1/deployments/{id}/scale"), json!({"replicas": 5})).await;
    world.scaled_to(id, 5).await;
    let decided = Decided {
        target,
        based_on: view.version,
        decision,
        memory: Some(next.memory),
        memory_without: None,
        keep: true,
    };
    let command = Command::Decide(Box::new(decided));
    let request = Request { actor: Actor::System, command, idempotency: None, remote: None };
    let refused = world.rig.shared().writer.submit(request).await.expect_err("refused");
    assert!(matches!(refused, WriteError::Rejected(Rejection::ChangedMeanwhile { .. })), "{refused:?}");
    assert_eq!(world.replicas(id).await, 5);
}

/// Pushes, and gives the latest decision.
async fn latest(member: &Member, token: &str, id: &str) -> Option<Value> {
    let body = json!({"samples": [{"deployment": id, "metric": "queue", "value": 50.0}]});
    member.call("POST", "/api/v1/metrics", Some(token), body).await;
    let path = format!("/api/v1/deployments/{id}/decisions");
    let page = member.call("GET", &path, Some(token), Value::Null).await;
    page.json["items"].as_array()?.first().cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_goes_on_where_the_last_one_was() {
    let ground = Ground::new();
    let leader = ground.server_with(quick).await;
    let standby = ground.server_with(quick).await;
    let nodes = (0..4).map(|number| crate::rig::node(&format!("bare-{number}"))).collect();
    let declare = Request::agent(Command::DeclareNodes { nodes });
    leader.running.shared().writer.submit(declare).await.expect("declared");
    let token = leader.login().await;
    let deployed = leader.call("POST", "/api/v1/deployments", Some(&token), spec("web", 2)).await.ok(202);
    let id = deployed["deployment_id"].as_str().expect("an id").to_owned();
    let policy = json!({
        "name": "queue", "target_type": "deployment", "target_id": id, "scale_up_rules": up_rule("0s"),
        "cooldown_seconds": 3600,
    });
    leader.call("POST", "/api/v1/scaling/policies", Some(&token), policy).await.ok(201);
    until("the scale-up", async || {
        latest(&leader, &token, &id).await;
        let deployment = leader.call("GET", &format!("/api/v1/deployments/{id}"), Some(&token), Value::Null).await;
        (deployment.json["target_replicas"] == 4).then_some(())
    })
    .await;
    let stands_by = standby.ready().await.ok(200);
    assert!(stands_by["scaling"].is_null(), "only the leader evaluates: {stands_by}");

    leader.end().await;
    standby.becomes("leader").await;
    let held = until("an evaluation with a sample", async || {
        latest(&standby, &token, &id).await.filter(|one| one["inputs"][0]["outcome"] == "value" && one["id"].is_null())
    })
    .await;
    assert_eq!((&held["action"], &held["current"]), (&json!("hold"), &json!(4)), "{held}");
    assert!(held["reason"].as_str().expect("words").contains("cooldown of 1h"), "{held}");
    standby.end().await;
}
