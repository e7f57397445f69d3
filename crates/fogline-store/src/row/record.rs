//! Users, their sessions, what they did, and what they were answered.

use fogline_core::id::{AuditId, SessionId, UserId};
use fogline_core::record::{IdempotencyRecord, PasswordHash, Role, SessionRecord, Tier, UserRecord};

use super::Columns;
use crate::audit_entry::AuditEntry;
use crate::error::StoreError;

pub(crate) fn user(row: &Columns<'_>) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.id("id", UserId::from_uuid)?,
        username: row.text("username")?,
        password_hash: PasswordHash::new(row.text("password_hash")?),
        role: row.word("role", Role::parse)?,
        tier: row.word("tier", Tier::parse)?,
        disabled: row.flag("disabled")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(crate) fn session(row: &Columns<'_>) -> Result<SessionRecord, StoreError> {
    Ok(SessionRecord {
        id: row.id("id", SessionId::from_uuid)?,
        user_id: row.id("user_id", UserId::from_uuid)?,
        refresh_hash: row.hash("refresh_hash")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}

pub(crate) fn audit(row: &Columns<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.id("id", AuditId::from_uuid)?,
        at: row.time("at")?,
        actor: row.optional_id("actor", UserId::from_uuid)?,
        actor_name: row.text("actor_name")?,
        action: row.text("action")?,
        object: row.text("object")?,
        outcome: row.text("outcome")?,
        remote: row.optional_text("remote")?,
        detail: row.text("detail")?,
    })
}

pub(crate) fn idempotency(row: &Columns<'_>) -> Result<IdempotencyRecord, StoreError> {
    Ok(IdempotencyRecord {
        user_id: row.id("user_id", UserId::from_uuid)?,
        key: row.text("key")?,
        fingerprint: row.hash("fingerprint")?,
        outcome: row.json("outcome")?,
        created_at: row.time("created_at")?,
    })
}
