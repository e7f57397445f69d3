//! Scaling events of a proxy: asked for, carried out, or failed.

use fogline_core::id::{DecisionId, PolicyId};
use fogline_core::record::{DecisionRecord, DecisionStatus};
use fogline_core::scaling::inputs::Trigger;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ProxyAction;

/// A count for a proxy, set by a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteScalingRequest {
    /// The count, within the bounds of the policies on the proxy.
    pub new_replica_count: i64,
    /// Why, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `manual`, or `admin` for administrators; what the caller's role says where nothing is said, or `auto`: only what
    /// the engine does by itself is recorded as `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub triggered_by: Option<String>,
}

/// What came of an event, said by whoever carried it out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompleteEventRequest {
    /// `completed` or `failed`.
    pub status: ProxyEventStatus,
    /// Why it failed, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How an event has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyEventStatus {
    /// The proxy has the count.
    Completed,
    /// It has not.
    Failed,
}

/// A change of a proxy's count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyEventResponse {
    /// Its id.
    pub event_id: DecisionId,
    /// The proxy, as it was asked for.
    pub proxy_id: String,
    /// Which way; `none` where the count was that already.
    pub event_type: ProxyAction,
    /// The count before.
    pub previous_replicas: u32,
    /// The count after.
    pub new_replicas: u32,
    /// Why.
    pub reason: String,
    /// `auto`, `manual`, `schedule`, `proxy` or `admin`.
    pub triggered_by: Trigger,
    /// `pending`, `completed` or `failed`.
    pub status: DecisionStatus,
    /// From its beginning to its end; null while it is pending.
    pub duration_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it was kept from being carried out.
    pub dry_run: bool,
    /// The policy behind it; null for a change that no policy made.
    pub policy_id: Option<PolicyId>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl ProxyEventResponse {
    /// The event that this decision is, of a proxy that was asked for as `proxy_id`.
    #[must_use]
    pub fn new(proxy_id: &str, record: DecisionRecord) -> Self {
        let decision = &record.decision;
        Self {
            event_id: record.id,
            proxy_id: proxy_id.to_owned(),
            event_type: decision.action.into(),
            previous_replicas: decision.current,
            new_replicas: decision.replicas,
            reason: decision.reason.clone(),
            triggered_by: decision.trigger,
            status: record.status,
            duration_ms: record.took_ms(),
            error: record.error,
            dry_run: record.dry_run,
            policy_id: record.policy_id,
            created_at: decision.at,
            completed_at: record.completed_at,
        }
    }
}
