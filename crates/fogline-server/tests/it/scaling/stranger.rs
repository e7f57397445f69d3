//! A server of somebody else's: a metric source or a callback that does what the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

/// What it does with a call.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers with this status and text.
    Says(u16, String),
    /// Never answers.
    Hangs,
    /// Sends the caller elsewhere.
    Redirects(String),
}

/// A call that came.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

#[derive(Debug)]
struct Manner {
    /// For the next calls, in turn;
    next: VecDeque<Does>,
    /// for all others.
    always: Does,
    calls: Vec<Call>,
}

/// The server, for as long as this lives.
pub struct Stranger {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    _serving: AbortOnDropHandle<()>,
}

impl Stranger {
    pub async fn who(always: Does) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let manner = Arc::new(Mutex::new(Manner { next: VecDeque::new(), always, calls: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&manner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, manner, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Tells this number as JSON.
    pub async fn telling(value: f64) -> Self {
        Self::who(number(value)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn now(&self, does: Does) {
        self.manner.lock().expect("whole").always = does;
    }

    pub fn next(&self, does: Does) {
        self.manner.lock().expect("whole").next.push_back(does);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.manner.lock().expect("whole").calls.clone()
    }
}

/// Tells this number as JSON.
pub fn number(value: f64) -> Does {
    Does::Says(200, serde_json::json!({"queue": {"length": value}}).to_string())
}

async fn answer(State(manner): State<Arc<Mutex<Manner>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let does = {
        let mut manner = manner.lock().expect("whole");
        let key = headers.get("idempotency-key").map(|key| key.to_str().expect("text").to_owned());
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        manner.calls.push(Call { path: uri.path().to_owned(), key, body });
        manner.next.pop_front().unwrap_or_else(|| manner.always.clone())
    };
    match does {
        Does::Says(status, text) => (StatusCode::from_u16(status).expect("a status"), text).into_response(),
        Does::Hangs => std::future::pending().await,
        Does::Redirects(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
    }
}
