//! How to reach a cluster, and one database in it.
//!
//! Invariant: what a `Database` made is gone when it is dropped, unless its cluster does not run then. Tests:
//! `tests/it/postgres.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::program;

/// How a cluster is reached.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) psql: PathBuf,
    pub(super) socket_dir: PathBuf,
    /// On loopback; of the network namespace in which it was started.
    pub(super) address: SocketAddr,
    pub(super) password: &'static str,
    /// The certificate that signed the server's; nothing without encryption.
    pub(super) ca_file: Option<PathBuf>,
}

impl Access {
    /// Runs statements as the superuser over the Unix socket.
    #[track_caller]
    pub(super) fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(database, statements).unwrap_or_else(|said| panic!("PostgreSQL did not do {statements:?}: {said}"))
    }

    /// The same, with what it said where it failed.
    pub(super) fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut command = self.psql(statements);
        command.args(["-U", "postgres", "-d", database, "-p", &self.address.port().to_string()]);
        said(command.arg("-h").arg(&self.socket_dir).env("PGPASSWORD", self.password))
    }

    /// Runs statements over a connection that a URL describes.
    pub(super) fn client(&self, url: &str, statements: &str) -> Result<String, String> {
        said(self.psql(statements).args(["-d", url]))
    }

    fn psql(&self, statements: &str) -> Command {
        let mut command = program::command(&self.psql);
        command.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        command.env("PGCONNECT_TIMEOUT", "10");
        command
    }
}

/// What `psql` gave, or why not.
fn said(command: &mut Command) -> Result<String, String> {
    let output = program::output(command);
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A database of one test, and its owner.
#[derive(Debug)]
pub struct Database {
    name: String,
    access: Access,
}

impl Database {
    pub(super) fn create(access: &Access) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        access.sql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{name}-password'"));
        access.sql("postgres", &format!("CREATE DATABASE {name} OWNER {name}"));
        Self { name, access: access.clone() }
    }

    /// Its name, which is its owner's too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its owner's password, which stands in the URL too.
    #[must_use]
    pub fn password(&self) -> String {
        format!("{}-password", self.name)
    }

    /// `postgres://USER:PASSWORD@127.0.0.1:PORT/NAME`. With encryption it demands that the certificate is checked.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.access.address)
    }

    /// The same by another way: the address of a relay, or of a promoted standby.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let plain = format!("postgres://{}:{}@{address}/{}", self.name, self.password(), self.name);
        match &self.access.ca_file {
            Some(ca) => format!("{plain}?sslmode=verify-full&sslrootcert={}", ca.display()),
            None => plain,
        }
    }

    /// Runs statements in it as the superuser and gives what they return: a line a row, `|` between columns.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        self.access.sql(&self.name, statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A cluster that was stopped, or is gone, takes it along.
        let _ = self.access.try_sql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let _ = self.access.try_sql("postgres", &format!("DROP ROLE IF EXISTS {}", self.name));
    }
}
