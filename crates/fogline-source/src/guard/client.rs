//! Calls to addresses that users chose, such as the webhook that carries a scaling out.
//!
//! Must never send a credential: there is none that such an address should see.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::Guard;
use crate::http::{Ask, HttpServer};

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status of HTTP; a redirect is not followed and shows here.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether the status is one of 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why nothing came back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The URL may not be called; it will not be later either.
    #[error("{0}")]
    Refused(String),
    /// The other side was not reached, or broke off.
    #[error("{0}")]
    Failed(String),
    /// It was silent for too long, or too slow. What was sent may have arrived.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// An HTTP client that calls only what its [`Guard`] lets through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    guard: Guard,
    server: Arc<HttpServer>,
}

impl GuardedClient {
    /// One that goes by this guard.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        let server = Arc::new(HttpServer::new(guard.clone(), None));
        Self { guard, server }
    }

    /// Sends JSON by POST, once, with further headers, and reads the answer, all within `deadline`.
    ///
    /// # Errors
    /// See [`CallError`]. A status that is no success is an answer, not an error.
    pub async fn post_json(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let refused = |reason: String| CallError::Refused(format!("the URL {reason}"));
        let url = self.guard.check_url(url, &["http", "https"]).map_err(refused)?;
        let body = Some(("application/json", body));
        let ask = Ask { method: Method::POST, headers, body, authorization: None };
        match timeout(deadline, self.server.send(url, ask)).await {
            Ok(answer) => answer.map_err(|failure| match failure.refused {
                true => CallError::Refused(failure.reason),
                false => CallError::Failed(failure.reason),
            }),
            Err(_) => Err(CallError::Late(deadline)),
        }
    }
}
