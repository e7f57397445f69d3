//! The schema of a file, step by step, up and down. The steps are in `crate::schema`.

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use super::SqliteStore;
use crate::error::StoreError;
use crate::migration::MigrationStatus;
use crate::schema::{self, APPLIED, Applied, SQLITE};

impl SqliteStore {
    pub(crate) async fn migrate(&self) -> Result<usize, StoreError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        writer.roll_back().await?;
        let connection = writer.connection()?;
        let before = applied(connection).await?;
        let result = SQLITE.migrator().run(&mut *connection).await;
        let after = applied(connection).await;
        result.map_err(refused)?;
        Ok(after?.len() - before.len())
    }

    /// Brings a new database up to this version and no further.
    pub(super) async fn migrate_to(&self, version: i64) -> Result<(), StoreError> {
        let mut writer = self.writer().await;
        SQLITE.migrator().run_to(version, writer.connection()?).await.map_err(refused)
    }

    pub(crate) async fn revert(&self, steps: usize) -> Result<usize, StoreError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        writer.roll_back().await?;
        let connection = writer.connection()?;
        let (target, reverted) = schema::before(&applied(connection).await?, steps);
        SQLITE.migrator().undo(&mut *connection, target).await.map_err(refused)?;
        Ok(reverted)
    }

    pub(crate) async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let mut reader = self.readers.acquire().await?;
        Ok(SQLITE.statuses(&applied(&mut reader).await?))
    }
}

/// Refuses a database whose schema is not the one that the statements here are written for.
pub(super) async fn check_complete(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    SQLITE.check_complete(&applied(connection).await?)
}

/// The highest version that the database has, and the highest that there is. 0 where there is none.
pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    Ok(SQLITE.newest(&applied(connection).await?))
}

async fn applied(connection: &mut SqliteConnection) -> Result<Applied, sqlx::Error> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
    if connection.fetch_optional(there).await?.is_none() {
        return Ok(Applied::new());
    }
    let rows = connection.fetch_all(APPLIED).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn refused(error: MigrateError) -> StoreError {
    schema::refused(error, StoreError::from)
}
