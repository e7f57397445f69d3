//! Answers to keyed requests.

use fogline_core::id::UserId;
use fogline_core::record::IdempotencyRecord;

use super::all;
use crate::error::StoreError;
use crate::sqlite::{SqliteStore, row};

impl SqliteStore {
    pub(crate) async fn answered(&self, keys: &[(UserId, &str)]) -> Result<Vec<IdempotencyRecord>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // One parameter however many keys there are, so that it is one statement.
        let pairs: Vec<(String, &str)> = keys.iter().map(|(user, key)| (user.to_string(), *key)).collect();
        let asked = serde_json::to_string(&pairs)
            .map_err(|error| StoreError::Database { detail: format!("the keys cannot be asked for: {error}") })?;
        let sql = "SELECT idempotency_keys.* FROM json_each(?1) AS asked JOIN idempotency_keys \
            ON user_id = asked.value ->> 0 AND idempotency_keys.key = asked.value ->> 1";
        all(&self.readers, sqlx::query(sql).bind(asked), "idempotency_keys", row::idempotency).await
    }
}
