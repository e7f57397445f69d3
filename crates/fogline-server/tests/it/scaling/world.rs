//! A server with a deployment that policies scale, and the metrics that a test pushes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fogline_core::command::{Command, Outcome};
use fogline_core::id::{DeploymentId, PolicyId};
use fogline_core::scaling::PolicySpec;
use fogline_server::{ServerConfig, http};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::api::{Answer, call};
use crate::rig::{DEADLINE, Rig};

/// Between two evaluations: many of them fit into a test.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The server, and the administrator's token.
pub struct World {
    pub rig: Rig,
    pub token: String,
    router: Router,
}

pub fn quick(config: &mut ServerConfig) {
    config.evaluation_interval = INTERVAL;
    config.sources.allow_private = true;
    // Nobody sends heartbeats here.
    config.settings.node_timeout = Duration::from_secs(3_600);
}

impl World {
    pub async fn new() -> Self {
        let world = Self::over(Rig::with(tempfile::tempdir().expect("a directory"), quick).await).await;
        world.rig.nodes(20).await;
        world
    }

    /// Where another was before.
    pub async fn again(directory: TempDir) -> Self {
        Self::over(Rig::with(directory, quick).await).await
    }

    pub async fn over(rig: Rig) -> Self {
        let router = http::router(Arc::clone(rig.shared()));
        let body = json!({"username": "admin", "password": "a password for tests"}).to_string();
        let answer = call(router.clone(), "POST", "/api/v1/auth/login", None, &[], &body).await.ok(200);
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Self { rig, token, router }
    }

    /// Stops it as a user would, and keeps its directory.
    pub async fn stop(self) -> TempDir {
        drop(self.router);
        self.rig.stop().await
    }

    pub async fn get(&self, path: &str) -> Value {
        call(self.router.clone(), "GET", path, Some(&self.token), &[], "").await.ok(200)
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        call(self.router.clone(), "POST", path, Some(&self.token), &[], &body.to_string()).await
    }

    /// A policy on a deployment of this name: these fields beside it.
    pub async fn policy(&self, deployment: &str, fields: Value) -> PolicyId {
        let fields = merged(json!({"target_type": "deployment", "target_id": deployment}), fields);
        self.policy_of(fields).await
    }

    pub async fn policy_of(&self, fields: Value) -> PolicyId {
        let spec: PolicySpec = serde_json::from_value(fields).expect("a policy");
        let committed = self.rig.submit(Command::CreatePolicy { spec: Arc::new(spec) }).await.expect("created");
        let Outcome::PolicyCreated { policy_id, .. } = committed.outcome else { panic!("{committed:?}") };
        policy_id
    }

    pub async fn push(&self, deployment: &str, metric: &str, value: f64) {
        let body = json!({"samples": [{"deployment": deployment, "metric": metric, "value": value}]});
        self.post("/api/v1/metrics", body).await.ok(202);
    }

    pub async fn replicas(&self, id: DeploymentId) -> u32 {
        let found = self
            .rig
            .shared()
            .writer
            .view(move |cluster, _| cluster.deployment(id).map(|deployment| deployment.record.target_replicas));
        found.await.expect("a look").expect("the deployment")
    }

    /// Waits until a deployment is asked to have so many.
    pub async fn scaled_to(&self, id: DeploymentId, count: u32) {
        until(&format!("{count} replicas"), async || (self.replicas(id).await == count).then_some(())).await;
    }

    /// Decisions on a deployment, newest first, as `fogline why` shows them.
    pub async fn decisions(&self, id: DeploymentId) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/deployments/{id}/decisions?limit=200")).await;
        page["items"].as_array().expect("a list").clone()
    }

    /// The rows of changes, newest first.
    pub async fn history(&self) -> Vec<Value> {
        self.get("/api/v1/scaling/history").await["items"].as_array().expect("a list").clone()
    }

    /// The latest decision that is as wanted.
    pub async fn decision(&self, id: DeploymentId, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || self.decisions(id).await.into_iter().find(|decision| wanted(decision))).await
    }

    /// Waits for so many further evaluations of a deployment, and gives the latest.
    pub async fn after_rounds(&self, id: DeploymentId, rounds: usize) -> Value {
        let at = |decision: &Value| decision["at"].as_str().map(str::to_owned);
        let newest = self.decisions(id).await.iter().filter_map(at).max();
        until("further evaluations", async || {
            let decisions = self.decisions(id).await;
            let later = decisions.iter().filter(|one| at(one) > newest).count();
            (later >= rounds).then(|| decisions.into_iter().next())?
        })
        .await
    }
}

/// Looks again and again until there is something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

pub fn merged(mut base: Value, more: Value) -> Value {
    let (Value::Object(base_fields), Value::Object(more)) = (&mut base, more) else { panic!("two objects") };
    base_fields.extend(more);
    base
}

/// Two more when the queue is longer than ten.
pub fn up_rule(duration: &str) -> Value {
    json!([{"metric": "queue", "operator": "gt", "threshold": 10, "duration": duration, "scale_by": 2}])
}
