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
use super::parameters::Parameters;
use crate::table::{Record, Table};

/// Rows a statement, largest first.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Adds rows. One that is there already is refused by its key.
pub(super) async fn insert<R: Record>(db: &mut SqliteConnection, rows: &[R]) -> Result<(), Stop> {
    let (name, columns) = (R::TABLE.name, R::TABLE.columns.join(", "));
    run(db, rows, |tuples| format!("INSERT OR ROLLBACK INTO {name} ({columns}) VALUES {tuples}")).await.map(|_| ())
}

/// Changes rows, all of which must be there: one that is missing means that memory and database differ.
pub(super) async fn update_all<R: Record>(db: &mut SqliteConnection, rows: &[R]) -> Result<(), Stop> {
    let found = update_present(db, rows).await?;
    if found == rows.len() as u64 {
        return Ok(());
    }
    let detail = format!("{} rows of {} were to be changed, and {found} are there", rows.len(), R::TABLE.name);
    Err(Stop::Failed(Failure::Constraint(detail)))
}

/// Changes those rows that are still there. Says how many.
pub(super) async fn update_present<R: Record>(db: &mut SqliteConnection, rows: &[R]) -> Result<u64, Stop> {
    run(db, rows, |tuples| update(&R::TABLE, &tuples)).await
}

fn update(table: &Table, tuples: &str) -> String {
    let (name, key) = (table.name, table.columns[0]);
    let set = table.columns.iter().enumerate().skip(1).map(|(at, column)| format!("{column} = new.column{}", at + 1));
    let set = set.collect::<Vec<_>>().join(", ");
    format!("UPDATE OR ROLLBACK {name} SET {set} FROM (VALUES {tuples}) AS new WHERE {name}.{key} = new.column1")
}

/// Runs a statement over all rows, chunk by chunk: while SQLite works on one, the parameters of the next are made. Says
/// how many rows it has touched.
async fn run<R: Record>(
    db: &mut SqliteConnection,
    rows: &[R],
    statement: impl Fn(String) -> String,
) -> Result<u64, Stop> {
    let columns = R::TABLE.columns.len();
    let tuple = format!("({})", vec!["?"; columns].join(", "));
    let mut sql: (usize, Arc<str>) = (0, "".into());
    let mut prepared = chunks(rows).map(|chunk| {
        if sql.0 != chunk.len() {
            sql = (chunk.len(), statement(vec![tuple.as_str(); chunk.len()].join(", ")).into());
        }
        let mut parameters = Parameters::default();
        parameters.reserve(chunk.len() * columns);
        chunk.iter().for_each(|row| row.values(&mut parameters));
        // Made of the constants of this program alone: every value is a parameter.
        sqlx::query_with(AssertSqlSafe(Arc::clone(&sql.1)), parameters.into_arguments())
    });
    let (mut next, mut touched) = (prepared.next(), 0);
    while let Some(query) = next {
        let (done, prepared) = future::join(query.execute(&mut *db), async { prepared.next() }).await;
        touched += done?.rows_affected();
        next = prepared;
    }
    Ok(touched)
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
