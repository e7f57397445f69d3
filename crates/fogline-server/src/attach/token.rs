//! Who may attach: whoever shows the token of this cluster's agents.
//!
//! Invariant: nobody is heard who has not, and it is compared in constant time.

use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// A digest of the token. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Token {
    digest: Arc<[u8; 32]>,
}

impl Token {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self { digest: Arc::new(Sha256::digest(token.expose_secret().as_bytes()).into()) }
    }

    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // Digests, so that neither length nor content of the token can be felt out by time.
        let difference = shown.iter().zip(*self.digest).fold(0, |bits, (a, b)| bits | (a ^ b));
        std::hint::black_box(difference) == 0
    }

    /// In front of a service for these callers.
    pub(super) fn guarding(&self, whom: &'static str) -> Guarded {
        Guarded { token: self.clone(), whom }
    }
}

/// Lets nobody by without the token.
#[derive(Clone)]
pub(crate) struct Guarded {
    token: Token,
    whom: &'static str,
}

impl Interceptor for Guarded {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if self.token.is(shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()) {
            return Ok(request);
        }
        let remote = request.remote_addr().as_ref().map(SocketAddr::to_string);
        tracing::warn!(remote, "{} was refused: it has not shown the agents' token", self.whom);
        Err(Status::unauthenticated(format!(
            "the agent token is missing or wrong: give {} the token file of this server (agent.token in its data \
             directory)",
            self.whom
        )))
    }
}
