//! The proxy protocol, in core's words.
//!
//! As strict as the agents': see [`super`]. Parts of specs cross as JSON, because they are read by the one code that reads
//! specs. Tests: below.

#[expect(missing_docs, clippy::all, clippy::allow_attributes, reason = "generated")]
mod generated {
    tonic::include_proto!("fogline.proxy.v1");
}

mod parts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::id::DeploymentId;
use fogline_core::traffic::{
    LATENCY_BOUNDS_MS, ReplicaTraffic, Service, ServiceTraffic, TrafficReport, Upstream, UpstreamState,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field::{self, WireError};
use generated as wire;
use wire::{proxy_message, server_message};

pub use generated::{ProxyMessage, ServerMessage, proxy_service_client, proxy_service_server};

/// What a proxy says.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in proxy.proto")]
pub enum FromProxy {
    Hello(Greeting),
    Report(TrafficReport),
    Wake { deployment_id: DeploymentId, held: u32 },
}

/// What a server says.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in proxy.proto")]
pub enum FromServer {
    Welcome { cluster_id: String, epoch: u64 },
    NotLeader { leader: Option<String> },
    Routes(RoutesUpdate),
    WakeRefused { deployment_id: DeploymentId, reason: String, retry_after: Duration },
}

/// The content of `Hello`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Version of the proxy's program.
    pub version: String,
    /// The cluster that it belongs to; nothing before its first attach.
    pub cluster_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it takes HTTP.
    pub http: Vec<String>,
    /// Where it takes HTTPS.
    pub https: Vec<String>,
}

/// The content of `Routes`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RoutesUpdate {
    /// Whether what is not in here is gone.
    pub whole: bool,
    /// New ones, and those that are other than before.
    pub services: Vec<Service>,
    /// Those without a route now.
    pub removed: Vec<DeploymentId>,
    /// Whether the next update is a further part of this one: nothing of it counts before the last part is there. Of
    /// several parts the first says whether they are the whole.
    pub more: bool,
}

impl From<&FromProxy> for wire::ProxyMessage {
    fn from(message: &FromProxy) -> Self {
        let message = match message {
            FromProxy::Hello(greeting) => proxy_message::Message::Hello(wire::Hello {
                version: greeting.version.clone(),
                cluster_id: greeting.cluster_id.clone().unwrap_or_default(),
                name: greeting.name.clone(),
                http: greeting.http.clone(),
                https: greeting.https.clone(),
            }),
            FromProxy::Report(report) => proxy_message::Message::Report(wire::Report {
                services: report.services.iter().map(wire::ServiceTraffic::from).collect(),
                let_go: report.let_go.iter().map(ToString::to_string).collect(),
            }),
            FromProxy::Wake { deployment_id, held } => {
                proxy_message::Message::Wake(wire::Wake { deployment_id: deployment_id.to_string(), held: *held })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::ProxyMessage> for FromProxy {
    type Error = WireError;

    fn try_from(message: wire::ProxyMessage) -> Result<Self, WireError> {
        match message.message.ok_or(WireError::UnknownMessage)? {
            proxy_message::Message::Hello(hello) => Ok(Self::Hello(Greeting {
                version: hello.version,
                cluster_id: field::optional(hello.cluster_id),
                name: field::filled("hello.name", hello.name)?,
                http: hello.http,
                https: hello.https,
            })),
            proxy_message::Message::Report(report) => {
                let services = report.services.into_iter().map(ServiceTraffic::try_from);
                let let_go = report.let_go.iter().map(|id| field::id("report.let_go", id));
                Ok(Self::Report(TrafficReport {
                    services: services.collect::<Result<_, _>>()?,
                    let_go: let_go.collect::<Result<_, _>>()?,
                }))
            }
            proxy_message::Message::Wake(wake) => {
                Ok(Self::Wake { deployment_id: field::id("wake.deployment_id", &wake.deployment_id)?, held: wake.held })
            }
        }
    }
}

impl From<&FromServer> for wire::ServerMessage {
    fn from(message: &FromServer) -> Self {
        let message = match message {
            FromServer::Welcome { cluster_id, epoch } => {
                server_message::Message::Welcome(wire::Welcome { cluster_id: cluster_id.clone(), epoch: *epoch })
            }
            FromServer::NotLeader { leader } => {
                server_message::Message::NotLeader(wire::NotLeader { leader: leader.clone().unwrap_or_default() })
            }
            FromServer::Routes(update) => server_message::Message::Routes(wire::Routes {
                whole: update.whole,
                services: update.services.iter().map(wire::Service::from).collect(),
                removed: update.removed.iter().map(ToString::to_string).collect(),
                more: update.more,
            }),
            FromServer::WakeRefused { deployment_id, reason, retry_after } => {
                server_message::Message::WakeRefused(wire::WakeRefused {
                    deployment_id: deployment_id.to_string(),
                    reason: field::cut(reason).to_owned(),
                    retry_after_s: u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX),
                })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::ServerMessage> for FromServer {
    type Error = WireError;

    fn try_from(message: wire::ServerMessage) -> Result<Self, WireError> {
        match message.message.ok_or(WireError::UnknownMessage)? {
            server_message::Message::Welcome(welcome) => Ok(Self::Welcome {
                cluster_id: field::filled("welcome.cluster_id", welcome.cluster_id)?,
                epoch: welcome.epoch,
            }),
            server_message::Message::NotLeader(other) => Ok(Self::NotLeader { leader: field::optional(other.leader) }),
            server_message::Message::Routes(routes) => {
                let mut seen = BTreeSet::new();
                let mut services = Vec::with_capacity(routes.services.len());
                for service in routes.services {
                    let service = Service::try_from(service)?;
                    if !seen.insert(service.deployment_id) {
                        let value = service.deployment_id.to_string();
                        return Err(WireError::Twice { field: "routes.services", value });
                    }
                    services.push(service);
                }
                let removed = routes.removed.iter().map(|id| field::id("routes.removed", id));
                let removed = removed.collect::<Result<_, _>>()?;
                Ok(Self::Routes(RoutesUpdate { whole: routes.whole, services, removed, more: routes.more }))
            }
            server_message::Message::WakeRefused(refused) => Ok(Self::WakeRefused {
                deployment_id: field::id("wake_refused.deployment_id", &refused.deployment_id)?,
                reason: refused.reason,
                retry_after: Duration::from_secs(refused.retry_after_s.into()),
            }),
        }
    }
}

impl From<&Service> for wire::Service {
    fn from(service: &Service) -> Self {
        Self {
            deployment_id: service.deployment_id.to_string(),
            name: service.name.to_string(),
            owner: service.owner.to_string(),
            routes_json: json(&*service.routes),
            traffic_json: json(&*service.traffic),
            readiness_json: service.readiness.as_ref().map(json).unwrap_or_default(),
            asleep: service.asleep,
            serving: service.serving,
            trouble: field::cut(service.trouble.as_deref().unwrap_or_default()).to_owned(),
            upstreams: service.upstreams.iter().map(wire::Upstream::from).collect(),
        }
    }
}

impl TryFrom<wire::Service> for Service {
    type Error = WireError;

    fn try_from(service: wire::Service) -> Result<Self, WireError> {
        let upstreams = service.upstreams.into_iter().map(Upstream::try_from);
        let readiness = field::optional(service.readiness_json);
        Ok(Self {
            deployment_id: field::id("service.deployment_id", &service.deployment_id)?,
            name: field::filled("service.name", service.name)?.into(),
            owner: field::id("service.owner", &service.owner)?,
            routes: parsed::<Vec<_>>("service.routes_json", &service.routes_json)?.into(),
            traffic: Arc::new(parsed("service.traffic_json", &service.traffic_json)?),
            readiness: readiness.map(|text| parsed("service.readiness_json", &text)).transpose()?,
            asleep: service.asleep,
            serving: service.serving,
            trouble: field::optional(service.trouble).map(Into::into),
            upstreams: upstreams.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Upstream> for wire::Upstream {
    fn from(upstream: &Upstream) -> Self {
        let state = match upstream.state {
            UpstreamState::Ready => wire::UpstreamState::Ready,
            UpstreamState::Starting => wire::UpstreamState::Starting,
            UpstreamState::Leaving => wire::UpstreamState::Leaving,
        };
        Self {
            replica_id: upstream.replica_id.to_string(),
            endpoint: upstream.endpoint.to_string(),
            state: state.into(),
        }
    }
}

impl TryFrom<wire::Upstream> for Upstream {
    type Error = WireError;

    fn try_from(upstream: wire::Upstream) -> Result<Self, WireError> {
        let state = match wire::UpstreamState::try_from(upstream.state) {
            Ok(wire::UpstreamState::Ready) => UpstreamState::Ready,
            Ok(wire::UpstreamState::Starting) => UpstreamState::Starting,
            Ok(wire::UpstreamState::Leaving) => UpstreamState::Leaving,
            Ok(wire::UpstreamState::Unspecified) | Err(_) => {
                return Err(WireError::UnknownValue { field: "upstream.state", value: upstream.state });
            }
        };
        Ok(Self {
            replica_id: field::id("upstream.replica_id", &upstream.replica_id)?,
            endpoint: field::filled("upstream.endpoint", upstream.endpoint)?.into(),
            state,
        })
    }
}

impl From<&ServiceTraffic> for wire::ServiceTraffic {
    fn from(traffic: &ServiceTraffic) -> Self {
        Self {
            deployment_id: traffic.deployment_id.to_string(),
            begun: traffic.begun,
            ended: traffic.ended,
            failed: traffic.failed,
            refused: traffic.refused,
            open: traffic.open,
            held: traffic.held,
            quiet_ms: u64::try_from(traffic.quiet.as_millis()).unwrap_or(u64::MAX),
            latency: traffic.latency.to_vec(),
            latency_sum_us: micros(traffic.latency_sum),
            cold_starts: traffic.cold_starts.to_vec(),
            cold_start_sum_us: micros(traffic.cold_start_sum),
            replicas: traffic.replicas.iter().map(wire::ReplicaTraffic::from).collect(),
        }
    }
}

impl TryFrom<wire::ServiceTraffic> for ServiceTraffic {
    type Error = WireError;

    fn try_from(traffic: wire::ServiceTraffic) -> Result<Self, WireError> {
        let replicas = traffic.replicas.into_iter().map(ReplicaTraffic::try_from);
        Ok(Self {
            deployment_id: field::id("traffic.deployment_id", &traffic.deployment_id)?,
            begun: traffic.begun,
            ended: traffic.ended,
            failed: traffic.failed,
            refused: traffic.refused,
            open: traffic.open,
            held: traffic.held,
            quiet: Duration::from_millis(traffic.quiet_ms),
            latency: buckets("traffic.latency", traffic.latency)?,
            latency_sum: Duration::from_micros(traffic.latency_sum_us),
            cold_starts: buckets("traffic.cold_starts", traffic.cold_starts)?,
            cold_start_sum: Duration::from_micros(traffic.cold_start_sum_us),
            replicas: replicas.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ReplicaTraffic> for wire::ReplicaTraffic {
    fn from(traffic: &ReplicaTraffic) -> Self {
        Self {
            replica_id: traffic.replica_id.to_string(),
            ended: traffic.ended,
            failed: traffic.failed,
            open: traffic.open,
            latency_sum_us: micros(traffic.latency_sum),
            ejected: traffic.ejected,
        }
    }
}

impl TryFrom<wire::ReplicaTraffic> for ReplicaTraffic {
    type Error = WireError;

    fn try_from(traffic: wire::ReplicaTraffic) -> Result<Self, WireError> {
        Ok(Self {
            replica_id: field::id("traffic.replica_id", &traffic.replica_id)?,
            ended: traffic.ended,
            failed: traffic.failed,
            open: traffic.open,
            latency_sum: Duration::from_micros(traffic.latency_sum_us),
            ejected: traffic.ejected,
        })
    }
}

const BUCKETS: usize = LATENCY_BOUNDS_MS.len() + 1;

fn buckets(field: &'static str, counts: Vec<u64>) -> Result<[u64; BUCKETS], WireError> {
    counts.try_into().map_err(|counts: Vec<u64>| {
        let value = format!("{} counts", counts.len());
        WireError::OutOfRange { field, value, accepted: "as many as there are buckets" }
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("parts of specs have only text for keys")
}

fn parsed<T: DeserializeOwned>(field: &'static str, text: &str) -> Result<T, WireError> {
    serde_json::from_str(text).map_err(|error| WireError::BadSpec { field, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::spec::{HealthSpec, HoldSpec, RouteSpec, TrafficSpec};
    use fogline_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_a_server_says_arrives_as_it_was_said() {
        let mut ids = IdSource::new(1);
        let service = Service {
            deployment_id: ids.next(Timestamp::EPOCH),
            name: "web".into(),
            owner: ids.next(Timestamp::EPOCH),
            routes: [RouteSpec { host: Some("*.example.com".to_owned()), ..RouteSpec::default() }].into(),
            traffic: Arc::new(TrafficSpec {
                hold: HoldSpec { timeout_s: 7, ..HoldSpec::default() },
                ..Default::default()
            }),
            readiness: Some(HealthSpec::default()),
            asleep: true,
            serving: true,
            trouble: Some("no room".into()),
            upstreams: vec![Upstream {
                replica_id: ids.next(Timestamp::EPOCH),
                endpoint: "127.0.0.1:20000".into(),
                state: UpstreamState::Leaving,
            }],
        };
        let removed = vec![ids.next(Timestamp::EPOCH)];
        for said in [
            FromServer::Welcome { cluster_id: "c".to_owned(), epoch: 3 },
            FromServer::NotLeader { leader: None },
            FromServer::Routes(RoutesUpdate { whole: false, services: vec![service], removed, more: true }),
            FromServer::WakeRefused {
                deployment_id: ids.next(Timestamp::EPOCH),
                reason: "too often".to_owned(),
                retry_after: Duration::from_secs(30),
            },
        ] {
            assert_eq!(FromServer::try_from(wire::ServerMessage::from(&said)), Ok(said));
        }
    }

    #[test]
    fn what_a_proxy_says_arrives_as_it_was_said() {
        let mut ids = IdSource::new(1);
        let traffic = ServiceTraffic {
            deployment_id: ids.next(Timestamp::EPOCH),
            begun: 9,
            ended: 8,
            failed: 1,
            refused: 1,
            open: 1,
            held: 0,
            quiet: Duration::from_millis(5),
            latency: [1; BUCKETS],
            latency_sum: Duration::from_micros(77),
            cold_starts: [0; BUCKETS],
            cold_start_sum: Duration::ZERO,
            replicas: vec![ReplicaTraffic {
                replica_id: ids.next(Timestamp::EPOCH),
                ended: 8,
                failed: 1,
                open: 1,
                latency_sum: Duration::from_micros(77),
                ejected: true,
            }],
        };
        let let_go = vec![ids.next(Timestamp::EPOCH)];
        for said in [
            FromProxy::Hello(Greeting {
                version: "1".to_owned(),
                cluster_id: None,
                name: "edge".to_owned(),
                http: vec!["127.0.0.1:8080".to_owned()],
                https: Vec::new(),
            }),
            FromProxy::Report(TrafficReport { services: vec![traffic], let_go }),
            FromProxy::Wake { deployment_id: ids.next(Timestamp::EPOCH), held: 2 },
        ] {
            assert_eq!(FromProxy::try_from(wire::ProxyMessage::from(&said)), Ok(said));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let service = wire::Service { deployment_id: "x".to_owned(), ..Default::default() };
        let routes = wire::Routes { services: vec![service], ..Default::default() };
        let message = wire::ServerMessage { message: Some(server_message::Message::Routes(routes)) };
        assert!(matches!(FromServer::try_from(message), Err(WireError::BadId { field: "service.deployment_id", .. })));
        let traffic = wire::ServiceTraffic {
            deployment_id: IdSource::new(1).next::<DeploymentId>(Timestamp::EPOCH).to_string(),
            ..Default::default()
        };
        let report = wire::Report { services: vec![traffic], let_go: Vec::new() };
        let message = wire::ProxyMessage { message: Some(proxy_message::Message::Report(report)) };
        assert!(matches!(FromProxy::try_from(message), Err(WireError::OutOfRange { field: "traffic.latency", .. })));
    }
}
