//! An empty database of a backend, with a way past the store to look and to meddle.

use std::path::PathBuf;
use std::sync::Arc;

use fogline_store::{Store, StoreConfig};
use fogline_testbed::{Database, Postgres};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, ValueRef};
use tempfile::TempDir;

/// See the module. Gone with everything in it when dropped.
pub enum Backend {
    Sqlite(TempDir),
    /// In the cluster that all tests share.
    Postgres {
        database: Database,
        /// Kept running for as long as a test needs it.
        _cluster: Arc<Postgres>,
    },
}

impl Backend {
    pub async fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a directory"))
    }

    pub async fn postgres() -> Self {
        let made = tokio::task::spawn_blocking(|| {
            let cluster = Postgres::shared();
            Self::Postgres { database: cluster.database(), _cluster: cluster }
        });
        made.await.expect("PostgreSQL starts")
    }

    /// Another empty database of the same kind.
    pub async fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite().await,
            Self::Postgres { .. } => Self::postgres().await,
        }
    }

    /// The file, where it is one.
    pub fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(directory) => directory.path().join("data/fogline.db"),
            Self::Postgres { .. } => panic!("PostgreSQL's files are its own"),
        }
    }

    pub fn config(&self) -> StoreConfig {
        match self {
            Self::Sqlite(_) => StoreConfig::sqlite(self.file()),
            Self::Postgres { database, .. } => StoreConfig::from_url(&database.url()).expect("a URL"),
        }
    }

    /// The store, with its schema.
    pub async fn open(&self) -> Store {
        let store = self.open_bare().await;
        store.migrate().await.expect("migrates");
        store
    }

    /// The store as it is.
    pub async fn open_bare(&self) -> Store {
        Store::open(&self.config()).await.expect("opens")
    }

    /// Runs one statement past the store; each value as text, NULL as an empty one.
    pub async fn sql(&self, sql: impl Into<String>) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Self::Sqlite(_) => {
                let options = SqliteConnectOptions::new().filename(self.file()).foreign_keys(true);
                let mut connection = options.connect().await?;
                let rows = sqlx::query(sql).fetch_all(&mut connection).await;
                connection.close().await?;
                Ok(rows?.iter().map(values).collect())
            }
            Self::Postgres { database, .. } => {
                let mut connection = database.url().parse::<PgConnectOptions>()?.connect().await?;
                let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await;
                connection.close().await?;
                Ok(rows?.iter().map(texts).collect())
            }
        }
    }

    /// As [`Self::sql`], with the rules of the schema that a program in good order cannot break switched off as far as
    /// that goes. Says whether the database took it.
    pub async fn damage(&self, sql: impl Into<String>) -> bool {
        let Self::Sqlite(_) = self else { return self.sql(sql).await.is_ok() };
        let options = SqliteConnectOptions::new()
            .filename(self.file())
            .foreign_keys(false)
            .pragma("ignore_check_constraints", "ON");
        let mut connection = options.connect().await.expect("connects");
        let done = sqlx::query(AssertSqlSafe(sql.into())).execute(&mut connection).await.expect("damages");
        assert_eq!(done.rows_affected(), 1, "there was something to damage");
        connection.close().await.expect("closes");
        true
    }

    /// A column that holds a moment, as microseconds since 1970.
    pub fn micros(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => column.to_owned(),
            Self::Postgres { .. } => format!("(extract(epoch FROM {column}) * 1000000)::bigint"),
        }
    }

    /// What the backend says where a rule is broken, of which SQLite says `part`.
    pub fn words(&self, part: &'static str) -> &'static str {
        match (self, part) {
            (Self::Sqlite(_), _) => part,
            (_, "deployments.name") => "uq_deployments_user_id_name",
            (_, "users.username") => "uq_users_username",
            (_, "deployment_replicas.id") => "deployment_replicas_pkey",
            (_, "scaling_policies.name") => "uq_scaling_policies_user_id_name",
            (_, "scaling_policy_versions.version") => "scaling_policy_versions_pkey",
            (_, "scaling_states.target") => "scaling_states_pkey",
            (_, "CHECK") => "check constraint",
            (_, "FOREIGN KEY") => "foreign key constraint",
            _ => part,
        }
    }

    /// The names of everything that the schema has made.
    pub async fn everything(&self) -> Vec<Vec<String>> {
        let names = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'",
            Self::Postgres { .. } => {
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' \
                    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
                    UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'"
            }
        };
        self.sql(names).await.expect("reads")
    }
}

fn values(row: &SqliteRow) -> Vec<String> {
    let value = |at: usize| {
        let text = row.try_get::<Option<String>, _>(at).map(Option::unwrap_or_default);
        let number = |_| row.try_get::<i64, _>(at).map(|number| number.to_string());
        let real = |_| row.try_get::<f64, _>(at).map(|number| number.to_string());
        text.or_else(number).or_else(real).expect("text or a number")
    };
    (0..row.len()).map(value).collect()
}

/// Values as they come where nothing was prepared.
fn texts(row: &PgRow) -> Vec<String> {
    let value = |at: usize| {
        let value = row.try_get_raw(at).expect("a value");
        if value.is_null() { String::new() } else { value.as_str().expect("text").to_owned() }
    };
    (0..row.len()).map(value).collect()
}
