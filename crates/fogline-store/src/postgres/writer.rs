//! The one connection that writes, and what is known of the last write.
//!
//! A commit whose answer is lost may be on its way still: bytes that a closed socket has not sent yet are delivered
//! when the network is whole again, however late. So each commit shows the revision that it comes after, and before
//! anything is read or written on top of a lost one, [`Writer::settle`] takes a revision of its own: the lost commit
//! has landed before that, or it never does. A copy that was promoted without the last commits gives no revision: what
//! it has lost must not be hidden by one more. Invariant: `seen` is the revision of the leader's row, or nothing was
//! promised on it.
//! Tests: `tests/it/faults/postgres_connection.rs`.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Connection, Executor, Postgres, Row};
use tokio::time::{Instant, timeout};

use super::config::PostgresConfig;
use super::connect::Purpose;
use super::failure::{Failure, of_read};
use super::{migrate, within};
use crate::error::StoreError;
use crate::lease::Lease;

/// How long a write may take. The server's own limit comes first, unless it cannot be heard.
const DEADLINE: Duration = Duration::from_secs(10);

/// After so long without a word the connection is tried out first: one that has died meanwhile then costs nothing but a
/// new one, where a commit on it would have to count as lost.
const IDLE: Duration = Duration::from_secs(1);

const SETTLE: &str = "UPDATE leader SET revision = revision + 1 WHERE epoch = $1 AND holder = $2 AND lease_ms > 0 \
    AND revision >= $3 RETURNING revision";

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// Who may write, as the leader's row says it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) epoch: i64,
    pub(super) holder: String,
}

impl Right {
    /// Nothing where no row can ever have this epoch.
    pub(super) fn of(lease: &Lease) -> Option<Self> {
        Some(Self { epoch: i64::try_from(lease.epoch).ok()?, holder: lease.holder.clone() })
    }
}

/// See the module.
pub(super) struct Writer {
    config: PostgresConfig,
    connection: Option<(PgConnection, Instant)>,
    /// The last revision of this right that is known for sure.
    seen: Option<(Right, i64)>,
    /// The highest revision that this right was ever given: a database with a lower one has lost something.
    given: Option<(Right, i64)>,
    /// The right by which something was written whose answer has not come.
    doubtful: Option<Right>,
}

impl Writer {
    pub(super) const fn new(config: PostgresConfig) -> Self {
        Self { config, connection: None, seen: None, given: None, doubtful: None }
    }

    /// Runs one statement, which is one transaction. Whoever stops waiting leaves no connection behind that could mix up
    /// its answers.
    pub(super) async fn run(&mut self, query: Query<'_>) -> Result<Option<PgRow>, Failure> {
        let mut connection = self.connected().await?;
        match timeout(DEADLINE, query.fetch_optional(&mut connection)).await {
            Ok(Ok(row)) => {
                self.connection = Some((connection, Instant::now()));
                Ok(row)
            }
            Ok(Err(error)) => {
                let failure = Failure::after(&error);
                if failure.spares_connection() {
                    self.connection = Some((connection, Instant::now()));
                }
                Err(failure)
            }
            Err(_) => Err(Failure::Unknown(format!("no answer from PostgreSQL within {} s", DEADLINE.as_secs()))),
        }
    }

    /// Whether the server takes writes, and has the schema for them: says clearly what a statement would say in its own
    /// words.
    pub(super) async fn check(&mut self) -> Result<(), StoreError> {
        let mut connection = self.connected().await?;
        within(DEADLINE, async {
            migrate::check_complete(&mut connection).await?;
            let row = connection.fetch_one("SELECT pg_is_in_recovery()").await.map_err(of_read)?;
            if row.try_get(0).map_err(of_read)? {
                let detail = format!("{:?} is a copy in recovery: only the primary takes writes", self.config);
                return Err(StoreError::Unavailable { detail });
            }
            Ok(())
        })
        .await?;
        self.connection = Some((connection, Instant::now()));
        Ok(())
    }

    /// Runs a statement that takes the next revision after the one that `query` is given. Nothing where the right is
    /// worth nothing.
    pub(super) async fn advance<'q>(
        &mut self,
        right: &Right,
        query: impl FnOnce(i64) -> Query<'q>,
    ) -> Result<Option<i64>, Failure> {
        let Some(seen) = self.seen(right).await? else { return Ok(None) };
        let query = query(seen);
        // Kept whatever becomes of this future.
        self.doubtful = Some(right.clone());
        let answer = self.run(query).await;
        if !matches!(answer, Err(Failure::Unknown(_) | Failure::Other(_))) {
            self.doubtful = None;
        }
        let revision: Option<i64> = match answer? {
            Some(row) => row.try_get(0).map_err(|error| Failure::after(&error))?,
            None => None,
        };
        self.remember(right, revision);
        Ok(revision)
    }

    /// The revision that the next write of this right comes after.
    async fn seen(&mut self, right: &Right) -> Result<Option<i64>, Failure> {
        self.settle().await?;
        if let Some((of, revision)) = &self.seen
            && of == right
        {
            return Ok(Some(*revision));
        }
        self.take_revision(right).await
    }

    /// Makes sure that what was sent before has landed or never will.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let Some(right) = self.doubtful.clone() else { return Ok(()) };
        self.take_revision(&right).await?;
        self.doubtful = None;
        Ok(())
    }

    async fn take_revision(&mut self, right: &Right) -> Result<Option<i64>, Failure> {
        let given = self.given.as_ref().filter(|(to, _)| to == right).map_or(0, |(_, revision)| *revision);
        let row = self.run(sqlx::query(SETTLE).bind(right.epoch).bind(right.holder.clone()).bind(given)).await?;
        let revision = row.map(|row| row.try_get(0)).transpose().map_err(|error| Failure::after(&error))?;
        self.remember(right, revision);
        Ok(revision)
    }

    /// What the database has said of this right; nothing where it is worth nothing there.
    fn remember(&mut self, right: &Right, revision: Option<i64>) {
        self.seen = revision.map(|revision| (right.clone(), revision));
        if self.seen.is_some() {
            self.given.clone_from(&self.seen);
        }
    }

    /// What a take-over has given.
    pub(super) fn begin(&mut self, right: Right, revision: i64) {
        self.remember(&right, Some(revision));
    }

    /// Takes the connection out; it comes back once it has answered.
    async fn connected(&mut self) -> Result<PgConnection, Failure> {
        if let Some((mut connection, last)) = self.connection.take()
            && (last.elapsed() < IDLE || matches!(timeout(IDLE, connection.ping()).await, Ok(Ok(()))))
        {
            return Ok(connection);
        }
        self.config.connect(Purpose::Write).await
    }

    pub(super) async fn close(&mut self) {
        if let Some((connection, _)) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the connection that writes");
        }
    }
}
