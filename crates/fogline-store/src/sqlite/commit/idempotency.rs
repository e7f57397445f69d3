//! Answers to keyed requests. A key that is there already is refused: whoever asks twice at once is answered once.

use fogline_core::record::IdempotencyRecord;
use sqlx::sqlite::SqliteConnection;

use super::Stop;
use super::bulk::Table;

const KEYS: Table =
    Table { name: "idempotency_keys", columns: &["user_id", "key", "fingerprint", "outcome", "created_at"] };

pub(super) async fn write(db: &mut SqliteConnection, answers: &[IdempotencyRecord]) -> Result<(), Stop> {
    let insert = KEYS.insert(db, answers, |answer, to| {
        to.id(answer.user_id);
        to.text(&answer.key);
        to.hash(&answer.fingerprint);
        to.json(&answer.outcome);
        to.time(answer.created_at);
    });
    insert.await
}
