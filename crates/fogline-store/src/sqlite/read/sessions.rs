//! Sessions, as authentication asks for them.

use fogline_core::id::SessionId;
use fogline_core::record::{SessionRecord, UserRecord};

use super::one;
use crate::error::StoreError;
use crate::sqlite::{SqliteStore, row};

impl SqliteStore {
    pub(crate) async fn session(&self, id: SessionId) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
        let query = sqlx::query("SELECT * FROM sessions WHERE id = ?1").bind(id.to_string());
        let Some(session) = one(&self.readers, query, "sessions", row::session).await? else { return Ok(None) };
        // A user who was removed in between has taken the session along.
        Ok(self.user(session.user_id).await?.map(|user| (session, user)))
    }
}
