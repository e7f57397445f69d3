//! Records of scaling, filled in full, as [`Rows`] makes them.

use std::sync::Arc;

use fogline_core::record::{
    DecisionRecord, DecisionStatus, PolicyRecord, PolicyVersionRecord, ScalingStateRecord, ScalingTarget, UserRecord,
};
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::{Decision, PolicySpec};

use crate::rows::Rows;

impl Rows {
    pub fn policy(&mut self, user: &UserRecord, name: &str, target: &ScalingTarget) -> PolicyRecord {
        let now = self.now();
        let spec = serde_json::json!({
            "name": name,
            "target_type": "deployment",
            "target_id": target.to_string(),
            "enabled": false,
            "mode": "shadow",
            "max_replicas": 7,
            "max_hourly_cost": 2.4,
            "scale_up_rules": [
                {"metric": "queue \"depth\"", "operator": "gt", "threshold": 1.7e18, "duration": "5m", "scale_by": 2},
            ],
            "schedules": [{"cron_expression": "0 8 * * 1-5", "desired_replicas": 5, "timezone": "Europe/Budapest"}],
        });
        let spec: PolicySpec = serde_json::from_value(spec).expect("a spec");
        PolicyRecord {
            id: self.ids.next(now),
            user_id: user.id,
            version: 1,
            target: target.clone(),
            spec: Arc::new(spec),
            created_at: now,
            updated_at: now,
        }
    }

    pub fn policy_version(&mut self, policy: &PolicyRecord) -> PolicyVersionRecord {
        PolicyVersionRecord {
            policy_id: policy.id,
            version: policy.version,
            spec: Arc::clone(&policy.spec),
            created_at: self.now(),
            created_by: Some(policy.user_id),
        }
    }

    pub fn scaling_state(&mut self, policy: &PolicyRecord) -> ScalingStateRecord {
        let now = self.now();
        let memory = serde_json::json!({
            "policies": { policy.id.to_string(): { "paused_until": now } },
            "last_up": now,
            "changes": [{ "at": now, "from": 1, "to": 2 }],
            "held": { "replicas": 2, "by": "ada", "trigger": "manual", "since": now, "until": now },
        });
        ScalingStateRecord {
            target: policy.target.clone(),
            version: 1,
            replicas: None,
            memory: Arc::new(serde_json::from_value(memory).expect("a memory")),
            updated_at: now,
        }
    }

    /// A decision of now, on the target of a policy. It is completed, or holds.
    pub fn decision(&mut self, policy: &PolicyRecord, from: u32, to: u32) -> DecisionRecord {
        let now = self.now();
        let decision = serde_json::json!({
            "at": now,
            "run": "live",
            "target": { "target_type": "deployment", "target_id": "web-api" },
            "policies": [{ "id": policy.id, "name": policy.spec.name }],
            "trigger": "auto",
            "action": Action::between(from, to),
            "current": from,
            "ready": from,
            "replicas": to,
            "reason": format!("from {from} to {to}: the «queue» is \"long\""),
            "inputs": [
                { "metric": "queue", "source": "prometheus", "outcome": "value", "value": 1.7e18, "age_s": 0.1 },
                { "metric": "cpu_percent", "outcome": "error", "reason": "no\nanswer" },
            ],
            "votes": [],
            "steps": [{ "name": "merge", "before": from, "after": to, "note": "1 vote" }],
            "events": [{ "event": "fallback", "subject": "queue", "replicas": to }],
            "unless_woken_after": u64::MAX,
        });
        let decision: Decision = serde_json::from_value(decision).expect("a decision");
        DecisionRecord {
            id: self.ids.next(now),
            target: policy.target.clone(),
            policy_id: Some(policy.id),
            policy_name: Some(policy.spec.name.clone()),
            dry_run: false,
            status: DecisionStatus::Completed,
            error: None,
            triggered_by: None,
            completed_at: Some(now),
            decision: Arc::new(decision),
        }
    }
}
