//! Users.

use fogline_core::cluster::Edits;
use fogline_core::id::UserId;
use fogline_core::record::UserRecord;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{self, Table};
use super::values::Values;
use super::{Stop, added, changed, swaps_rows};

const USERS: Table = Table {
    name: "users",
    columns: &["id", "username", "password_hash", "role", "tier", "disabled", "created_at", "updated_at"],
};

fn values(user: &UserRecord, to: &mut Values) {
    to.id(user.id);
    to.text(&user.username);
    to.text(user.password_hash.expose());
    to.text(user.role.as_str());
    to.text(user.tier.as_str());
    to.number(user.disabled);
    to.time(user.created_at);
    to.time(user.updated_at);
}

/// A user may be removed and made again in one batch.
pub(super) async fn free_names(db: &mut SqliteConnection, users: &Edits<UserId, UserRecord>) -> Result<(), Stop> {
    if !swaps_rows(users) {
        return Ok(());
    }
    bulk::each(db, "UPDATE users SET username = id WHERE id = ?1", users.removals()).await
}

pub(super) async fn write(db: &mut SqliteConnection, users: &Edits<UserId, UserRecord>) -> Result<(), Stop> {
    USERS.update_all(db, &changed(users), |user, to| values(user, to)).await?;
    USERS.insert(db, &added(users), |user, to| values(user, to)).await
}

pub(super) async fn remove(db: &mut SqliteConnection, users: &Edits<UserId, UserRecord>) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM users WHERE id = ?1", users.removals()).await
}
