//! An empty database of a backend, with a way past the store to look and to meddle.

use std::path::PathBuf;

use fogline_store::{Store, StoreConfig};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tempfile::TempDir;

/// See the module. Gone with everything in it when dropped.
pub struct Backend {
    directory: TempDir,
}

impl Backend {
    pub async fn sqlite() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("data/fogline.db")
    }

    pub fn config(&self) -> StoreConfig {
        StoreConfig::sqlite(self.file())
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
        let options = SqliteConnectOptions::new().filename(self.file()).foreign_keys(true);
        let mut connection = options.connect().await?;
        let rows = sqlx::query(AssertSqlSafe(sql.into())).fetch_all(&mut connection).await;
        connection.close().await?;
        Ok(rows?.iter().map(values).collect())
    }

    /// As [`Self::sql`], with the rules of the schema that a program in good order cannot break switched off.
    pub async fn damage(&self, sql: impl Into<String>) {
        let options = SqliteConnectOptions::new()
            .filename(self.file())
            .foreign_keys(false)
            .pragma("ignore_check_constraints", "ON");
        let mut connection = options.connect().await.expect("connects");
        let done = sqlx::query(AssertSqlSafe(sql.into())).execute(&mut connection).await.expect("damages");
        assert_eq!(done.rows_affected(), 1, "there was something to damage");
        connection.close().await.expect("closes");
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
