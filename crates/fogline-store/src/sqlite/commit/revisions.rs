//! Revisions of specs. Only ever added.

use fogline_core::cluster::RevisionRecord;
use sqlx::sqlite::SqliteConnection;

use super::Stop;
use super::bulk::Table;

const REVISIONS: Table =
    Table { name: "deployment_revisions", columns: &["deployment_id", "revision", "spec", "created_at", "created_by"] };

pub(super) async fn write(db: &mut SqliteConnection, revisions: &[RevisionRecord]) -> Result<(), Stop> {
    let insert = REVISIONS.insert(db, revisions, |revision, to| {
        to.id(revision.deployment_id);
        to.number(revision.revision);
        to.json(&*revision.spec);
        to.time(revision.created_at);
        to.optional_id(revision.created_by);
    });
    insert.await
}
