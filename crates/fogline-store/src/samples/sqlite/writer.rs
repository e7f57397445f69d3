//! The one connection that writes.
//!
//! Transactions are begun and ended in plain SQL: SQLite ends one by itself on some errors, and only it knows. Invariant:
//! whoever gets the writer finds no transaction open, also after a caller was dropped in the middle of one.

use std::sync::Arc;

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Connection, Executor, Row};

use super::super::fold::Fold;
use super::super::statements::{take_in, take_minutes_in};

/// Rows a statement, largest first, so that few different ones are compiled.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// `{}` is where the tuples go.
const TAKE_IN: &str = take_in!("VALUES {}", "max");
const TAKE_MINUTE_IN: &str = take_minutes_in!(
    "SELECT ?1, series, sum(rest_count + 1), sum(rest_sum + last_value), max(max(rest_max, last_value)) \
        FROM sample_fine WHERE at >= ?1 AND at < ?1 + 60 GROUP BY series",
    "max"
);
const OLDEST: &str = "SELECT min(at) FROM sample_fine";
const FORGET: &str = "DELETE FROM sample_fine WHERE at >= ?1 AND at < ?1 + 60";
const REMOVE: &str = "DELETE FROM sample_coarse WHERE at = (SELECT min(at) FROM sample_coarse) AND at < ?1";

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    /// Set before a transaction is begun, cleared once it is known to be over.
    under_way: bool,
}

impl Writer {
    pub(super) const fn new(connection: SqliteConnection) -> Self {
        Self { connection, under_way: false }
    }

    pub(super) async fn append(&mut self, folded: &[Vec<Fold>; 2]) -> Result<(), sqlx::Error> {
        let db = self.begin().await?;
        let done = async {
            for mut rows in folded.iter().map(Vec::as_slice) {
                while let Some(size) = CHUNKS.into_iter().find(|size| *size <= rows.len()) {
                    let (chunk, rest) = rows.split_at(size);
                    take_in(db, chunk).await?;
                    rows = rest;
                }
            }
            Ok(())
        };
        let done = done.await;
        self.end(done).await
    }

    /// Puts the oldest rows of 10 s into their minute, where that is before `border`, a full minute. Says how many.
    pub(super) async fn move_minute(&mut self, border: i64) -> Result<u64, sqlx::Error> {
        let db = self.begin().await?;
        let done = async {
            let oldest: Option<i64> = db.fetch_one(OLDEST).await?.try_get(0)?;
            let Some(minute) = oldest.map(|at| at.div_euclid(60) * 60).filter(|minute| *minute < border) else {
                return Ok(0);
            };
            sqlx::query(TAKE_MINUTE_IN).bind(minute).execute(&mut *db).await?;
            Ok(sqlx::query(FORGET).bind(minute).execute(&mut *db).await?.rows_affected())
        };
        let done = done.await;
        self.end(done).await
    }

    /// Lets go of the oldest minute, where that is before `border`. Says how many rows that were.
    pub(super) async fn remove_minute(&mut self, border: i64) -> Result<u64, sqlx::Error> {
        let db = self.begin().await?;
        let done = sqlx::query(REMOVE).bind(border).execute(db).await.map(|done| done.rows_affected());
        self.end(done).await
    }

    async fn begin(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.under_way {
            self.roll_back().await;
        }
        self.under_way = true;
        match self.connection.execute("BEGIN IMMEDIATE").await {
            Ok(_) => Ok(&mut self.connection),
            Err(error) => {
                self.under_way = false;
                Err(error)
            }
        }
    }

    async fn end<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let committed = match done {
            Ok(done) => self.connection.execute("COMMIT").await.map(|_| done),
            Err(error) => Err(error),
        };
        match committed {
            Ok(done) => {
                self.under_way = false;
                Ok(done)
            }
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Where SQLite has done so already it says so, and that is as good.
    async fn roll_back(&mut self) {
        let _ = self.connection.execute("ROLLBACK").await;
        self.under_way = false;
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "closing the file of samples");
        }
    }
}

async fn take_in(db: &mut SqliteConnection, rows: &[Fold]) -> Result<(), sqlx::Error> {
    let tuples = vec!["(?, ?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
    // Made of the constants of this program alone: every value is a parameter.
    let sql: Arc<str> = TAKE_IN.replacen("{}", &tuples, 1).into();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(rows.len() * 7, 0);
    for row in rows {
        for number in [row.at, row.series, row.rest_count] {
            arguments.add(number).expect("a number");
        }
        for number in [row.rest_sum, row.rest_max] {
            arguments.add(number).expect("a number");
        }
        arguments.add(row.last_at).expect("a number");
        arguments.add(row.last_value).expect("a number");
    }
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(db).await.map(|_| ())
}
