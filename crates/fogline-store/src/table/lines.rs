//! What is only ever added to: history, audit log, answers to keyed requests.

use fogline_core::record::{AuditRecord, IdempotencyRecord, StatusHistoryRecord};

use super::{Record, Table, Values};

impl Record for StatusHistoryRecord {
    const TABLE: Table = Table {
        name: "deployment_status_history",
        columns: &["id", "deployment_id", "seq", "old_status", "new_status", "changed_by", "changed_at", "reason"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.id(self.deployment_id.as_uuid());
        to.number(self.seq);
        to.text(self.old_status);
        to.text(self.new_status);
        to.optional_id(self.changed_by.map(|id| id.as_uuid()));
        to.time(self.changed_at);
        to.text(&self.reason);
    }
}

impl Record for AuditRecord {
    const TABLE: Table = Table {
        name: "audit_logs",
        columns: &["id", "at", "actor", "actor_name", "action", "object", "outcome", "remote", "detail"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.time(self.at);
        to.optional_id(self.actor.map(|id| id.as_uuid()));
        to.text(&self.actor_name);
        to.text(self.action);
        to.text(&self.object);
        to.text(&self.outcome);
        to.optional_text(self.remote.as_deref());
        to.text(&self.detail);
    }
}

impl Record for IdempotencyRecord {
    const TABLE: Table =
        Table { name: "idempotency_keys", columns: &["user_id", "key", "fingerprint", "outcome", "created_at"] };

    fn values(&self, to: &mut impl Values) {
        to.id(self.user_id.as_uuid());
        to.text(&self.key);
        to.hash(&self.fingerprint);
        to.json(&self.outcome);
        to.time(self.created_at);
    }
}
