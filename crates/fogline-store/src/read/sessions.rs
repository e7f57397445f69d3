//! Sessions, as authentication asks for them.

use fogline_core::id::SessionId;
use fogline_core::record::{SessionRecord, UserRecord};

use super::{Query, Reader, user};
use crate::error::StoreError;
use crate::row;

pub(crate) async fn session(
    db: &mut impl Reader,
    id: SessionId,
) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
    let query = Query::new("SELECT * FROM sessions WHERE id = $1").id(id.as_uuid());
    let Some(session) = db.one(query, "sessions", row::session).await? else { return Ok(None) };
    // A user who was removed in between has taken the session along.
    Ok(user(db, session.user_id).await?.map(|user| (session, user)))
}
