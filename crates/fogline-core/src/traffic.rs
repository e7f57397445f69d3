//! What proxies are told and what they tell: the only source of what requests there are.
//!
//! Invariant: all of it is a level, not an event. A report that is heard twice or late changes nothing more; counters only
//! grow while one session of a proxy lasts. Times are told as ages, because clocks of machines differ.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{DeploymentId, ReplicaId, UserId};
use crate::spec::{HealthSpec, RouteSpec, TrafficSpec};

/// How a replica stands to requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamState {
    /// It takes requests.
    Ready,
    /// It has been started and not been seen ready. A proxy that has requests waiting may find out by itself, by the
    /// service's `readiness`, and give it requests as soon as it passes.
    Starting,
    /// It is to be stopped as soon as every proxy has let go of it: it gets nothing new, what is open may finish.
    Leaving,
}

/// A replica that requests can be sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in ReplicaRecord")]
pub struct Upstream {
    pub replica_id: ReplicaId,
    /// `address:port`.
    pub endpoint: Arc<str>,
    pub state: UpstreamState,
}

/// A deployment as a proxy needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Which.
    pub deployment_id: DeploymentId,
    /// Its name, for logs and answers to its own user.
    pub name: Arc<str>,
    /// Whose it is: budgets are shared by a user's deployments.
    pub owner: UserId,
    /// Its ways in.
    pub routes: Arc<[RouteSpec]>,
    /// How requests are treated.
    pub traffic: Arc<TrafficSpec>,
    /// How a starting replica shows that it can take requests; nothing where only its agent can tell, because there is a
    /// warm-up to pass.
    pub readiness: Option<HealthSpec>,
    /// Whether it has been asked for no replica: requests wait, and wake it.
    pub asleep: bool,
    /// Whether it may serve at all: one that is stopped or failed refuses at once.
    pub serving: bool,
    /// Why replicas do not come up, where they do not: one of the words of [`crate::trouble::Trouble`].
    pub trouble: Option<Arc<str>>,
    /// Its replicas that have an endpoint.
    pub upstreams: Vec<Upstream>,
}

/// What one proxy has seen of one deployment's requests, since its session with a deployment began.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceTraffic {
    /// Which.
    pub deployment_id: DeploymentId,
    /// Requests that have come in. What is not counted (probes, scrapes) is in none of these.
    pub begun: u64,
    /// Requests that have ended, however.
    pub ended: u64,
    /// Of those, answered with 500 to 599, by a replica or by the proxy in its place.
    pub failed: u64,
    /// Of those, refused by the proxy: no room to wait, waited too long.
    pub refused: u64,
    /// Requests that are with a replica now.
    pub open: u32,
    /// Requests that wait for a replica now.
    pub held: u32,
    /// How long ago the last request was in hand; zero while one is.
    pub quiet: Duration,
    /// From the first byte of a request to the last of its answer, how many took at most [`LATENCY_BOUNDS_MS`] each, not
    /// cumulated; one more for all that took longer.
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// The sum of these times.
    pub latency_sum: Duration,
    /// How long requests were held that met a deployment at zero and were answered, in the same buckets.
    pub cold_starts: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// The sum of these times.
    pub cold_start_sum: Duration,
    /// The same by replica. Those that have had no request are left out.
    pub replicas: Vec<ReplicaTraffic>,
}

impl ServiceTraffic {
    /// The part of it that decides anything.
    #[must_use]
    pub const fn signal(&self) -> ServiceSignal {
        let Self { deployment_id, begun, open, held, quiet, .. } = *self;
        ServiceSignal { deployment_id, begun, open, held, quiet }
    }
}

/// What the deciding part needs of a deployment's traffic through one proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in ServiceTraffic")]
pub struct ServiceSignal {
    pub deployment_id: DeploymentId,
    pub begun: u64,
    pub open: u32,
    pub held: u32,
    pub quiet: Duration,
}

/// The part of one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in ServiceTraffic")]
pub struct ReplicaTraffic {
    pub replica_id: ReplicaId,
    pub ended: u64,
    pub failed: u64,
    pub open: u32,
    pub latency_sum: Duration,
    /// Whether the proxy gives it nothing for a while, because it failed too often.
    pub ejected: bool,
}

/// Upper bounds of latency buckets, milliseconds.
pub const LATENCY_BOUNDS_MS: [u32; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// What one proxy tells, at least every second and at once when it has let go of a replica.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TrafficReport {
    /// Deployments of which something is another than last told; all of them in the first report of a session.
    pub services: Vec<ServiceTraffic>,
    /// All leaving replicas of the present table that it sends nothing to and has nothing open with.
    pub let_go: Vec<ReplicaId>,
}
