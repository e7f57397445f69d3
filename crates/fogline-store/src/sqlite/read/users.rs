//! Users.

use fogline_core::id::UserId;
use fogline_core::record::UserRecord;

use super::{all, one};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

impl SqliteStore {
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM users WHERE id = ?1").bind(id.to_string());
        one(&self.readers, query, "users", row::user).await
    }

    pub(crate) async fn user_by_name(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM users WHERE username = ?1").bind(username.to_owned());
        one(&self.readers, query, "users", row::user).await
    }

    pub(crate) async fn users(&self, page: &PageRequest) -> Result<Page<UserRecord>, StoreError> {
        let sql = "SELECT * FROM users WHERE username > ?1 ORDER BY username LIMIT ?2";
        let query = sqlx::query(sql).bind(page.key(List::Users)?.unwrap_or_default()).bind(page.rows());
        let users = all(&self.readers, query, "users", row::user).await?;
        Ok(Page::of(users, page, List::Users, |user| user.username.clone()))
    }
}
