//! Scaling: policies and their versions, what targets remember, and decisions.

use fogline_core::cluster::Edits;
use fogline_core::id::PolicyId;
use fogline_core::record::{DecisionRecord, PolicyRecord, PolicyVersionRecord, ScalingStateRecord};

use super::{Record, Table, Values};

impl Record for PolicyRecord {
    const TABLE: Table = Table {
        name: "scaling_policies",
        columns: &[
            "id",
            "user_id",
            "name",
            "version",
            "target_type",
            "target_id",
            "target",
            "enabled",
            "mode",
            "spec",
            "created_at",
            "updated_at",
        ],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.id(self.user_id.as_uuid());
        to.text(&self.spec.name);
        to.number(self.version);
        to.text(&self.spec.target_type);
        to.optional_text(self.spec.target_id.as_deref());
        to.text(&self.target.to_string());
        to.flag(self.spec.enabled);
        to.text(self.spec.mode.as_str());
        to.json(&*self.spec);
        to.time(self.created_at);
        to.time(self.updated_at);
    }
}

/// Policies whose names have to be free before rows are written: those that go or are called otherwise now, where
/// another one gets a name, which may be theirs.
pub(crate) fn freed_names(policies: &Edits<PolicyId, PolicyRecord>) -> Vec<PolicyId> {
    let name = |record: &Option<PolicyRecord>| record.as_ref().map(|record| record.spec.name.clone());
    let (mut leaving, mut taken) = (Vec::new(), 0);
    for (id, edit) in policies.iter() {
        let (before, after) = (name(&edit.before), name(&edit.after));
        if before == after {
            continue;
        }
        taken += usize::from(after.is_some());
        if before.is_some() {
            leaving.push(id);
        }
    }
    if taken == 0 { Vec::new() } else { leaving }
}

impl Record for PolicyVersionRecord {
    const TABLE: Table = Table {
        name: "scaling_policy_versions",
        columns: &["policy_id", "version", "spec", "created_at", "created_by"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.policy_id.as_uuid());
        to.number(self.version);
        to.json(&*self.spec);
        to.time(self.created_at);
        to.optional_id(self.created_by.map(|id| id.as_uuid()));
    }
}

impl Record for ScalingStateRecord {
    const TABLE: Table =
        Table { name: "scaling_states", columns: &["target", "version", "replicas", "memory", "updated_at"] };

    fn values(&self, to: &mut impl Values) {
        to.text(&self.target.to_string());
        to.number(i64::try_from(self.version).unwrap_or(i64::MAX));
        to.optional_number(self.replicas);
        to.json(&*self.memory);
        to.time(self.updated_at);
    }
}

impl Record for DecisionRecord {
    const TABLE: Table = Table {
        name: "scaling_decisions",
        columns: &[
            "id",
            "target",
            "policy_id",
            "policy_name",
            "at",
            "run",
            "trigger",
            "action",
            "previous_replicas",
            "new_replicas",
            "reason",
            "dry_run",
            "status",
            "error",
            "triggered_by",
            "completed_at",
            "decision",
        ],
    };

    fn values(&self, to: &mut impl Values) {
        let decision = &*self.decision;
        to.id(self.id.as_uuid());
        to.text(&self.target.to_string());
        to.optional_id(self.policy_id.map(|id| id.as_uuid()));
        to.optional_text(self.policy_name.as_deref());
        to.time(decision.at);
        to.text(decision.run.as_str());
        to.text(decision.trigger.as_str());
        to.text(decision.action.as_str());
        to.number(decision.current);
        to.number(decision.replicas);
        to.text(&decision.reason);
        to.flag(self.dry_run);
        to.text(self.status.as_str());
        to.optional_text(self.error.as_deref());
        to.optional_id(self.triggered_by.map(|id| id.as_uuid()));
        to.optional_time(self.completed_at);
        to.json(decision);
    }
}
