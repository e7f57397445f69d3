//! Connections, each set up for what it is for.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::time::timeout;

use super::config::PostgresConfig;
use super::failure::Failure;

/// How long it may take to connect, encrypt and log in.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Commits, one after the other.
    Write,
    /// Short reads, one after the other.
    Read,
    /// Samples, which may be lost.
    Samples,
    /// One thing that takes its time: a load, a migration.
    Long,
}

/// Ended by the server itself where the client has gone, so that no lock outlives it for long. Nothing is compiled for a
/// statement: it takes a tenth of a second, for a commit of one row too.
const ALWAYS: [(&str, &str); 6] = [
    ("jit", "off"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// Rows are found by their keys, whatever the planner believes of tables that have grown since it looked last; and a
/// statement is planned once, not with each batch.
const WRITE: [(&str, &str); 5] = [
    ("statement_timeout", "8s"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

const READ: [(&str, &str); 2] = [("statement_timeout", "5s"), ("default_transaction_read_only", "on")];

/// As for commits, but that none waits for a disk.
const SAMPLES: [(&str, &str); 6] = [
    ("statement_timeout", "8s"),
    ("synchronous_commit", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

const LONG: [(&str, &str); 2] = [("statement_timeout", "0"), ("work_mem", "64MB")];

impl PostgresConfig {
    pub(super) fn options_for(&self, purpose: Purpose) -> PgConnectOptions {
        let more: &[(&str, &str)] = match purpose {
            Purpose::Write => &WRITE,
            Purpose::Read => &READ,
            Purpose::Samples => &SAMPLES,
            Purpose::Long => &LONG,
        };
        let mut options = PgConnectOptions::clone(&self.options).options(ALWAYS).options(more.iter().copied());
        if options.get_application_name().is_none() {
            options = options.application_name("fogline");
        }
        options.statement_cache_capacity(256).disable_statement_logging()
    }

    /// A new connection. One that is to write is sure to find a server that takes writes, and keeps what it has said.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<PgConnection, Failure> {
        let connecting = async {
            let mut connection = self.options_for(purpose).connect().await?;
            if purpose == Purpose::Write {
                make_durable(&mut connection).await?;
            }
            Ok(connection)
        };
        match timeout(CONNECT_DEADLINE, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.not_connected(&error)),
            Err(_) => Err(Failure::Unavailable(format!("no answer from {} within 5 s", self.place()))),
        }
    }

    /// Why there is no connection, with what may help.
    fn not_connected(&self, error: &sqlx::Error) -> Failure {
        let place = self.place();
        let detail = match Failure::before(error) {
            Failure::Unavailable(detail) | Failure::Other(detail) => detail,
            failure => return failure,
        };
        let hint = if detail.contains("certificate") {
            ". Its certificate has to be signed by a CA that sslrootcert names, and be for this host (sslmode=verify-full)"
        } else if matches!(error, sqlx::Error::Io(_)) {
            ". Is the server running, and does it listen there?"
        } else {
            ""
        };
        Failure::Unavailable(format!("{place}: {detail}{hint}"))
    }
}

/// What an answered commit has to survive is what the server's administrator has set, but never less than its own disk.
async fn make_durable(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync')";
    let row = connection.fetch_one(sql).await?;
    if !matches!(row.try_get(0)?, "on" | "remote_apply") {
        connection.execute("SET synchronous_commit = on").await?;
    }
    if row.try_get::<&str, _>(1)? != "on" {
        tracing::warn!("PostgreSQL runs with fsync off: a power cut there loses what was acknowledged");
    }
    Ok(())
}
