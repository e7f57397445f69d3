//! What the tests have in common: sources with one connection, questions, a moment, files of secrets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fogline_core::scaling::policy::{MetricSpec, SourceKind, Span};
use fogline_core::scaling::sample::Sample;
use fogline_core::time::Timestamp;
use fogline_source::{Answer, Connection, Credentials, Sources, SourcesConfig};
use fogline_testbed::{Exporter, Prometheus};
use tempfile::TempDir;

/// The name of the one connection.
pub const NAME: &str = "here";
/// A question that will not be answered costs this much of a test.
pub const SHORT: Duration = Duration::from_millis(400);
/// A question that will be answered, on a busy machine too.
pub const LONG: Duration = Duration::from_secs(30);

/// Sources with one connection.
pub fn connected(connection: Connection) -> Sources {
    let connections = [(NAME.to_owned(), connection)].into();
    let config = SourcesConfig { connections, ..SourcesConfig::default() };
    Sources::new(&config).expect("the connection can be used")
}

/// Sources with none, for plain URLs on loopback.
pub fn open() -> Sources {
    Sources::new(&SourcesConfig { allow_private: true, ..SourcesConfig::default() }).expect("nothing to go wrong")
}

/// A question to the one connection.
pub fn question(kind: SourceKind) -> MetricSpec {
    MetricSpec { connection: Some(NAME.to_owned()), timeout: Span(LONG), ..MetricSpec::new(kind) }
}

/// A question to a plain URL.
pub fn question_at(kind: SourceKind, url: impl Into<String>) -> MetricSpec {
    MetricSpec { connection: None, url: Some(url.into()), ..question(kind) }
}

#[expect(clippy::disallowed_methods, reason = "a real Prometheus has its samples at the real time")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    Timestamp::EPOCH.plus(since)
}

/// Asks, and must not have to wait much longer than the question allows.
pub async fn ask(sources: &Sources, spec: &MetricSpec) -> Answer {
    ask_at(sources, spec, now()).await
}

pub async fn ask_at(sources: &Sources, spec: &MetricSpec, now: Timestamp) -> Answer {
    let limit = spec.timeout.0 + Duration::from_secs(20);
    tokio::time::timeout(limit, sources.ask(spec, now)).await.expect("an ask ends within its question's timeout")
}

/// The number of an answer.
#[track_caller]
pub fn value(answer: &Answer) -> f64 {
    match &answer.sample {
        Sample::Value { value, .. } => *value,
        other => panic!("a value was expected: {other:?}"),
    }
}

/// Why there is none.
#[track_caller]
pub fn reason(answer: &Answer) -> &str {
    match &answer.sample {
        Sample::Error { reason } => reason,
        other => panic!("an error was expected: {other:?}"),
    }
}

/// Files of secrets, which only their owner may read.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn secret(&self, words: &str) -> PathBuf {
        let path = self.0.path().join(format!("secret-{}", fs::read_dir(self.0.path()).expect("listed").count()));
        fs::write(&path, format!("{words}\n")).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("allowed");
        path
    }

    pub fn password(&self, username: Option<&str>, password: &str) -> Credentials {
        Credentials::Password { username: username.map(ToOwned::to_owned), password_file: Some(self.secret(password)) }
    }
}

/// A Prometheus that the tests share: `queue_length` is 7 for `a` and 5 for `b`.
pub struct Scraped {
    pub prometheus: Prometheus,
    _exporter: Exporter,
}

impl Scraped {
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Scraped>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let exporter = Exporter::start("queue_length{queue=\"a\"} 7\nqueue_length{queue=\"b\"} 5");
        let prometheus = Prometheus::start(&[exporter.addr()]);
        prometheus.wait_for("queue_length{queue=\"b\"} == 5");
        let started = Arc::new(Self { prometheus, _exporter: exporter });
        *shared = Arc::downgrade(&started);
        started
    }
}
