//! The schema of a database, step by step, up and down. The steps are in `crate::schema`.
//!
//! Servers that start at once do not get into each other's way: the migrator holds an advisory lock of the database.

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row};

use super::PostgresStore;
use super::connect::Purpose;
use super::failure::of_read;
use crate::error::StoreError;
use crate::migration::MigrationStatus;
use crate::schema::{self, APPLIED, Applied, POSTGRES};

impl PostgresStore {
    pub(crate) async fn migrate(&self) -> Result<usize, StoreError> {
        let mut connection = self.config.connect(Purpose::Long).await?;
        let before = applied(&mut connection).await?;
        let result = POSTGRES.migrator().run(&mut connection).await;
        let after = applied(&mut connection).await;
        result.map_err(refused)?;
        self.forget_prepared().await;
        Ok(after?.len().saturating_sub(before.len()))
    }

    pub(crate) async fn revert(&self, steps: usize) -> Result<usize, StoreError> {
        let mut connection = self.config.connect(Purpose::Long).await?;
        let (target, reverted) = schema::before(&applied(&mut connection).await?, steps);
        POSTGRES.migrator().undo(&mut connection, target).await.map_err(refused)?;
        self.forget_prepared().await;
        Ok(reverted)
    }

    pub(crate) async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let mut connection = self.config.connect(Purpose::Long).await?;
        Ok(POSTGRES.statuses(&applied(&mut connection).await?))
    }

    /// Statements are prepared for one schema.
    async fn forget_prepared(&self) {
        self.writer.lock().await.close().await;
        self.forget_idle_readers();
    }
}

/// Refuses a database whose schema is not the one that the statements here are written for.
pub(super) async fn check_complete(connection: &mut PgConnection) -> Result<(), StoreError> {
    POSTGRES.check_complete(&applied(connection).await?)
}

/// The highest version that the database has, and the highest that there is. 0 where there is none.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<(i64, i64), StoreError> {
    Ok(POSTGRES.newest(&applied(connection).await?))
}

/// Takes every step back, within the transaction that is open.
pub(super) async fn down(connection: &mut PgConnection) -> Result<(), StoreError> {
    POSTGRES.migrator().undo(connection, 0).await.map_err(refused)
}

/// Brings the schema up to this version, or to the newest, within the transaction that is open.
pub(super) async fn up(connection: &mut PgConnection, version: Option<i64>) -> Result<(), StoreError> {
    match version {
        Some(version) => POSTGRES.migrator().run_to(version, connection).await.map_err(refused),
        None => POSTGRES.migrator().run(connection).await.map_err(refused),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<Applied, StoreError> {
    let there = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    if !connection.fetch_one(there).await.map_err(of_read)?.try_get::<bool, _>(0).map_err(of_read)? {
        return Ok(Applied::new());
    }
    let rows = connection.fetch_all(APPLIED).await.map_err(of_read)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(of_read)?, row.try_get(1).map_err(of_read)?))).collect()
}

fn refused(error: MigrateError) -> StoreError {
    schema::refused(error, of_read)
}
