//! Users.

use fogline_core::id::UserId;
use fogline_core::record::UserRecord;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

pub(crate) async fn user(db: &mut impl Reader, id: UserId) -> Result<Option<UserRecord>, StoreError> {
    db.one(Query::new("SELECT * FROM users WHERE id = $1").id(id.as_uuid()), "users", row::user).await
}

pub(crate) async fn user_by_name(db: &mut impl Reader, username: &str) -> Result<Option<UserRecord>, StoreError> {
    db.one(Query::new("SELECT * FROM users WHERE username = $1").text(username), "users", row::user).await
}

pub(crate) async fn users(db: &mut impl Reader, page: &PageRequest) -> Result<Page<UserRecord>, StoreError> {
    let query = Query::new("SELECT * FROM users WHERE username > $1 ORDER BY username LIMIT $2")
        .text(page.key(List::Users)?.unwrap_or_default())
        .number(page.rows());
    let users = db.all(query, "users", row::user).await?;
    Ok(Page::of(users, page, List::Users, |user| user.username.clone()))
}
