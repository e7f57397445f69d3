//! Raw samples of metrics, as long as anybody looks at them: of every 10 s for a day, of every minute for 30 days.
//!
//! A store of its own, so that samples never pass the writer of the rows: a second SQLite file (`sqlite`), or unlogged
//! tables beside the others in PostgreSQL (`postgres`). Must never hold anything that cannot be lost: what was written in
//! the last moments before a power cut may be, a crash of PostgreSQL takes all of it, a damaged file is set aside and
//! begun anew, and no backup has it. Invariant: a call fails or does all that it was asked for. Tests:
//! `tests/it/samples`.

mod config;
mod fold;
mod postgres;
mod span;
mod sqlite;
mod statements;

use std::time::Duration;

use fogline_core::scaling::sample::Point;
use fogline_core::time::Timestamp;

pub use self::config::SamplesConfig;
use self::fold::{SECOND, fold};
use self::postgres::PostgresSamples;
use self::span::Span;
use self::sqlite::SqliteSamples;
use crate::error::{OpenError, StoreError};

/// For how long there is a sample of every 10 s.
pub const FINE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long there is a sample of every minute.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Which series.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesKey {
    /// What was measured, as the text of a `ScalingTarget`.
    pub target: String,
    /// The name of the metric.
    pub metric: String,
}

/// What was measured from one moment up to the next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    /// Its beginning, a multiple of the step that was asked for.
    pub at: Timestamp,
    /// The mean of its points.
    pub mean: f64,
    /// The largest of them.
    pub max: f64,
    /// How many they are, at least one.
    pub count: u64,
}

/// What [`SampleStore::compact`] has done, in rows. A row is 10 s or a minute of a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// Rows of 10 s that were put into minutes.
    pub moved: u64,
    /// Minutes that are gone.
    pub removed: u64,
}

/// See the module. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct SampleStore {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(SqliteSamples),
    Postgres(PostgresSamples),
}

impl SampleStore {
    /// Opens the store, and makes it where it is missing. One that is damaged, or of another version of this program,
    /// is begun anew; a file is kept under the name `….damaged`.
    ///
    /// # Errors
    /// When its place cannot be reached or written.
    pub async fn open(config: &SamplesConfig) -> Result<Self, OpenError> {
        let backend = match config {
            SamplesConfig::Sqlite { file } => Backend::Sqlite(SqliteSamples::open(file).await?),
            SamplesConfig::Postgres(config) => Backend::Postgres(PostgresSamples::open(config).await?),
        };
        Ok(Self { backend })
    }

    /// Adds points. A point of the instant of its series' last one takes that one's place, and of several of one
    /// instant in a batch the later one counts; an older one counts beside those that are there. Left out is what says
    /// nothing: a value that is not finite or beyond ±1e290, a moment before 1970, a name with a NUL.
    ///
    /// # Errors
    /// When the disk is full or the database fails. Nothing was added then.
    pub async fn append(&self, batch: &[(SeriesKey, Point)]) -> Result<(), StoreError> {
        let folded = fold(batch);
        if folded.iter().all(Vec::is_empty) {
            return Ok(());
        }
        match &self.backend {
            Backend::Sqlite(store) => store.append(&folded).await,
            Backend::Postgres(store) => store.append(&folded).await,
        }
    }

    /// What was measured from `from` up to `to`, oldest first, without the steps in which nothing was. Steps are
    /// multiples of 10 s, rounded up; where only minutes are kept, shorter ones have something once a minute. Of what is
    /// longer than 31 days the last 31 days are given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn range(
        &self,
        key: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        step: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        let span = Span::of(from, to, step);
        let series = fold::series(key);
        let sums = match &self.backend {
            Backend::Sqlite(store) => store.sums(series, span).await?,
            Backend::Postgres(store) => store.sums(series, span).await?,
        };
        Ok(sums.into_buckets())
    }

    /// Puts what is older than a day into minutes, and lets go of what is older than 30 days: a minute of all series a
    /// transaction, so that points get in between.
    ///
    /// # Errors
    /// When the disk is full or the database fails. What was done before that stays so.
    pub async fn compact(&self, now: Timestamp) -> Result<Compacted, StoreError> {
        let minute = |at: Timestamp| at.as_micros().div_euclid(60 * SECOND) * 60;
        let (fine, kept) = (minute(now.minus(FINE_FOR)), minute(now.minus(KEPT_FOR)));
        let mut compacted = Compacted::default();
        match &self.backend {
            Backend::Sqlite(store) => store.compact(fine, kept, &mut compacted).await?,
            Backend::Postgres(store) => store.compact(fine, kept, &mut compacted).await?,
        }
        Ok(compacted)
    }

    /// Ends the store for every clone, and waits for what runs.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(store) => store.close().await,
            Backend::Postgres(store) => store.close().await,
        }
    }
}
