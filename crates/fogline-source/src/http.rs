//! One request over HTTP, and an answer of bounded size.
//!
//! Must never follow a redirect, go through a proxy, or unpack anything: an answer is what was sent, at most
//! [`MOST_BYTES`] of it. The caller has the deadline. Invariant: no reason that leaves this file has a URL in it, which
//! may hold a secret. Tests: `tests/it`.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Method, Response};
use tokio::sync::Semaphore;
use url::Url;

use crate::guard::{Guard, Refused, Reply, host_of};

/// The largest answer that is read.
pub(crate) const MOST_BYTES: usize = 1_024 * 1_024;
/// What is read of an answer without asking for room.
const SMALL_BYTES: usize = 64 * 1_024;
/// How many answers may grow beyond that at the same time. The rest wait, and their deadlines run: what thousands of
/// policies read at once stays bounded.
static ROOM: Semaphore = Semaphore::const_new(32);
/// How long a connection is kept for the next question.
const KEEP_IDLE: Duration = Duration::from_secs(90);

/// What is asked, beside where.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    /// Its type and itself.
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
    pub(crate) authorization: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The guard did not let it through.
    pub(crate) refused: bool,
    pub(crate) reason: String,
}

impl Failure {
    fn other(reason: impl Into<String>) -> Self {
        Self { refused: false, reason: reason.into() }
    }
}

/// The way to servers: one client for those in the clear, and one for TLS, made when it is first needed, because it loads
/// the machine's certificates, which some have none of.
pub(crate) struct HttpServer {
    guard: Guard,
    /// Instead of the machine's certificates.
    authorities: Option<Vec<Certificate>>,
    clear: Mutex<Option<Client>>,
    tls: Mutex<Option<Client>>,
}

impl HttpServer {
    pub(crate) fn new(guard: Guard, authorities: Option<Vec<Certificate>>) -> Self {
        Self { guard, authorities, clear: Mutex::new(None), tls: Mutex::new(None) }
    }

    /// Sends it once and reads the whole answer.
    pub(crate) async fn send(&self, url: Url, ask: Ask<'_>) -> Result<Reply, Failure> {
        // The client asks nobody about an address; a name comes back to the guard when it is looked up.
        let host = host_of(&url).ok_or_else(|| Failure::other("the URL names no host"))?;
        let refused = |refused: Refused| Failure { refused: true, reason: refused.to_string() };
        self.guard.check_host(&host).map_err(refused)?;
        let client = self.client(url.scheme() == "https")?;
        let mut request = client.request(ask.method, url).header(ACCEPT, "application/json");
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = ask.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some((kind, body)) = ask.body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        Ok(Reply { status, body: read(response).await? })
    }

    fn client(&self, tls: bool) -> Result<Client, Failure> {
        let place = if tls { &self.tls } else { &self.clear };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*place {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .user_agent(concat!("fogline/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(KEEP_IDLE)
            .dns_resolver(self.guard.clone());
        match (tls, &self.authorities) {
            (false, _) => builder = builder.tls_certs_only([]),
            (true, Some(authorities)) => builder = builder.tls_certs_only(authorities.iter().cloned()),
            (true, None) => {}
        }
        let client = builder.build().map_err(|error| failure(&error))?;
        Ok(place.insert(client).clone())
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("guard", &self.guard).finish_non_exhaustive()
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // Nobody asked for it, and a small one may unpack to anything.
        return Err(Failure::other("the answer is compressed, which was not asked for and is not unpacked"));
    }
    let too_large = || Failure::other(format!("the answer is larger than {} KiB", MOST_BYTES / 1_024));
    if response.content_length().is_some_and(|length| length > MOST_BYTES as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let mut room = None;
    while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
        let size = body.len() + piece.len();
        if size > MOST_BYTES {
            return Err(too_large());
        }
        if size > SMALL_BYTES && room.is_none() {
            room = Some(ROOM.acquire().await.map_err(|error| Failure::other(error.to_string()))?);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The client's words, with what is behind them, and without the URL.
fn failure(error: &reqwest::Error) -> Failure {
    let mut behind = error.source();
    let mut words: Vec<String> = Vec::new();
    while let Some(error) = behind {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            let reason = refused.to_string();
            return Failure { refused: matches!(refused, Refused::Forbidden { .. }), reason };
        }
        let text = error.to_string();
        if words.last().is_none_or(|last| *last != text) {
            words.push(text);
        }
        behind = error.source();
    }
    let what = if error.is_connect() {
        "cannot connect"
    } else if error.is_builder() {
        "cannot make the request"
    } else {
        "the connection broke off"
    };
    // The layers of the client repeat each other; the innermost says what happened.
    Failure::other(words.last().map_or_else(|| what.to_owned(), |last| format!("{what}: {last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_checked_at_the_moment_of_calling_too() {
        let server = HttpServer::new(Guard::new(false), None);
        for url in ["http://127.0.0.1:1/", "https://[::1]:1/", "http://169.254.169.254/"] {
            let ask = Ask { method: Method::GET, headers: &[], body: None, authorization: None };
            let failure = server.send(Url::parse(url).expect("a URL"), ask).await.expect_err(url);
            assert!(failure.refused && failure.reason.contains("may not be called"), "{failure:?}");
        }
    }
}
