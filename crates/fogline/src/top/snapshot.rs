//! What is known at a moment: all deployments with their load, and of one of them replicas and decisions.
//!
//! Must never fail for what is only missing: without a proxy there is no load, and a deployment may be deleted between
//! two calls.

use fogline_api::client::{ClientError, DeploymentQuery};
use fogline_api::http::{DecisionResponse, DeploymentSummary, MetricsResponse, ReplicaResponse};
use fogline_core::id::DeploymentId;
use fogline_core::scaling::sample::builtin;
use fogline_core::state::DeploymentStatus;
use fogline_core::time::Timestamp;
use serde::Serialize;
use tokio::task::{JoinError, JoinSet};

use super::column::Column;
use super::draw::DECISIONS;
use crate::env;
use crate::exit::Outcome;
use crate::session::Session;

/// Calls that are under way at the same time.
const AT_ONCE: usize = 8;

/// All of it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// By the clock of this machine.
    pub at: Timestamp,
    /// A deployment each.
    pub rows: Vec<Row>,
    /// Of the selected one.
    pub(super) details: Option<Details>,
}

/// A deployment and its load. What nobody has measured is left out.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub id: DeploymentId,
    /// Its name, as the server says it.
    pub name: String,
    /// What has become of it.
    pub status: DeploymentStatus,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas that were asked for.
    pub target: u32,
    /// Requests a second.
    pub requests_per_s: Option<f64>,
    /// Requests that are in hand, with a replica or waiting for one, on the mean.
    pub open: Option<f64>,
    /// Within how many milliseconds 95 of 100 requests are answered.
    pub p95_ms: Option<f64>,
    /// Of 100 requests, how many fail.
    pub error_percent: Option<f64>,
    /// Processor use, percent of what replicas reserve.
    pub cpu_percent: Option<f64>,
}

/// What is shown of one deployment alone.
#[derive(Clone, Debug)]
pub(super) struct Details {
    /// Which.
    pub deployment_id: DeploymentId,
    /// Those that are there.
    pub replicas: Vec<ReplicaResponse>,
    /// The newest first.
    pub decisions: Vec<DecisionResponse>,
}

impl Snapshot {
    /// Asks the server, for the load of at most `most` deployments and the details of `chosen`.
    ///
    /// # Errors
    /// When it cannot be reached, or the login has ended.
    pub async fn take(session: &Session, chosen: Option<DeploymentId>, most: usize) -> Outcome<Self> {
        let client = session.client().await?;
        let deployments = client.all_deployments(DeploymentQuery::default()).await?;
        let mut rows: Vec<Row> = deployments.into_iter().map(Row::from).collect();
        for route in client.routes().await? {
            if let Some(row) = rows.iter_mut().find(|row| row.id == route.deployment_id) {
                row.requests_per_s = route.request_rate;
            }
        }
        // Of many, the busiest.
        rows.sort_by(|one, other| Column::Requests.order(one, other));
        let mut asked = JoinSet::new();
        for index in 0..rows.len().min(most) {
            let (client, id) = (client.clone(), rows[index].id);
            asked.spawn(async move { (index, client.metrics(id).await) });
            if asked.len() >= AT_ONCE {
                note(&mut rows, asked.join_next().await);
            }
        }
        while let Some(answer) = asked.join_next().await {
            note(&mut rows, Some(answer));
        }
        let details = match chosen {
            Some(id) => Details::take(session, id).await?,
            None => None,
        };
        Ok(Self { at: Timestamp::from_micros(env::now_micros()), rows, details })
    }
}

/// What a call for the metrics of one row has brought.
type Answer = (usize, Result<MetricsResponse, ClientError>);

/// Takes an answer in; a call that failed brings nothing, and the next snapshot asks again.
fn note(rows: &mut [Row], answer: Option<Result<Answer, JoinError>>) {
    let Some(Ok((index, Ok(known)))) = answer else { return };
    let value = |name: &str| known.metrics.iter().find(|one| one.metric == name && one.outcome == "value")?.value;
    let row = &mut rows[index];
    row.requests_per_s = value(builtin::REQUEST_RATE).or(row.requests_per_s);
    row.open = value(builtin::CONCURRENCY);
    row.p95_ms = value(builtin::LATENCY_P95_MS);
    row.error_percent = value(builtin::ERROR_RATE);
    row.cpu_percent = value(builtin::CPU_PERCENT);
}

impl Details {
    /// Nothing when it is gone by now.
    async fn take(session: &Session, id: DeploymentId) -> Outcome<Option<Self>> {
        let client = session.client().await?;
        let (Ok(replicas), Ok(decisions)) =
            (client.replicas(id, false).await, client.decisions(id, DECISIONS.into()).await)
        else {
            return Ok(None);
        };
        Ok(Some(Self { deployment_id: id, replicas, decisions: decisions.items }))
    }
}

impl From<DeploymentSummary> for Row {
    fn from(one: DeploymentSummary) -> Self {
        Self {
            id: one.id,
            name: one.name,
            status: one.status,
            ready: one.health.ready,
            target: one.target_replicas,
            requests_per_s: None,
            open: None,
            p95_ms: None,
            error_percent: None,
            cpu_percent: None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    fn id(number: u32) -> String {
        format!("00000000-0000-7000-8000-{number:012}")
    }

    pub fn row(number: u32, name: &str) -> Row {
        Row {
            id: id(number).parse().expect("an id"),
            name: name.to_owned(),
            status: DeploymentStatus::Running,
            ready: 2,
            target: 2,
            requests_per_s: None,
            open: None,
            p95_ms: None,
            error_percent: None,
            cpu_percent: None,
        }
    }

    pub fn snapshot(rows: Vec<Row>) -> Snapshot {
        Snapshot { at: Timestamp::from_micros(1_764_064_800_000_000), rows, details: None }
    }

    pub fn details(number: u32) -> Details {
        let replica = json!({
            "id": id(7), "deployment_id": id(number), "node": "node-01", "status": "running", "ready": true,
            "revision": 1, "resources": {"cpu": 1, "memory": 512}, "endpoint": "127.0.0.1:20000", "restarts": 0,
            "created_at": "2025-11-25T10:00:00Z", "updated_at": "2025-11-25T10:00:00Z",
        });
        let decision = json!({
            "resolved_target": format!("deployment:{}", id(number)), "at": "2025-11-25T10:00:00Z", "run": "live",
            "policies": [], "trigger": "auto", "action": "scale_up", "current": 1, "ready": 1, "replicas": 2,
            "reason": "too many requests", "inputs": [], "votes": [], "steps": [],
        });
        Details {
            deployment_id: id(number).parse().expect("an id"),
            replicas: vec![serde_json::from_value(replica).expect("a replica")],
            decisions: vec![serde_json::from_value(decision).expect("a decision")],
        }
    }
}
