//! A private PostgreSQL cluster: real, durable, on loopback, in a directory of its own.
//!
//! `cluster` runs the program; here are the things that a test does to it. PostgreSQL refuses to run as root: as root it
//! runs as the user `postgres`. Our own questions go over its Unix socket with `psql`, so they work from any network
//! namespace. Must never be told what Fogline is. Invariant: after `stop`, `kill` and drop no process of it is left, and
//! `restart` listens where it listened. Tests: `tests/it/postgres.rs`.

mod cluster;
mod database;
mod standby;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cluster::Cluster;
pub use database::Database;

/// A running cluster. Ended when it is dropped. Clients connect with what [`Database::url`] says.
#[derive(Debug)]
pub struct Postgres {
    cluster: Mutex<Cluster>,
    /// What a paused standby follows when it is resumed.
    followed: Mutex<Option<String>>,
}

impl Postgres {
    /// A fresh one, without encryption. Takes a second or two.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start() -> Self {
        Self::of(Cluster::create(false))
    }

    /// A fresh one that accepts only encrypted connections over TCP. Its certificate is for `127.0.0.1` and `localhost`,
    /// signed by [`Postgres::ca_file`].
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn start_with_tls() -> Self {
        Self::of(Cluster::create(true))
    }

    /// The one that the tests of this process share, for as long as one of them holds it; without encryption. One for each
    /// network namespace, because loopback is another there. Do not stop what others use.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<BTreeMap<PathBuf, Weak<Postgres>>> = Mutex::new(BTreeMap::new());
        let network = fs::read_link("/proc/thread-self/ns/net").expect("a thread has a network namespace");
        // A test that failed while it started one has left nothing half done in here.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.get(&network).and_then(Weak::upgrade) {
            return running;
        }
        let started = Arc::new(Self::start());
        shared.insert(network, Arc::downgrade(&started));
        started
    }

    /// A new database, empty, with an owner of its own who is no superuser.
    #[must_use]
    pub fn database(&self) -> Database {
        let cluster = self.cluster();
        Database::create(cluster.access())
    }

    /// Where it listens, or listened before it was stopped.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.cluster().access().address
    }

    /// The certificate, in PEM, that signed the one of this server.
    ///
    /// # Panics
    /// When it was started without encryption.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        let ca = self.cluster().access().ca_file.clone();
        ca.expect("this PostgreSQL was started without TLS: use start_with_tls")
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let path = self.cluster().log_file();
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Runs statements as the superuser, each in a transaction of its own, and gives what they return: a line a row, `|`
    /// between columns.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let access = self.cluster().access().clone();
        access.sql("postgres", statements)
    }

    /// The same in the database of this name.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn sql_in(&self, database: &str, statements: &str) -> String {
        let access = self.cluster().access().clone();
        access.sql(database, statements)
    }

    /// Connects over TCP as a client with this URL would, runs statements, and gives what they return.
    ///
    /// # Errors
    /// What `psql` said where it could not connect or a statement failed.
    pub fn connect(&self, url: &str, statements: &str) -> Result<String, String> {
        self.cluster().access().client(url, statements)
    }

    /// Stops it as an administrator would: sessions are cut, everything is flushed. Nothing where it is stopped.
    pub fn stop(&self) {
        self.cluster().stop();
    }

    /// Kills all of its processes with -9, as when the machine loses power except that what the kernel holds is kept.
    pub fn kill(&self) {
        self.cluster().kill();
    }

    /// Starts it again on the same port, after stopping it where it runs. It recovers what was committed.
    ///
    /// # Panics
    /// When it does not start; with the end of its log.
    pub fn restart(&self) {
        let mut cluster = self.cluster();
        cluster.stop();
        cluster.launch();
    }

    fn of(cluster: Cluster) -> Self {
        Self { cluster: Mutex::new(cluster), followed: Mutex::new(None) }
    }

    fn followed(&self) -> MutexGuard<'_, Option<String>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        // A panic while it was held was one of waiting in vain, after which it can still be ended.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
