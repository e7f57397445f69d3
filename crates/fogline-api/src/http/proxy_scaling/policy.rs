//! The policy of a proxy, with the names and defaults of the seed's default policy.

use fogline_core::id::PolicyId;
use fogline_core::scaling::policy::Aggressiveness;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A policy. Every field that is left out takes its default, also where there is a policy already; but `enabled` and
/// `dryRun` stay as they are then.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProxyPolicyRequest {
    /// The smallest count; 0 needs `scaleToZero`.
    pub min_replicas: u32,
    /// The largest count, at least `minReplicas`.
    pub max_replicas: u32,
    /// Processor use that is aimed for, percent, above 0 and at most 100.
    pub target_cpu_percent: f64,
    /// Memory use that is aimed for, percent, above 0 and at most 100.
    pub target_memory_percent: f64,
    /// Requests a second that count as 100 %.
    pub target_request_rate: f64,
    /// Above this load score up, 0 to 100.
    pub scale_up_threshold: f64,
    /// Below this load score down, less than `scaleUpThreshold`.
    pub scale_down_threshold: f64,
    /// From one scale-up to the next, in seconds, at most a day.
    pub scale_up_cooldown_seconds: u64,
    /// From a change of either kind to a scale-down, in seconds, at most a day.
    pub scale_down_cooldown_seconds: u64,
    /// Size of the steps.
    pub aggressiveness: Aggressiveness,
    /// Whether idleness may set the count to 0.
    pub scale_to_zero: bool,
    /// A policy that is not enabled neither votes nor bounds. True for a new one, when nothing is said.
    pub enabled: Option<bool>,
    /// Whether decisions go to the log instead of the proxy. False for a new one, when nothing is said.
    pub dry_run: Option<bool>,
    /// Where a change of an outside proxy's count is posted to.
    pub callback_url: Option<String>,
}

impl Default for ProxyPolicyRequest {
    fn default() -> Self {
        Self {
            min_replicas: 1,
            max_replicas: 10,
            target_cpu_percent: 70.0,
            target_memory_percent: 80.0,
            target_request_rate: 1_000.0,
            scale_up_threshold: 80.0,
            scale_down_threshold: 30.0,
            scale_up_cooldown_seconds: 60,
            scale_down_cooldown_seconds: 300,
            aggressiveness: Aggressiveness::default(),
            scale_to_zero: false,
            enabled: None,
            dry_run: None,
            callback_url: None,
        }
    }
}

/// A policy as it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyPolicyResponse {
    /// Its id, which the other view knows as well.
    pub id: PolicyId,
    /// The proxy, as it was asked for.
    pub proxy_id: String,
    /// Its name.
    pub name: String,
    /// What it says.
    #[serde(flatten)]
    pub policy: ProxyPolicyRequest,
    /// Counts its changes, from 1.
    pub version: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_are_those_of_the_seed() {
        let mut policy = serde_json::to_value(ProxyPolicyRequest::default()).expect("serialises");
        let policy = policy.as_object_mut().expect("an object");
        for more in ["aggressiveness", "scaleToZero", "enabled", "dryRun", "callbackUrl"] {
            policy.remove(more).expect(more);
        }
        let seed = json!({
            "minReplicas": 1,
            "maxReplicas": 10,
            "targetCpuPercent": 70.0,
            "targetMemoryPercent": 80.0,
            "targetRequestRate": 1000.0,
            "scaleUpThreshold": 80.0,
            "scaleDownThreshold": 30.0,
            "scaleUpCooldownSeconds": 60,
            "scaleDownCooldownSeconds": 300,
        });
        assert_eq!(&seed, &serde_json::Value::Object(policy.clone()));
        let read: ProxyPolicyRequest = serde_json::from_value(seed).expect("parses");
        assert_eq!(read, ProxyPolicyRequest::default());
    }
}
