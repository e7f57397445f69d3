//! Logins. Expired ones are pruned from the database while memory may still hold them, so a change of one that is gone
//! is no error.

use fogline_core::cluster::Edits;
use fogline_core::id::SessionId;
use fogline_core::record::SessionRecord;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{self, Table};
use super::values::Values;
use super::{Stop, added, changed};

const SESSIONS: Table =
    Table { name: "sessions", columns: &["id", "user_id", "refresh_hash", "created_at", "expires_at", "revoked_at"] };

fn values(session: &SessionRecord, to: &mut Values) {
    to.id(session.id);
    to.id(session.user_id);
    to.hash(&session.refresh_hash);
    to.time(session.created_at);
    to.time(session.expires_at);
    to.optional_time(session.revoked_at);
}

pub(super) async fn write(db: &mut SqliteConnection, sessions: &Edits<SessionId, SessionRecord>) -> Result<(), Stop> {
    SESSIONS.update_present(db, &changed(sessions), |session, to| values(session, to)).await?;
    SESSIONS.insert(db, &added(sessions), |session, to| values(session, to)).await
}

pub(super) async fn remove(db: &mut SqliteConnection, sessions: &Edits<SessionId, SessionRecord>) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM sessions WHERE id = ?1", sessions.removals()).await
}
