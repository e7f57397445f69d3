//! Sends one call and reads its answer; sends it again where that is safe and asked for.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CALL_TIMEOUT, Client, ClientError};
use crate::http::Problem;

/// How often a call is sent at most.
const MOST_ATTEMPTS: u32 = 4;
/// The longest pause between two of them, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How much of an answer that is not understood is shown.
const EXCERPT_CHARS: usize = 200;
/// The largest answer that is read.
const MOST_BYTES: usize = 64 * 1_024 * 1_024;

/// A call that was prepared and not sent yet.
#[derive(Debug)]
pub(super) struct Call {
    client: Client,
    method: Method,
    url: Url,
    /// JSON, made only once however often it is sent.
    body: Option<Vec<u8>>,
}

impl Client {
    pub(super) fn get(&self, path: &[&str]) -> Call {
        self.call(Method::GET, path)
    }

    pub(super) fn post(&self, path: &[&str]) -> Call {
        self.call(Method::POST, path)
    }

    /// A call of `path`, whose segments are escaped, so that no name can lead elsewhere.
    pub(super) fn call(&self, method: Method, path: &[&str]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Call { client: self.clone(), method, url, body: None }
    }
}

impl Call {
    pub(super) fn body<T: Serialize>(mut self, body: &T) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("wire types have text keys and cannot fail to serialise"));
        self
    }

    /// Adds one parameter to the address, where there is a value.
    pub(super) fn query<V: ToString>(mut self, name: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    /// The answer, parsed.
    pub(super) async fn answer<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.answer_within(CALL_TIMEOUT).await
    }

    /// The answer, parsed, for which the server may take so long.
    pub(super) async fn answer_within<T: DeserializeOwned>(self, timeout: Duration) -> Result<T, ClientError> {
        let server = self.client.server().to_owned();
        let (status, body) = self.send(Some(timeout)).await?.whole().await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Unexpected {
            server,
            status: status.as_u16(),
            excerpt: format!("{} ({error})", excerpt(&body)),
        })
    }

    /// Only that it was accepted.
    pub(super) async fn nothing(self) -> Result<(), ClientError> {
        self.send(Some(CALL_TIMEOUT)).await?.whole().await.map(drop)
    }

    /// The answer as it arrives; no time limit.
    pub(super) async fn stream(self) -> Result<Response, ClientError> {
        Ok(self.send(None).await?.response)
    }

    async fn send(self, timeout: Option<Duration>) -> Result<Accepted, ClientError> {
        let repeatable = self.method.is_safe() || self.client.idempotency_key.is_some();
        let mut attempt = 1;
        loop {
            let error = match self.attempt(timeout).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            let no_use = matches!(error, ClientError::Unreachable { .. }) || !error.is_passing();
            if attempt == MOST_ATTEMPTS || !repeatable || no_use {
                return Err(error);
            }
            let asked = match &error {
                ClientError::Problem(problem) => problem.retry_after_s.map(Duration::from_secs),
                _ => None,
            };
            let doubling = Duration::from_millis(100 << attempt);
            tokio::time::sleep(asked.unwrap_or(doubling).min(LONGEST_PAUSE)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, timeout: Option<Duration>) -> Result<Accepted, ClientError> {
        let Client { http, token, idempotency_key, .. } = &self.client;
        let mut request = http.request(self.method.clone(), self.url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let (Some(key), false) = (idempotency_key, self.method.is_safe()) {
            request = request.header("Idempotency-Key", &**key);
        }
        if let Some(body) = &self.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let server = self.client.server().to_owned();
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(Accepted { response, server }),
            Ok(response) => Err(Accepted { response, server }.refusal().await),
            Err(source) if source.is_connect() => Err(ClientError::Unreachable { server, source }),
            Err(source) if source.is_builder() => Err(ClientError::Setup { source }),
            Err(source) => Err(ClientError::Interrupted { server, source }),
        }
    }
}

/// An answer whose status has come.
struct Accepted {
    response: Response,
    server: String,
}

impl Accepted {
    async fn whole(mut self) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let status = self.response.status();
        let mut body = Vec::new();
        loop {
            match self.response.chunk().await {
                Ok(None) => return Ok((status, body)),
                Ok(Some(piece)) if body.len() + piece.len() <= MOST_BYTES => body.extend_from_slice(&piece),
                Ok(Some(_)) => {
                    return Err(ClientError::Unexpected {
                        server: self.server,
                        status: status.as_u16(),
                        excerpt: format!("more than {MOST_BYTES} bytes"),
                    });
                }
                Err(source) => return Err(ClientError::Interrupted { server: self.server, source }),
            }
        }
    }

    async fn refusal(self) -> ClientError {
        let server = self.server.clone();
        match self.whole().await {
            Err(error) => error,
            Ok((status, body)) => match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(_) => ClientError::Unexpected { server, status: status.as_u16(), excerpt: excerpt(&body) },
            },
        }
    }
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut shown: String = text.trim().chars().take(EXCERPT_CHARS).collect();
    if shown.is_empty() {
        shown.push_str("an empty body");
    } else if text.trim().chars().count() > EXCERPT_CHARS {
        shown.push('…');
    }
    shown
}
