//! A query to PostgreSQL that gives one number.
//!
//! Only servers that an administrator has set up are asked: whoever speaks this protocol gets the means to log in, and an
//! answer's size is the server's word. Policies name a query of the connection's own; only where its settings say so may
//! they bring SQL. Either way the query is somebody else's, so: one statement, in a transaction that may not
//! write and is never committed, with the question's own time limit; what it gives is looked at before it runs, so that
//! nothing but one column of numbers ever travels; and the session is wiped before another query sees it. What the
//! role may do is the administrator's part. Tests: `tests/it/postgresql.rs`.

mod connections;
mod failure;
mod numeric;
mod options;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fogline_core::scaling::sample::Sample;
use fogline_core::spec::FieldError;
use fogline_core::time::Timestamp;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Column, Executor, Row, SqlSafeStr, Statement, TypeInfo, ValueRef};

use self::connections::Connections;
use self::failure::words;
use crate::Answer;
use crate::config::Connection;
use crate::credentials::{Credentials, Secret};
use crate::text::said;

/// One server.
pub(crate) struct PostgresServer {
    options: PgConnectOptions,
    credentials: Credentials,
    connections: Connections,
    queries: BTreeMap<String, String>,
    allow_sql: bool,
}

impl PostgresServer {
    pub(crate) fn new(connection: &Connection) -> Result<Self, String> {
        let Connection { url, credentials, ca_file, queries, allow_sql, .. } = connection;
        let Credentials::Password { username: Some(username), .. } = credentials else {
            return Err(
                "username is missing; accepted: the role to log in as, which may read and nothing else".to_owned()
            );
        };
        let options = options::of(PgConnectOptions::new_without_pgpass(), url, username, ca_file.as_deref())?;
        Ok(Self {
            options,
            credentials: credentials.clone(),
            connections: Connections::new(),
            queries: queries.clone(),
            allow_sql: *allow_sql,
        })
    }

    /// The SQL that a policy's `query` stands for.
    pub(crate) fn sql<'a>(&'a self, query: &'a str) -> Result<&'a str, FieldError> {
        if let Some(sql) = self.queries.get(query) {
            return Ok(sql);
        }
        if self.allow_sql {
            return Ok(query);
        }
        let names: Vec<&str> = self.queries.keys().map(String::as_str).collect();
        let accepted = match names.as_slice() {
            [] => "none yet: an administrator writes queries below the connection, or allow_sql = true".to_owned(),
            _ => format!("the name of one: {}", names.join(", ")),
        };
        Err(FieldError::new("query", "is none of the connection's queries, and it takes no SQL of policies", accepted))
    }

    pub(crate) async fn ask(&self, query: &str, limit: Duration, now: Timestamp) -> Result<Answer, String> {
        let secret = self.credentials.read().await?;
        let sql = self.sql(query).map_err(|error| format!("{} {}", error.field, error.message))?;
        let answer = self.ask_as(&secret, sql, limit, now).await;
        answer.map_err(|reason| secret.redact(&reason))
    }

    async fn ask_as(&self, secret: &Secret, query: &str, limit: Duration, now: Timestamp) -> Result<Answer, String> {
        let login = secret.password().map(Into::into);
        let mut options = self.options.clone();
        if let Some(password) = secret.password() {
            options = options.password(password);
        }
        let mut lent = self.connections.lend(&options, login).await.map_err(|error| failure::of_login(&error))?;
        let connection = &mut lent.connection;
        let millis = limit.as_millis().max(1);
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {millis}");
        connection.execute(AssertSqlSafe(begin)).await.map_err(|error| words(&error))?;
        let value = one_number(connection, query).await?;
        // Nothing that the query has left in the session is there for the next: settings, locks, prepared statements.
        connection.execute("ROLLBACK").await.map_err(|error| words(&error))?;
        connection.execute("DISCARD ALL").await.map_err(|error| words(&error))?;
        lent.give_back();
        match value {
            Some(value) => Answer::number(value, now),
            None => Ok(Answer::of(Sample::Missing)),
        }
    }
}

impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresServer").field("host", &self.options.get_host()).finish_non_exhaustive()
    }
}

async fn one_number(connection: &mut PgConnection, query: &str) -> Result<Option<f64>, String> {
    let sql = AssertSqlSafe(query.to_owned()).into_sql_str();
    let statement = connection.prepare(sql).await.map_err(|error| words(&error))?;
    match statement.columns() {
        [column] if numeric::is_number(column.type_info()) => {}
        [column] => {
            return Err(format!(
                "the query gives {}, which is no number; accepted: one column of a numeric type",
                said(column.type_info().name())
            ));
        }
        columns => return Err(format!("the query gives {} columns; accepted: one", columns.len())),
    }
    let mut rows = statement.query().fetch(connection);
    let Some(row) = rows.try_next().await.map_err(|error| words(&error))? else { return Ok(None) };
    if rows.try_next().await.map_err(|error| words(&error))?.is_some() {
        return Err("the query gives several rows; accepted: one row with one number".to_owned());
    }
    number(&row)
}

fn number(row: &PgRow) -> Result<Option<f64>, String> {
    let value = row.try_get_raw(0).map_err(|error| words(&error))?;
    if value.is_null() {
        return Ok(None);
    }
    let info = value.type_info().into_owned();
    let bytes = value.as_bytes().map_err(|_| "the answer has a number that cannot be read".to_owned())?;
    numeric::read(&info, bytes).map(Some).ok_or_else(|| "the answer has a number that cannot be read".to_owned())
}
