//! Answers to keyed requests.

use fogline_core::id::UserId;
use fogline_core::record::IdempotencyRecord;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::row;

/// Two lists as two parameters, however many keys there are, so that it is one statement.
const ANSWERED: Query = Query::either(
    "SELECT idempotency_keys.* FROM json_each($1) AS asked JOIN json_each($2) AS key ON key.key = asked.key \
        JOIN idempotency_keys ON user_id = asked.value AND idempotency_keys.key = key.value",
    "SELECT idempotency_keys.* FROM unnest($1, $2) AS asked (by_user, by_key) JOIN idempotency_keys \
        ON user_id = by_user AND idempotency_keys.key = by_key",
);

pub(crate) async fn answered(
    db: &mut impl Reader,
    keys: &[(UserId, &str)],
) -> Result<Vec<IdempotencyRecord>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let users = keys.iter().map(|(user, _)| user.as_uuid()).collect();
    let texts = keys.iter().map(|(_, key)| (*key).to_owned()).collect();
    db.all(ANSWERED.ids(users).texts(texts), "idempotency_keys", row::idempotency).await
}
