//! What an agent sees, on the wire.
//!
//! Invariant: what a report says fits into a row. Its text is cut when it is written ([`super::MAX_REPORT_TEXT_BYTES`]) and
//! refused when it is longer all the same, so that no agent can fill the database with words.

use fogline_core::id::NodeId;
use fogline_core::observation::{NodeUsage, ReplicaReport, ReplicaUsage, ReportedState};

use super::field::{self, WireError};
use super::generated as wire;

/// What some replicas of one node are doing; sent again until its number is acknowledged.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the struct's doc says it")]
pub struct NodeObservation {
    pub node_id: NodeId,
    pub number: u64,
    pub reports: Vec<ReplicaReport>,
}

/// How busy one node and its replicas are.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the struct's doc says it")]
pub struct NodeLoad {
    pub node_id: NodeId,
    pub usage: NodeUsage,
    pub replicas: Vec<ReplicaUsage>,
}

fn cut(text: Option<&String>) -> String {
    text.map(|text| field::cut(text).to_owned()).unwrap_or_default()
}

impl From<&ReplicaReport> for wire::ReplicaReport {
    fn from(report: &ReplicaReport) -> Self {
        Self {
            replica_id: report.replica_id.to_string(),
            seq: report.seq,
            state: match report.state {
                ReportedState::Starting => wire::ReportedState::Starting,
                ReportedState::Running => wire::ReportedState::Running,
                ReportedState::Stopped => wire::ReportedState::Stopped,
                ReportedState::Failed => wire::ReportedState::Failed,
            }
            .into(),
            ready: report.ready,
            restarts: report.restarts,
            endpoint: cut(report.endpoint.as_ref()),
            container_id: cut(report.container_id.as_ref()),
            image_digest: report.image_digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            exit_code: report.exit_code,
            message: cut(report.message.as_ref()),
        }
    }
}

impl TryFrom<wire::ReplicaReport> for ReplicaReport {
    type Error = WireError;

    fn try_from(report: wire::ReplicaReport) -> Result<Self, WireError> {
        let state = match wire::ReportedState::try_from(report.state) {
            Ok(wire::ReportedState::Starting) => ReportedState::Starting,
            Ok(wire::ReportedState::Running) => ReportedState::Running,
            Ok(wire::ReportedState::Stopped) => ReportedState::Stopped,
            Ok(wire::ReportedState::Failed) => ReportedState::Failed,
            Ok(wire::ReportedState::Unspecified) | Err(_) => {
                return Err(WireError::UnknownValue { field: "report.state", value: report.state });
            }
        };
        Ok(Self {
            replica_id: field::id("report.replica_id", &report.replica_id)?,
            seq: report.seq,
            state,
            ready: report.ready,
            restarts: report.restarts,
            endpoint: field::bounded("report.endpoint", report.endpoint)?,
            container_id: field::bounded("report.container_id", report.container_id)?,
            image_digest: field::digest("report.image_digest", &report.image_digest)?,
            exit_code: report.exit_code,
            message: field::bounded("report.message", report.message)?,
        })
    }
}

impl From<&NodeObservation> for wire::Observation {
    fn from(observation: &NodeObservation) -> Self {
        Self {
            node_id: observation.node_id.to_string(),
            number: observation.number,
            reports: observation.reports.iter().map(wire::ReplicaReport::from).collect(),
        }
    }
}

impl TryFrom<wire::Observation> for NodeObservation {
    type Error = WireError;

    fn try_from(observation: wire::Observation) -> Result<Self, WireError> {
        Ok(Self {
            node_id: field::id("observation.node_id", &observation.node_id)?,
            number: observation.number,
            reports: observation.reports.into_iter().map(ReplicaReport::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&NodeLoad> for wire::NodeUsage {
    fn from(load: &NodeLoad) -> Self {
        Self {
            node_id: load.node_id.to_string(),
            cpu_percent: load.usage.cpu_percent,
            memory_percent: load.usage.memory_percent,
            replicas: load
                .replicas
                .iter()
                .map(|usage| wire::ReplicaUsage {
                    replica_id: usage.replica_id.to_string(),
                    cpu_millis: usage.cpu_millis,
                    memory_mb: usage.memory_mb,
                })
                .collect(),
        }
    }
}

impl TryFrom<wire::NodeUsage> for NodeLoad {
    type Error = WireError;

    fn try_from(load: wire::NodeUsage) -> Result<Self, WireError> {
        let replicas = load.replicas.into_iter().map(|usage| {
            Ok(ReplicaUsage {
                replica_id: field::id("heartbeat.replicas.replica_id", &usage.replica_id)?,
                cpu_millis: usage.cpu_millis,
                memory_mb: usage.memory_mb,
            })
        });
        Ok(Self {
            node_id: field::id("heartbeat.node_id", &load.node_id)?,
            usage: NodeUsage {
                cpu_percent: field::percent("heartbeat.cpu_percent", load.cpu_percent)?,
                memory_percent: field::percent("heartbeat.memory_percent", load.memory_percent)?,
            },
            replicas: replicas.collect::<Result<_, WireError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::{IdSource, ReplicaId};
    use fogline_core::time::Timestamp;

    use super::*;
    use crate::protocol::MAX_REPORT_TEXT_BYTES;

    fn report() -> ReplicaReport {
        ReplicaReport {
            replica_id: IdSource::new(1).next::<ReplicaId>(Timestamp::from_micros(1_000_000)),
            seq: 7,
            state: ReportedState::Running,
            ready: true,
            restarts: 2,
            endpoint: Some("127.0.0.1:20000".to_owned()),
            container_id: Some("42".to_owned()),
            image_digest: format!("sha256:{}", "0a".repeat(32)).parse().ok(),
            exit_code: Some(137),
            message: None,
        }
    }

    #[test]
    fn a_report_comes_back_as_it_was() {
        for state in [ReportedState::Starting, ReportedState::Running, ReportedState::Stopped, ReportedState::Failed] {
            for exit_code in [None, Some(0), Some(137)] {
                let sent = ReplicaReport { state, exit_code, ..report() };
                assert_eq!(ReplicaReport::try_from(wire::ReplicaReport::from(&sent)), Ok(sent));
            }
        }
    }

    #[test]
    fn long_text_is_cut_when_written_and_refused_when_read() {
        let long = ReplicaReport { message: Some("ü".repeat(MAX_REPORT_TEXT_BYTES)), ..report() };
        let sent = wire::ReplicaReport::from(&long);
        assert!(sent.message.len() <= MAX_REPORT_TEXT_BYTES && sent.message.starts_with("üü"));
        assert!(ReplicaReport::try_from(sent).is_ok());
        let forged = wire::ReplicaReport { message: "x".repeat(MAX_REPORT_TEXT_BYTES + 1), ..(&report()).into() };
        assert!(matches!(ReplicaReport::try_from(forged), Err(WireError::OutOfRange { field: "report.message", .. })));
    }

    #[test]
    fn nothing_but_a_digest_is_taken_for_one() {
        assert_eq!(
            ReplicaReport::try_from(wire::ReplicaReport { image_digest: String::new(), ..(&report()).into() })
                .map(|report| report.image_digest),
            Ok(None)
        );
        let digest = report().image_digest.map(|digest| digest.to_string()).expect("set");
        let forged = [
            digest.to_uppercase(),
            digest.replace("sha256", "sha512"),
            format!("{digest}0"),
            format!("{digest}\n"),
            format!("registry.example/other@{digest}"),
            "latest".to_owned(),
            "x".repeat(1_000_000),
        ];
        for image_digest in forged {
            let error = ReplicaReport::try_from(wire::ReplicaReport { image_digest, ..(&report()).into() });
            let Err(error @ WireError::OutOfRange { field: "report.image_digest", .. }) = error else {
                panic!("{error:?}")
            };
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    #[test]
    fn an_unspecified_state_and_a_load_of_nan_are_refused() {
        let unknown = wire::ReplicaReport { state: 0, ..(&report()).into() };
        assert!(matches!(ReplicaReport::try_from(unknown), Err(WireError::UnknownValue { value: 0, .. })));
        for cpu_percent in [f32::NAN, f32::INFINITY, -1.0, 100.5] {
            let load = wire::NodeUsage {
                node_id: report().replica_id.to_string(),
                cpu_percent,
                memory_percent: 1.0,
                replicas: Vec::new(),
            };
            assert!(matches!(NodeLoad::try_from(load), Err(WireError::OutOfRange { .. })), "{cpu_percent}");
        }
    }
}
