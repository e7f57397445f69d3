//! The steps of the schema, the same numbers and names for every backend. How to add one: `docs/how-to`.
//!
//! Invariant: a step and the note that it was made are one transaction, and a step that was made elsewhere with another
//! text is refused (checksums). Tests: `tests/it/contract/migrations.rs`.

use std::collections::BTreeMap;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::error::StoreError;
use crate::migration::MigrationStatus;

/// Where the database notes which steps it has.
const TABLE: &str = "schema_migrations";

/// The query for [`Applied`], where the table is there.
pub(crate) const APPLIED: &str = "SELECT version, description FROM schema_migrations ORDER BY version";

/// Versions and names of the steps that a database has.
pub(crate) type Applied = BTreeMap<i64, String>;

/// Version, name, the way there, the way back.
type Step = (i64, &'static str, &'static str, &'static str);

/// All steps of one dialect.
pub(crate) struct Schema(&'static [Step]);

macro_rules! schema {
    ($dialect:literal) => {
        schema! { $dialect,
            1, "users and nodes", "0001_users_and_nodes";
            2, "deployments", "0002_deployments";
            3, "leader and idempotency", "0003_leader_and_idempotency";
            4, "image digest", "0004_image_digest";
            5, "leader addresses", "0005_leader_addresses";
            6, "scaling", "0006_scaling";
        }
    };
    ($dialect:literal, $($version:literal, $name:literal, $file:literal;)+) => {
        Schema(&[$((
            $version,
            $name,
            include_str!(concat!("../migrations/", $dialect, "/", $file, ".up.sql")),
            include_str!(concat!("../migrations/", $dialect, "/", $file, ".down.sql")),
        ),)+])
    };
}

pub(crate) const SQLITE: Schema = schema!("sqlite");
pub(crate) const POSTGRES: Schema = schema!("postgres");

impl Schema {
    /// What runs the steps.
    pub(crate) fn migrator(&self) -> Migrator {
        let steps = self.0.iter().flat_map(|&(version, name, up, down)| {
            [(MigrationType::ReversibleUp, up), (MigrationType::ReversibleDown, down)]
                .map(|(direction, sql)| Migration::new(version, name.into(), direction, sql.into_sql_str(), false))
        });
        let mut migrator = Migrator::with_migrations(steps.collect());
        migrator.dangerous_set_table_name(TABLE);
        migrator
    }

    /// Refuses a database whose schema is not the one that the statements of this program are written for.
    pub(crate) fn check_complete(&self, applied: &Applied) -> Result<(), StoreError> {
        let missing = self.0.iter().any(|(version, ..)| !applied.contains_key(version));
        if missing { Err(StoreError::NotMigrated { applied: applied.len(), known: self.0.len() }) } else { Ok(()) }
    }

    /// The highest version that the database has, and the highest that there is. 0 where there is none.
    pub(crate) fn newest(&self, applied: &Applied) -> (i64, i64) {
        let known = self.0.last().map_or(0, |(version, ..)| *version);
        (applied.keys().last().copied().unwrap_or(0), known)
    }

    /// Every step, also those that only the database knows.
    pub(crate) fn statuses(&self, applied: &Applied) -> Vec<MigrationStatus> {
        let known = self.0.iter().map(|&(version, name, ..)| (version, name.to_owned()));
        let all: Applied = applied.clone().into_iter().chain(known).collect();
        let status = |(version, name)| MigrationStatus { version, name, applied: applied.contains_key(&version) };
        all.into_iter().map(status).collect()
    }
}

/// The version to go back to in order to take `steps` back, and how many that are. 0 is the empty database.
pub(crate) fn before(applied: &Applied, steps: usize) -> (i64, usize) {
    let kept = applied.len().saturating_sub(steps);
    let target = applied.keys().nth(kept.wrapping_sub(1)).copied().unwrap_or(0);
    (target, applied.len() - kept)
}

/// What a refusal to migrate means. `failed` says what a failed statement means; one that is nobody's fault is told with
/// its step.
pub(crate) fn refused(error: MigrateError, failed: impl Fn(sqlx::Error) -> StoreError) -> StoreError {
    match error {
        MigrateError::Execute(error) => failed(error),
        MigrateError::ExecuteMigration(error, version) => match failed(error) {
            StoreError::Database { detail } => StoreError::Migration { version, detail },
            failure => failure,
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
