//! Servers that share a database.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use fogline_server::{Running, ServeError, ServerConfig, start};
use fogline_testbed::{Database, Postgres, Relay};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::http::api::{ADMIN_PASSWORD, Answer};
use crate::rig::{DEADLINE, soon};

/// Short enough for tests, long enough for a busy machine.
pub const LEASE: Duration = Duration::from_secs(5);

/// The database, and the keys that all servers on it have.
pub struct Ground {
    pub postgres: Arc<Postgres>,
    pub database: Database,
    keys: TempDir,
}

/// One of the servers.
pub struct Member {
    pub running: Running,
    /// Between it and the database.
    pub relay: Relay,
    stop: CancellationToken,
    directory: TempDir,
}

impl Ground {
    pub fn new() -> Self {
        Self::on(Postgres::shared())
    }

    pub fn on(postgres: Arc<Postgres>) -> Self {
        let database = postgres.database();
        Self { postgres, database, keys: tempfile::tempdir().expect("a directory") }
    }

    /// The settings of a server that finds the database behind this relay, in this directory, with the keys of those
    /// before it.
    pub fn config(&self, relay: &Relay, directory: &Path) -> ServerConfig {
        let data = directory.join("data");
        for key in ["agent.token", "keys/jwt.key"] {
            let (from, to) = (self.keys.path().join(key), data.join(key));
            fs::create_dir_all(to.parent().expect("in a directory")).expect("made");
            if from.exists() {
                fs::copy(from, to).expect("copied");
            }
        }
        ServerConfig {
            database_url: Some(self.database.url_at(relay.addr()).into()),
            lease: LEASE,
            listen: ([127, 0, 0, 1], 0).into(),
            agent_listen: ([127, 0, 0, 1], 0).into(),
            admin_password: Some(ADMIN_PASSWORD.into()),
            shutdown_grace: Duration::from_secs(1),
            ..ServerConfig::new(data)
        }
    }

    pub async fn server(&self) -> Member {
        self.server_with(|_| {}).await
    }

    pub async fn server_with(&self, change: impl FnOnce(&mut ServerConfig)) -> Member {
        let relay = Relay::to(self.postgres.addr());
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = self.config(&relay, directory.path());
        change(&mut config);
        let stop = CancellationToken::new();
        let running = start(config, stop.clone()).await.expect("the server starts");
        for key in ["agent.token", "keys/jwt.key"] {
            let to = self.keys.path().join(key);
            fs::create_dir_all(to.parent().expect("in a directory")).expect("made");
            fs::copy(directory.path().join("data").join(key), to).expect("copied");
        }
        Member { running, relay, stop, directory }
    }

    /// Why a server does not start.
    pub async fn refuses(&self, change: impl FnOnce(&mut ServerConfig)) -> ServeError {
        let relay = Relay::to(self.postgres.addr());
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = self.config(&relay, directory.path());
        change(&mut config);
        match start(config, CancellationToken::new()).await {
            Err(error) => error,
            Ok(_) => panic!("it starts"),
        }
    }

    /// A leader and a standby that knows it.
    pub async fn pair(&self) -> (Member, Member) {
        let leader = self.server().await;
        let standby = self.server().await;
        assert_eq!(leader.ready().await.ok(200)["role"], "leader");
        assert_eq!(standby.ready().await.ok(200)["role"], "standby");
        (leader, standby)
    }
}

impl Member {
    pub fn http(&self) -> SocketAddr {
        self.running.http_addr
    }

    pub fn agents(&self) -> SocketAddr {
        self.running.agent_addr
    }

    pub fn token_of_agents(&self) -> String {
        fs::read_to_string(self.directory.path().join("data/agent.token")).expect("the token").trim().to_owned()
    }

    pub async fn ready(&self) -> Answer {
        self.call("GET", "/readyz", None, Value::Null).await
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        self.call_with(method, path, token, &[], body).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = soon("an answer", open(self.http(), method, path, token, headers, body)).await;
        let (parts, body) = response.into_parts();
        let bytes = soon("the rest of the answer", body.collect()).await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    /// An access token of the administrator.
    pub async fn login(&self) -> String {
        let body = json!({"username": "admin", "password": ADMIN_PASSWORD});
        let answer = self.call("POST", "/api/v1/auth/login", None, body).await.ok(200);
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// Waits until it says that it is this.
    pub async fn becomes(&self, role: &str) {
        until(role, async || self.ready().await.json["role"] == role).await;
    }

    /// Stops it as an administrator would.
    pub async fn end(self) {
        self.stop.cancel();
        soon("the end", self.running.wait()).await.expect("a clean stop");
    }
}

/// An answer whose body is still to be read.
pub async fn open(
    server: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: String,
) -> Response<Incoming> {
    let mut request = Request::builder().method(method).uri(format!("http://{server}{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request.body(Body::from(body)).expect("a request")).await.expect("an answer")
}

/// Looks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"));
}
