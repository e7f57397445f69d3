//! Users and their logins.

use fogline_core::record::{SessionRecord, UserRecord};

use super::{Record, Table, Values};

impl Record for UserRecord {
    const TABLE: Table = Table {
        name: "users",
        columns: &["id", "username", "password_hash", "role", "tier", "disabled", "created_at", "updated_at"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.text(&self.username);
        to.text(self.password_hash.expose());
        to.text(self.role.as_str());
        to.text(self.tier.as_str());
        to.flag(self.disabled);
        to.time(self.created_at);
        to.time(self.updated_at);
    }
}

impl Record for SessionRecord {
    const TABLE: Table = Table {
        name: "sessions",
        columns: &["id", "user_id", "refresh_hash", "created_at", "expires_at", "revoked_at"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.id(self.user_id.as_uuid());
        to.hash(&self.refresh_hash);
        to.time(self.created_at);
        to.time(self.expires_at);
        to.optional_time(self.revoked_at);
    }
}
