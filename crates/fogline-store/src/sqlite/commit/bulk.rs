//! Many rows with few statements.
//!
//! Measured side by side, 10,000 replicas a batch, best of five on a busy machine: multi-row `VALUES` of 50 to 200 rows 100,000
//! rows/s, one JSON parameter read by `json_each` 56,000, single rows 75,000. `OR ROLLBACK`, together with references that
//! are checked at the end, spares SQLite the means to take one statement back, which nobody needs here: 155,000.
//! `benches/commit.rs` has today's figures. Rows go in chunks of few different sizes, so that their statements are
//! compiled once and kept.

use std::sync::Arc;

use futures_util::future;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::super::failure::Failure;
use super::Stop;
use super::values::Values;

/// Rows a statement, largest first.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// A table with the columns that are written, the first of which is its key.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
}

impl Table {
    /// Adds rows. One that is there already is refused by its key.
    pub(super) async fn insert<T>(
        &self,
        db: &mut SqliteConnection,
        rows: &[T],
        values: impl Fn(&T, &mut Values),
    ) -> Result<(), Stop> {
        let insert =
            |tuples| format!("INSERT OR ROLLBACK INTO {} ({}) VALUES {tuples}", self.name, self.columns.join(", "));
        self.run(db, rows, insert, values).await.map(|_| ())
    }

    /// Changes rows, all of which must be there: one that is missing means that memory and database differ.
    pub(super) async fn update_all<T>(
        &self,
        db: &mut SqliteConnection,
        rows: &[T],
        values: impl Fn(&T, &mut Values),
    ) -> Result<(), Stop> {
        let found = self.run(db, rows, |tuples| self.update(&tuples), values).await?;
        if found == rows.len() as u64 {
            return Ok(());
        }
        let detail = format!("{} rows of {} were to be changed, and {found} are there", rows.len(), self.name);
        Err(Stop::Failed(Failure::Constraint(detail)))
    }

    /// Changes those rows that are still there.
    pub(super) async fn update_present<T>(
        &self,
        db: &mut SqliteConnection,
        rows: &[T],
        values: impl Fn(&T, &mut Values),
    ) -> Result<(), Stop> {
        self.run(db, rows, |tuples| self.update(&tuples), values).await.map(|_| ())
    }

    fn update(&self, tuples: &str) -> String {
        let (name, key) = (self.name, self.columns[0]);
        let set =
            self.columns.iter().enumerate().skip(1).map(|(at, column)| format!("{column} = new.column{}", at + 1));
        let set = set.collect::<Vec<_>>().join(", ");
        format!("UPDATE OR ROLLBACK {name} SET {set} FROM (VALUES {tuples}) AS new WHERE {name}.{key} = new.column1")
    }

    /// Runs a statement over all rows, chunk by chunk: while SQLite works on one, the parameters of the next are made.
    /// Says how many rows it has touched.
    async fn run<T>(
        &self,
        db: &mut SqliteConnection,
        rows: &[T],
        statement: impl Fn(String) -> String,
        values: impl Fn(&T, &mut Values),
    ) -> Result<u64, Stop> {
        let tuple = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let mut sql: (usize, Arc<str>) = (0, "".into());
        let mut prepared = chunks(rows).map(|chunk| {
            if sql.0 != chunk.len() {
                sql = (chunk.len(), statement(vec![tuple.as_str(); chunk.len()].join(", ")).into());
            }
            let mut arguments = Values::default();
            arguments.reserve(chunk.len() * self.columns.len());
            chunk.iter().for_each(|row| values(row, &mut arguments));
            // Made of the constants of this program alone: every value is a parameter.
            sqlx::query_with(AssertSqlSafe(Arc::clone(&sql.1)), arguments.into_arguments())
        });
        let (mut next, mut touched) = (prepared.next(), 0);
        while let Some(query) = next {
            let (done, prepared) = future::join(query.execute(&mut *db), async { prepared.next() }).await;
            touched += done?.rows_affected();
            next = prepared;
        }
        Ok(touched)
    }
}

/// Runs one statement for each id: for what happens seldom.
pub(super) async fn each<I: std::fmt::Display>(
    db: &mut SqliteConnection,
    sql: &'static str,
    ids: impl Iterator<Item = I>,
) -> Result<(), Stop> {
    for id in ids {
        sqlx::query(sql).bind(id.to_string()).execute(&mut *db).await?;
    }
    Ok(())
}

fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_chunk_of_a_known_size() {
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 200] {
            let rows: Vec<usize> = (0..count).collect();
            let chunked: Vec<&[usize]> = chunks(&rows).collect();
            assert!(chunked.iter().all(|chunk| CHUNKS.contains(&chunk.len())));
            assert_eq!(chunked.concat(), rows);
        }
    }
}
