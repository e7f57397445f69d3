//! Samples in one SQLite file: one connection writes, two read.
//!
//! WAL with `synchronous=NORMAL`: a commit waits for no disk. A power cut may take the last commits, and leaves a whole
//! file. A file that turns out to be damaged while it is used is set aside there and then. Invariant: nobody has a
//! connection to a file that is being set aside. Tests: `tests/it/samples`.

mod aside;
mod open;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{Connection, Row, SqlitePool};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use self::writer::Writer;
use super::Compacted;
use super::fold::{FINE, Fold};
use super::span::{Span, Sums};
use super::statements::ENDS;
use crate::error::{OpenError, StoreError};
use crate::sqlite::Failure;

/// Looks each row up, one after the other: the key of a row begins with its time, so that all series of a moment are
/// written side by side.
macro_rules! look_up {
    ($table:literal, $row:literal, $count:literal, $sum:literal, $max:literal) => {
        concat!(
            "WITH RECURSIVE tick (at) AS (SELECT ?2 UNION ALL SELECT at + ",
            $row,
            " FROM tick WHERE at + ",
            $row,
            " < ?3) SELECT found.at / ?4 * ?4 AS step, sum(",
            $count,
            "), sum(",
            $sum,
            "), max(",
            $max,
            ") FROM tick CROSS JOIN ",
            $table,
            " AS found ON found.at = tick.at AND found.series = ?1 GROUP BY step"
        )
    };
}

const FINE_ROWS: &str =
    look_up!("sample_fine", "10", "rest_count + 1", "rest_sum + last_value", "max(rest_max, last_value)");
const COARSE_ROWS: &str = look_up!("sample_coarse", "60", "count", "sum", "max");

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct SqliteSamples {
    file: Arc<Path>,
    open: Arc<RwLock<Option<Open>>>,
}

/// The connections to one file.
#[derive(Debug)]
struct Open {
    writer: Mutex<Writer>,
    readers: SqlitePool,
    /// Differs from file to file.
    number: u64,
}

impl SqliteSamples {
    pub(super) async fn open(file: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
        let file: PathBuf = std::path::absolute(file).map_err(unusable)?;
        let open = Open::open(&file, 0).await?;
        Ok(Self { file: file.into(), open: Arc::new(RwLock::new(Some(open))) })
    }

    pub(super) async fn append(&self, folded: &[Vec<Fold>; 2]) -> Result<(), StoreError> {
        let open = self.open.read().await;
        let done = opened(&open)?.writer.lock().await.append(folded).await;
        self.told(open, done).await
    }

    pub(super) async fn compact(&self, fine: i64, kept: i64, compacted: &mut Compacted) -> Result<(), StoreError> {
        while {
            let open = self.open.read().await;
            let moved = opened(&open)?.writer.lock().await.move_minute(fine).await;
            let moved = self.told(open, moved).await?;
            compacted.moved += moved;
            moved > 0
        } {}
        while {
            let open = self.open.read().await;
            let removed = opened(&open)?.writer.lock().await.remove_minute(kept).await;
            let removed = self.told(open, removed).await?;
            compacted.removed += removed;
            removed > 0
        } {}
        Ok(())
    }

    pub(super) async fn sums(&self, series: i64, span: Span) -> Result<Sums, StoreError> {
        let open = self.open.read().await;
        let sums = read(&opened(&open)?.readers, series, span).await;
        self.told(open, sums).await
    }

    pub(super) async fn close(&self) {
        if let Some(open) = self.open.write().await.take() {
            open.close().await;
        }
    }

    /// Passes on what came of a call. Where the file turned out to be damaged, another one is begun first.
    async fn told<T>(
        &self,
        open: RwLockReadGuard<'_, Option<Open>>,
        done: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let error = match done {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let number = open.as_ref().map(|open| open.number);
        drop(open);
        if Failure::is_corrupt(&error)
            && let Some(number) = number
        {
            self.begin_anew(number, &error).await;
        }
        Err(error.into())
    }

    /// Sets the file of this number aside, unless somebody else has done so.
    async fn begin_anew(&self, number: u64, error: &sqlx::Error) {
        let mut place = self.open.write().await;
        let Some(damaged) = place.take_if(|open| open.number == number) else { return };
        damaged.close().await;
        aside::set_aside(&self.file, &error.to_string());
        match Open::open(&self.file, number + 1).await {
            Ok(open) => *place = Some(open),
            Err(error) => tracing::error!(%error, "no samples are kept until the next start"),
        }
    }
}

fn opened<'g>(open: &'g RwLockReadGuard<'_, Option<Open>>) -> Result<&'g Open, StoreError> {
    let closed = || StoreError::Database { detail: "the store of samples is closed".to_owned() };
    open.as_ref().ok_or_else(closed)
}

impl Open {
    async fn close(self) {
        self.readers.close().await;
        self.writer.into_inner().close().await;
    }
}

async fn read(readers: &SqlitePool, series: i64, span: Span) -> Result<Sums, sqlx::Error> {
    let mut connection = readers.acquire().await?;
    // Both tables of one moment: a minute that is moved in between would be missed, or counted twice.
    let mut moment = connection.begin().await?;
    let ends = sqlx::query(ENDS).fetch_one(&mut *moment).await?;
    let mut sums = Sums::default();
    for (sql, row, first) in [(FINE_ROWS, FINE, 0), (COARSE_ROWS, 60, 2)] {
        let Some(part) = span.within(ends.try_get(first)?, ends.try_get(first + 1)?, row) else { continue };
        let query = sqlx::query(sql).bind(series).bind(part.from).bind(part.to).bind(part.step);
        for found in query.fetch_all(&mut *moment).await? {
            sums.add(found.try_get(0)?, found.try_get(1)?, found.try_get(2)?, found.try_get(3)?);
        }
    }
    moment.rollback().await?;
    Ok(sums)
}
