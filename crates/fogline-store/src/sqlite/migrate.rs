//! The schema, step by step, up and down. The files are in `migrations/sqlite`; how to add one: `docs/how-to`.
//!
//! Invariant: a step and the note that it was made are one transaction, and a step that was made elsewhere with another
//! text is refused (checksums). Tests: `tests/it/contract/migrations.rs`.

use std::collections::BTreeMap;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row, SqlSafeStr};

use super::SqliteStore;
use super::failure::Failure;
use crate::error::StoreError;
use crate::migration::MigrationStatus;

/// Version, name, the way there, the way back.
type Step = (i64, &'static str, &'static str, &'static str);

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        (
            $version,
            $name,
            include_str!(concat!("../../migrations/sqlite/", $file, ".up.sql")),
            include_str!(concat!("../../migrations/sqlite/", $file, ".down.sql")),
        )
    };
}

const STEPS: &[Step] = &[
    step!(1, "users and nodes", "0001_users_and_nodes"),
    step!(2, "deployments", "0002_deployments"),
    step!(3, "leader and idempotency", "0003_leader_and_idempotency"),
];

const TABLE: &str = "schema_migrations";

fn migrator() -> Migrator {
    let steps = STEPS.iter().flat_map(|&(version, name, up, down)| {
        [(MigrationType::ReversibleUp, up), (MigrationType::ReversibleDown, down)]
            .map(|(direction, sql)| Migration::new(version, name.into(), direction, sql.into_sql_str(), false))
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

impl SqliteStore {
    pub(crate) async fn migrate(&self) -> Result<usize, StoreError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        writer.roll_back().await?;
        let connection = writer.connection()?;
        let before = applied(connection).await?;
        let result = migrator().run(&mut *connection).await;
        let after = applied(connection).await;
        result.map_err(refused)?;
        Ok(after?.len() - before.len())
    }

    pub(crate) async fn revert(&self, steps: usize) -> Result<usize, StoreError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        writer.roll_back().await?;
        let connection = writer.connection()?;
        let before = applied(connection).await?;
        let kept = before.len().saturating_sub(steps);
        // The version to go back to: 0 is the empty database.
        let target = before.keys().nth(kept.wrapping_sub(1)).copied().unwrap_or(0);
        migrator().undo(&mut *connection, target).await.map_err(refused)?;
        Ok(before.len() - kept)
    }

    pub(crate) async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let mut reader = self.readers.acquire().await?;
        let applied = applied(&mut reader).await?;
        let known = STEPS.iter().map(|&(version, name, ..)| (version, name.to_owned()));
        let all: BTreeMap<i64, String> = applied.clone().into_iter().chain(known).collect();
        let status = |(version, name)| MigrationStatus { version, name, applied: applied.contains_key(&version) };
        Ok(all.into_iter().map(status).collect())
    }
}

/// Refuses a database whose schema is not the one that the statements here are written for.
pub(super) async fn check_complete(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let applied = applied(connection).await?;
    let missing = STEPS.iter().any(|(version, ..)| !applied.contains_key(version));
    if missing { Err(StoreError::NotMigrated { applied: applied.len(), known: STEPS.len() }) } else { Ok(()) }
}

/// The highest version that the database has, and the highest that there is. 0 where there is none.
pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    let applied = applied(connection).await?;
    let known = STEPS.last().map_or(0, |(version, ..)| *version);
    Ok((applied.keys().last().copied().unwrap_or(0), known))
}

/// Versions and names of the steps that the database has.
async fn applied(connection: &mut SqliteConnection) -> Result<BTreeMap<i64, String>, sqlx::Error> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
    if connection.fetch_optional(there).await?.is_none() {
        return Ok(BTreeMap::new());
    }
    let rows = connection.fetch_all("SELECT version, description FROM schema_migrations ORDER BY version").await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn refused(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, version) => match Failure::from(error) {
            Failure::Constraint(detail) | Failure::Other(detail) => StoreError::Migration { version, detail },
            failure => failure.into(),
        },
        MigrateError::VersionMismatch(version) => StoreError::Migration {
            version,
            detail: "the database has another form of it than this program: use the program that made the database"
                .to_owned(),
        },
        MigrateError::VersionMissing(version) => StoreError::Migration {
            version,
            detail: "the database has it and this program does not know it: use the newer program".to_owned(),
        },
        error => StoreError::Migration { version: 0, detail: error.to_string() },
    }
}
