//! Status history. Only ever added; triggers refuse anything else.

use fogline_core::record::StatusHistoryRecord;
use sqlx::sqlite::SqliteConnection;

use super::Stop;
use super::bulk::Table;

const HISTORY: Table = Table {
    name: "deployment_status_history",
    columns: &["id", "deployment_id", "seq", "old_status", "new_status", "changed_by", "changed_at", "reason"],
};

pub(super) async fn write(db: &mut SqliteConnection, lines: &[StatusHistoryRecord]) -> Result<(), Stop> {
    let insert = HISTORY.insert(db, lines, |line, to| {
        to.id(line.id);
        to.id(line.deployment_id);
        to.number(line.seq);
        to.text(line.old_status);
        to.text(line.new_status);
        to.optional_id(line.changed_by);
        to.time(line.changed_at);
        to.text(&line.reason);
    });
    insert.await
}
