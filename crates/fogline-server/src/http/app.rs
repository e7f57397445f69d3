//! What every handler is given: the server's shared handles, and what only HTTP needs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fogline_api::http::ProblemKind;
use fogline_core::id::NodeId;
use fogline_store::StoreError;
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::extract::Fingerprints;
use super::forward::{self, PassOn};
use super::limits::Limits;
use super::problem::{ApiError, ApiResult};
use super::pushes::Pushes;
use super::refusals::Refusals;
use super::turns::Turns;
use crate::auth::{AccessTokens, Passwords, Peers, Throttle};
use crate::leadership::Term;
use crate::scaling::Scaler;
use crate::state::Shared;

/// Requests that are being answered at once; what comes beyond is told to come back.
pub const MAX_IN_FLIGHT: usize = 4_096;

/// Explanations that are made at once. The writer makes them, between two batches, and each takes a look at every node.
pub const MAX_EXPLAINING: usize = 4;

/// Proxies between here and a watcher end what is silent for longer than a minute or so.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Names that are kept; a cluster has fewer nodes.
const MAX_NODE_NAMES: usize = 50_000;

/// The state of the routes.
pub type App = Arc<Http>;

/// What handlers need.
pub struct Http {
    /// The server's own.
    pub shared: Arc<Shared>,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Makes and checks access tokens.
    pub tokens: AccessTokens,
    /// Slows down who guesses passwords.
    pub throttle: Throttle,
    /// Slows down who asks too often.
    pub limits: Limits,
    /// Slows down who is refused too often.
    pub refusals: Refusals,
    /// Tells a repeated request from another one.
    pub fingerprints: Fingerprints,
    /// Places for explanations.
    pub explaining: Semaphore,
    /// Slows down who pushes too many samples.
    pub pushes: Pushes,
    /// Places for backtests: each keeps a core busy and a series in memory.
    pub backtests: Turns,
    /// Places for drafts of policies that are tried, which ask sources.
    pub drafts: Turns,
    /// Places for summaries: each reads some thousand points.
    pub summaries: Turns,
    /// Places for those who watch changes.
    pub watchers: Turns,
    /// How often they get a sign of life, and their logins are looked at again.
    pub(crate) heartbeat: Duration,
    /// Places for requests.
    pub in_flight: Arc<Semaphore>,
    /// Shows other servers whose request it is that this one passes on.
    pub peers: Peers,
    /// Connections to the leader, where this server is none.
    pub(super) pass_on: PassOn,
    node_names: RwLock<HashMap<NodeId, Arc<str>>>,
}

impl Http {
    /// With empty counters.
    ///
    /// # Panics
    /// When there is no memory to hash one password, as then no login could ever work.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let fingerprints = Fingerprints::new(shared.jwt_key.expose_secret());
        let peers = Peers::new(shared.jwt_key.expose_secret());
        let tokens = AccessTokens::new(shared.jwt_key.expose_secret(), shared.config.access_token_ttl);
        Self {
            shared,
            passwords: Passwords::new().expect("memory for one hash"),
            tokens,
            throttle: Throttle::default(),
            limits: Limits::default(),
            refusals: Refusals::default(),
            fingerprints,
            explaining: Semaphore::new(MAX_EXPLAINING),
            pushes: Pushes::default(),
            backtests: Turns::new("backtests", 2, 1),
            drafts: Turns::new("evaluations of drafts", 16, 1),
            summaries: Turns::new("summaries", 8, 4),
            watchers: Turns::new("watches", 512, 32),
            heartbeat: HEARTBEAT,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            peers,
            pass_on: forward::connections(),
            node_names: RwLock::default(),
        }
    }

    /// A place to have the writer explain a placement.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn place_to_explain(&self) -> ApiResult<SemaphorePermit<'_>> {
        self.explaining.try_acquire().map_err(|_| {
            let detail = "the server explains as many placements as it takes on at once: try again in a second";
            ApiError::new(ProblemKind::Busy, detail).retry_after_s(1)
        })
    }

    /// The present term.
    ///
    /// # Errors
    /// 503 where this server does not lead.
    pub(crate) fn term(&self) -> ApiResult<Arc<Term>> {
        self.shared.leadership.term().ok_or_else(|| self.shared.leadership.absence().into())
    }

    /// The scaling engine.
    ///
    /// # Errors
    /// 503 where this server does not lead, and so has none.
    pub(crate) fn scaler(&self) -> ApiResult<Arc<Scaler>> {
        Ok(Arc::clone(&self.term()?.scaler))
    }

    /// A node's name. A node keeps the name that it was declared with, so it is read once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn node_name(&self, id: NodeId) -> Result<Option<Arc<str>>, StoreError> {
        let known = self.node_names.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(node) = self.shared.store.node(id).await? else { return Ok(None) };
        let name: Arc<str> = node.name.into();
        let mut names = self.node_names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MAX_NODE_NAMES {
            names.clear();
        }
        names.insert(id, name.clone());
        Ok(Some(name))
    }
}
