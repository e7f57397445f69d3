//! The audit log. Only ever added; triggers refuse anything else.

use fogline_core::record::AuditRecord;
use sqlx::sqlite::SqliteConnection;

use super::Stop;
use super::bulk::Table;

const AUDIT: Table = Table {
    name: "audit_logs",
    columns: &["id", "at", "actor", "actor_name", "action", "object", "outcome", "remote", "detail"],
};

pub(super) async fn write(db: &mut SqliteConnection, lines: &[AuditRecord]) -> Result<(), Stop> {
    let insert = AUDIT.insert(db, lines, |line, to| {
        to.id(line.id);
        to.time(line.at);
        to.optional_id(line.actor);
        to.text(&line.actor_name);
        to.text(line.action);
        to.text(&line.object);
        to.text(&line.outcome);
        to.optional_text(line.remote.as_deref());
        to.text(&line.detail);
    });
    insert.await
}
