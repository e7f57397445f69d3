//! A server to call, with nodes whose agents say what the test wants.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use fogline_api::client::Client;
use fogline_core::command::{self, Command, Outcome};
use fogline_core::id::{DeploymentId, NodeId};
use fogline_core::observation::{NodeDeclaration, ReplicaReport, ReportedState};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::Runtimes;
use fogline_core::spec::Runtime;
use fogline_core::state::ReplicaStatus;
use fogline_server::{Running, ServerConfig, Shared, http, start};
use fogline_store::PageRequest;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const ADMIN_PASSWORD: &str = "admin123";
pub const PASSWORD: &str = "a password of nobody";

/// A server, its router, and a token of its administrator.
pub struct Api {
    pub admin: String,
    router: Router,
    running: Running,
    stop: CancellationToken,
    _directory: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// `Null` where it is no JSON.
    pub json: Value,
}

impl Answer {
    /// The value, of a success.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Asserts a problem in full, and returns the fields that it names.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Vec<String> {
        self.problem_of("", status, kind)
    }

    /// The same, saying what was asked when it is another.
    #[track_caller]
    pub fn problem_of(&self, asked: &str, status: u16, kind: &str) -> Vec<String> {
        let text = format!("{asked} {}", self.text);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        assert_eq!(self.json["type"], format!("/problems/{kind}"), "{text}");
        assert_eq!(self.json["status"], status, "{text}");
        for said in ["title", "detail", "request_id"] {
            assert!(self.json[said].as_str().is_some_and(|said| !said.is_empty()), "{said} of {text}");
        }
        assert_eq!(self.json["request_id"], self.header("x-request-id"));
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A call of any server's router.
pub async fn call(
    router: Router,
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::from(body.to_owned())).expect("a request")).await
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let body = if endless { Body::empty() } else { body };
    let bytes = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: parts.status.as_u16(), headers: parts.headers, text, json }
}

impl Api {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than most tests need.
    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = ServerConfig::new(directory.path().join("data"));
        config.listen = ([127, 0, 0, 1], 0).into();
        config.agent_listen = ([127, 0, 0, 1], 0).into();
        config.admin_password = Some(ADMIN_PASSWORD.into());
        // Nobody sends heartbeats here.
        config.settings.node_timeout = Duration::from_secs(3_600);
        change(&mut config);
        let stop = CancellationToken::new();
        let running = start(config, stop.clone()).await.expect("it starts");
        let router = http::router(Arc::clone(running.shared()));
        let mut api = Self { admin: String::new(), router, running, stop, _directory: directory };
        api.admin = api.login("admin", ADMIN_PASSWORD).await;
        api
    }

    /// With nodes of 4 cores, 8 GB and 100 GB each.
    pub async fn with_nodes(count: u32) -> Self {
        let api = Self::new().await;
        api.declare_nodes(count).await;
        api
    }

    /// Adds such nodes.
    pub async fn declare_nodes(&self, count: u32) {
        let capacity = Resources { cpu_millis: CpuMillis(4_000), memory_mb: 8_192, gpu_units: 0, storage_gb: 100 };
        let nodes = (1..=count).map(|n| NodeDeclaration {
            name: format!("node-{n:02}"),
            region: "eu".to_owned(),
            zone: "a".to_owned(),
            capacity,
            runtimes: Runtimes::of(&[Runtime::Process]),
            labels: [("disk".to_owned(), "ssd".to_owned())].into(),
        });
        self.agent(Command::DeclareNodes { nodes: nodes.collect() }).await;
    }

    /// Over the network, as the holder of this token.
    pub fn client(&self, token: &str) -> Client {
        Client::new(&format!("http://{}", self.running.http_addr)).expect("an address").with_token(token)
    }

    pub fn shared(&self) -> &Arc<Shared> {
        self.running.shared()
    }

    /// Ends the server; a test that does not get here leaves it to the end of its runtime.
    pub async fn stop(self) {
        self.stop.cancel();
        drop(self.router);
        self.running.wait().await.expect("it stops");
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        self.call_with(method, path, token, &[], body).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        call(self.router.clone(), method, path, token, headers, body).await
    }

    /// A call that comes from an address.
    pub async fn call_from(&self, address: &str, path: &str, body: &str) -> Answer {
        let request =
            Request::post(path).extension(ConnectInfo::<std::net::SocketAddr>(address.parse().expect("an address")));
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, Some(token), "").await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call("POST", path, Some(token), &body.to_string()).await
    }

    pub async fn try_login(&self, username: &str, password: &str) -> Answer {
        let body = json!({"username": username, "password": password}).to_string();
        self.call("POST", "/api/v1/auth/login", None, &body).await
    }

    pub async fn login(&self, username: &str, password: &str) -> String {
        let tokens = self.try_login(username, password).await.ok(200);
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    /// A new user of the tier enterprise, and a token of theirs.
    pub async fn user(&self, name: &str, role: &str) -> String {
        let body = json!({"username": name, "password": PASSWORD, "role": role, "tier": "enterprise"});
        self.post("/api/v1/users", &self.admin, body).await.ok(201);
        self.login(name, PASSWORD).await
    }

    /// A new deployment's id.
    pub async fn deploy(&self, token: &str, name: &str, replicas: u32) -> String {
        let answer = self.post("/api/v1/deployments", token, spec(name, replicas)).await.ok(202);
        answer["deployment_id"].as_str().expect("an id").to_owned()
    }

    pub async fn agent(&self, command: Command) -> Outcome {
        self.shared().writer.submit(command::Request::agent(command)).await.expect("accepted").outcome
    }

    /// A new policy's id.
    pub async fn policy(&self, token: &str, spec: Value) -> String {
        let answer = self.post("/api/v1/scaling/policies", token, spec).await.ok(201);
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The agents say that every replica that should run runs, and that every other one is gone.
    pub async fn run(&self, id: &str) {
        let id: DeploymentId = id.parse().expect("an id");
        let page = self.shared().store.replicas(id, &PageRequest::first(500), false).await.expect("a read");
        for replica in page.items {
            let node_id: NodeId = replica.node_id.expect("a node");
            let gone = replica.status == ReplicaStatus::Stopping;
            let report = ReplicaReport {
                replica_id: replica.id,
                seq: if gone { 1_000 } else { 1 },
                state: if gone { ReportedState::Stopped } else { ReportedState::Running },
                ready: !gone,
                restarts: 0,
                endpoint: Some("127.0.0.1:4000".to_owned()),
                container_id: Some("4711".to_owned()),
                image_digest: None,
                exit_code: None,
                message: None,
            };
            self.agent(Command::Observe { node_id, reports: vec![report] }).await;
        }
    }

    /// Everything that a refused call must leave as it was.
    pub async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let deployments = self.get("/api/v1/deployments?include_deleted=true&limit=200", &self.admin).await.ok(200);
        for deployment in deployments["items"].as_array().expect("a list") {
            if deployment["status"] == "deleted" {
                continue;
            }
            let id = deployment["id"].as_str().expect("an id");
            for part in ["", "/history", "/replicas?include_ended=true"] {
                all.push(self.get(&format!("/api/v1/deployments/{id}{part}"), &self.admin).await.ok(200));
            }
        }
        all.push(deployments);
        for list in ["/api/v1/users", "/api/v1/nodes", "/api/v1/scaling/policies", "/api/v1/scaling/history"] {
            all.push(self.get(list, &self.admin).await.ok(200));
        }
        all
    }
}

/// A spec that two replicas of fit on one node.
pub fn spec(name: &str, replicas: u32) -> Value {
    json!({
        "name": name, "runtime": "process", "command": ["serve"], "replicas": replicas, "port": 80,
        "resources": {"cpu": 2.0, "memory": 2048, "gpu": 0, "storage": 20},
    })
}

/// The operations of the API: method, path, name, and whether they need a login.
pub fn operations() -> Vec<(String, String, String, bool)> {
    let description: Value = serde_json::from_str(&http::openapi_json()).expect("JSON");
    let mut found = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let open = operation["security"].as_array().is_some_and(|s| s.iter().all(|one| one == &json!({})));
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            found.push((method.to_uppercase(), path.clone(), name, !open));
        }
    }
    assert!(found.len() > 35, "{found:?}");
    found
}
