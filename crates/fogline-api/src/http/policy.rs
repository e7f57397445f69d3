//! Scaling policies, their versions, pauses and the preview of their schedules.

use fogline_core::id::{PolicyId, UserId};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::policy::Span;
use fogline_core::scaling::{PolicySpec, Transition};
use fogline_core::spec::FieldError;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who carries out what a policy's target is decided to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyExecutor {
    /// This system: the target is one of its deployments.
    Deployment,
    /// A call of the policy's `callback_url`.
    Webhook,
    /// The log only, because of `dry_run` or `mode: shadow`.
    Logging,
    /// Nobody: decisions are recorded, and that nobody carried them out.
    None,
}

/// A policy: what was asked for, under the names that it was asked with, and what has become of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyResponse {
    /// Its id.
    pub id: PolicyId,
    /// What was asked for.
    #[serde(flatten)]
    pub spec: PolicySpec,
    /// Its owner.
    pub user_id: UserId,
    /// Counts the changes of the spec, from 1. As the `ETag` header, and taken by `If-Match`.
    pub version: u32,
    /// What `target_type` and `target_id` were found to be: `deployment:<id>`, or `<type>:<owner>:<id>` outside of this
    /// system. Metrics may be pushed and asked for under this name.
    #[schema(value_type = String)]
    pub resolved_target: ScalingTarget,
    /// Who carries decisions out.
    pub executor: PolicyExecutor,
    /// Until when it neither votes nor bounds, where it is paused.
    #[serde(default)]
    pub paused_until: Option<Timestamp>,
    /// Why it is not evaluated though it is enabled: fields that an older version of the server let in and that this one
    /// cannot work with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FieldError>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its spec last changed.
    pub updated_at: Timestamp,
}

/// What a policy said once, a line of `GET /api/v1/scaling/policies/{id}/versions`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersionResponse {
    /// Whose version it is.
    pub policy_id: PolicyId,
    /// Which, from 1.
    pub version: u32,
    /// What it said.
    pub spec: PolicySpec,
    /// Since when.
    pub created_at: Timestamp,
    /// Who made it; absent when Fogline itself did, or the user is gone.
    #[serde(default)]
    pub created_by: Option<UserId>,
}

/// For how long a policy neither votes nor bounds: one of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PausePolicyRequest {
    /// So long from now on, at most 366 days.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until then, at most 366 days from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a policy's schedules will do next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleResponse {
    /// Whose schedules.
    pub policy_id: PolicyId,
    /// Soonest first.
    pub transitions: Vec<Transition>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::scaling::policy::RuleSpec;
    use serde_json::json;

    fn response() -> PolicyResponse {
        let rule: RuleSpec = serde_json::from_value(json!({
            "metric": "lag", "operator": "gt", "threshold": 60.5, "duration": "5m", "scale_by": 2
        }))
        .expect("a rule");
        const ID: &str = "00000000-0000-7000-8000-000000000007";
        let owner: UserId = ID.parse().expect("an id");
        PolicyResponse {
            id: ID.parse().expect("an id"),
            spec: PolicySpec { scale_up_rules: vec![rule], ..PolicySpec::new("lag", "cdc-worker") },
            user_id: owner,
            version: 3,
            resolved_target: ScalingTarget::Outside {
                owner,
                target_type: "cdc-worker".to_owned(),
                target_id: String::new(),
            },
            executor: PolicyExecutor::None,
            paused_until: None,
            faults: Vec::new(),
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn the_fields_of_the_seed_are_always_there_and_in_its_order() {
        let text = serde_json::to_string(&response()).expect("serialises");
        let mut from = 0;
        for field in [
            "id",
            "name",
            "target_type",
            "target_id",
            "enabled",
            "min_replicas",
            "max_replicas",
            "cooldown_seconds",
            "scale_to_zero",
            "scale_up_rules",
            "scale_down_rules",
            "schedules",
            "created_at",
            "updated_at",
        ] {
            let at = text[from..].find(&format!("\"{field}\":"));
            from += at.unwrap_or_else(|| panic!("no {field}, or not there, in {text}"));
        }
    }

    #[test]
    fn a_policy_reads_back_as_it_was_written() {
        let written = response();
        let text = serde_json::to_string(&written).expect("serialises");
        assert_eq!(serde_json::from_str::<PolicyResponse>(&text).expect("parses"), written);
    }
}
