//! Samples in unlogged tables of the database that has the rows.
//!
//! Unlogged: PostgreSQL writes them to no log, so they cost a fraction, are on no standby, and are empty after a crash of
//! the server. They are in no migration either: what they hold can be lost, so a form of their own is made anew when it
//! is another one, and going back to an older program needs nothing. Nearly every call is one statement, which is one
//! transaction. Tests: `tests/it/samples`.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Executor, PgPool, Row};

use super::Compacted;
use super::fold::{FINE, Fold};
use super::span::{Span, Sums};
use super::statements::{ENDS, take_in, take_minutes_in};
use crate::error::{OpenError, StoreError};
use crate::postgres::{Lent, PostgresConfig, Purpose, READ_DEADLINE, of_read, pool, within};

/// How long a write may take. The server's own limit comes first, unless it cannot be heard.
const DEADLINE: Duration = Duration::from_secs(10);

/// Of what `TABLES` makes. Tables of another one are made anew.
const VERSION: i64 = 1;

/// Servers that start at once take turns. Any number that nothing else locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7236833301445013506)";

const THERE: &str = "SELECT to_regclass('sample_schema') IS NOT NULL";
const FORM: &str = "SELECT version FROM sample_schema";
const DROP: &str = "DROP TABLE IF EXISTS sample_schema, sample_fine, sample_coarse";
const TABLES: &str = "CREATE TABLE sample_schema (version BIGINT NOT NULL);
    INSERT INTO sample_schema VALUES (1);
    CREATE UNLOGGED TABLE sample_fine (
        at         BIGINT NOT NULL,
        series     BIGINT NOT NULL,
        rest_count BIGINT NOT NULL,
        rest_sum   FLOAT  NOT NULL,
        rest_max   FLOAT  NOT NULL,
        last_at    BIGINT NOT NULL,
        last_value FLOAT  NOT NULL,
        PRIMARY KEY (at, series)
    );
    CREATE UNLOGGED TABLE sample_coarse (
        at     BIGINT NOT NULL,
        series BIGINT NOT NULL,
        count  BIGINT NOT NULL,
        sum    FLOAT  NOT NULL,
        max    FLOAT  NOT NULL,
        PRIMARY KEY (at, series)
    );";

const TAKE_IN: &str = take_in!("SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)", "greatest");

const OLDEST: &str = "SELECT min(at) FROM sample_fine";
/// Rows that another server adds to the minute in between stay, and are moved by the next call.
const MOVE_MINUTE: &str = concat!(
    "WITH moved AS (DELETE FROM sample_fine WHERE at >= $1 AND at < $1 + 60 RETURNING *), put AS (",
    take_minutes_in!(
        "SELECT $1, series, sum(rest_count + 1)::bigint, sum(rest_sum + last_value), \
            max(greatest(rest_max, last_value)) FROM moved GROUP BY series ORDER BY series",
        "greatest"
    ),
    ") SELECT count(*) FROM moved"
);
const REMOVE_MINUTE: &str = "WITH gone AS (DELETE FROM sample_coarse \
    WHERE at = (SELECT min(at) FROM sample_coarse) AND at < $1 RETURNING 1) SELECT count(*) FROM gone";

/// Looks each row up, one after the other: the key of a row begins with its time, so that all series of a moment are
/// written side by side. `LIMIT` keeps the planner from reading everything instead.
macro_rules! look_up {
    ($table:literal, $row:literal, $count:literal, $sum:literal, $max:literal) => {
        concat!(
            "SELECT found.at / $4 * $4 AS step, sum(",
            $count,
            ")::bigint, sum(",
            $sum,
            "), max(",
            $max,
            ") FROM generate_series($2, $3 - 1, ",
            $row,
            ") AS tick (at) CROSS JOIN LATERAL (SELECT * FROM ",
            $table,
            " AS one WHERE one.at = tick.at AND one.series = $1 LIMIT 1) AS found GROUP BY step"
        )
    };
}

const FINE_ROWS: &str =
    look_up!("sample_fine", "10", "rest_count + 1", "rest_sum + last_value", "greatest(rest_max, last_value)");
const COARSE_ROWS: &str = look_up!("sample_coarse", "60", "count", "sum", "max");

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct PostgresSamples {
    place: String,
    /// One connection: two batches at once would only wait for each other's rows.
    writer: PgPool,
    readers: PgPool,
}

impl PostgresSamples {
    pub(super) async fn open(config: &PostgresConfig) -> Result<Self, OpenError> {
        let unreachable = |error: StoreError| OpenError::Unreachable {
            database: config.place(),
            detail: match error {
                StoreError::Unavailable { detail } | StoreError::Database { detail } => detail,
                error => error.to_string(),
            },
        };
        // The tables themselves must outlive a crash.
        let connection = config.connect(Purpose::Long).await;
        let mut connection = connection.map_err(|failure| unreachable(failure.into()))?;
        within(DEADLINE, prepare(&mut connection)).await.map_err(unreachable)?;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing the connection that has made the tables of samples");
        }
        Ok(Self {
            place: config.place(),
            writer: pool(config, Purpose::Samples, 1),
            readers: pool(config, Purpose::Read, 2),
        })
    }

    pub(super) async fn append(&self, [first, more]: &[Vec<Fold>; 2]) -> Result<(), StoreError> {
        if more.is_empty() {
            return self.write(take_in(first)).await.map(|_| ());
        }
        let mut lent = Lent::of(&self.writer, &self.place).await?;
        let both = async {
            let mut transaction = lent.connection().begin().await.map_err(of_read)?;
            for rows in [first, more] {
                take_in(rows).execute(&mut *transaction).await.map_err(of_read)?;
            }
            transaction.commit().await.map_err(of_read)
        };
        let done = within(DEADLINE, both).await;
        lent.give_back(done)
    }

    pub(super) async fn compact(&self, fine: i64, kept: i64, compacted: &mut Compacted) -> Result<(), StoreError> {
        loop {
            let oldest: Option<i64> = first(&self.write(sqlx::query(OLDEST)).await?)?;
            let Some(minute) = oldest.map(|at| at.div_euclid(60) * 60).filter(|minute| *minute < fine) else { break };
            compacted.moved += count(&self.write(sqlx::query(MOVE_MINUTE).bind(minute)).await?)?;
        }
        loop {
            let removed = count(&self.write(sqlx::query(REMOVE_MINUTE).bind(kept)).await?)?;
            if removed == 0 {
                return Ok(());
            }
            compacted.removed += removed;
        }
    }

    pub(super) async fn sums(&self, series: i64, span: Span) -> Result<Sums, StoreError> {
        let mut lent = Lent::of(&self.readers, &self.place).await?;
        let sums = within(READ_DEADLINE, read(lent.connection(), series, span)).await;
        lent.give_back(sums)
    }

    pub(super) async fn close(&self) {
        let both = async { tokio::join!(self.writer.close(), self.readers.close()) };
        let _ = tokio::time::timeout(Duration::from_secs(2), both).await;
    }

    /// Runs one statement. The last row that it gives, if it gives any.
    async fn write(&self, query: Query<'_>) -> Result<Option<PgRow>, StoreError> {
        let mut lent = Lent::of(&self.writer, &self.place).await?;
        let connection = lent.connection();
        let done = within(DEADLINE, async { query.fetch_optional(connection).await.map_err(of_read) }).await;
        lent.give_back(done)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn take_in(rows: &[Fold]) -> Query<'static> {
    let numbers = |of: fn(&Fold) -> i64| rows.iter().map(of).collect::<Vec<_>>();
    let reals = |of: fn(&Fold) -> f64| rows.iter().map(of).collect::<Vec<_>>();
    sqlx::query(TAKE_IN)
        .bind(numbers(|row| row.at))
        .bind(numbers(|row| row.series))
        .bind(numbers(|row| row.rest_count))
        .bind(reals(|row| row.rest_sum))
        .bind(reals(|row| row.rest_max))
        .bind(numbers(|row| row.last_at))
        .bind(reals(|row| row.last_value))
}

/// Makes the tables where there are none of this form.
async fn prepare(db: &mut PgConnection) -> Result<(), StoreError> {
    let mut transaction = db.begin().await.map_err(of_read)?;
    transaction.execute(LOCK).await.map_err(of_read)?;
    let there: bool = transaction.fetch_one(THERE).await.and_then(|row| row.try_get(0)).map_err(of_read)?;
    let form: Option<i64> = match there {
        true => first(&transaction.fetch_optional(FORM).await.map_err(of_read)?)?,
        false => None,
    };
    if form != Some(VERSION) {
        transaction.execute(DROP).await.map_err(of_read)?;
        transaction.execute(sqlx::raw_sql(TABLES)).await.map_err(of_read)?;
    }
    transaction.commit().await.map_err(of_read)
}

async fn read(db: &mut PgConnection, series: i64, span: Span) -> Result<Sums, StoreError> {
    // Both tables of one moment: a minute that is moved in between would be missed, or counted twice.
    let mut moment = db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(of_read)?;
    let ends = moment.fetch_one(ENDS).await.map_err(of_read)?;
    let end = |at: usize| ends.try_get::<Option<i64>, _>(at).map_err(of_read);
    let mut sums = Sums::default();
    for (sql, row, at) in [(FINE_ROWS, FINE, 0), (COARSE_ROWS, 60, 2)] {
        let Some(part) = span.within(end(at)?, end(at + 1)?, row) else { continue };
        let query = sqlx::query(sql).bind(series).bind(part.from).bind(part.to).bind(part.step);
        for found in query.fetch_all(&mut *moment).await.map_err(of_read)? {
            let number = |at: usize| found.try_get::<i64, _>(at).map_err(of_read);
            let real = |at: usize| found.try_get::<f64, _>(at).map_err(of_read);
            sums.add(number(0)?, number(1)?, real(2)?, real(3)?);
        }
    }
    moment.commit().await.map_err(of_read)?;
    Ok(sums)
}

/// The number of the row that was given; nothing where it is NULL, or there is no row.
fn first(row: &Option<PgRow>) -> Result<Option<i64>, StoreError> {
    row.as_ref().map_or(Ok(None), |row| row.try_get(0)).map_err(of_read)
}

fn count(row: &Option<PgRow>) -> Result<u64, StoreError> {
    Ok(first(row)?.unwrap_or(0).unsigned_abs())
}
