//! One kind of source, with the servers and questions that the contract needs of it.

use std::sync::Arc;

use fogline_core::scaling::policy::{MetricSpec, SourceKind, Span};
use fogline_source::{Connection, Sources};
use fogline_testbed::{Database, Postgres, Prometheus, Redis};

use crate::hostile::Hostile;
use crate::setup::{Files, SHORT, Scraped, connected, question};

/// One kind, with a server of it.
pub struct Rig {
    pub kind: SourceKind,
    pub sources: Sources,
    _files: Files,
    // Held, so that they run.
    _server: Held,
}

enum Held {
    Scraped(#[expect(dead_code, reason = "held")] Arc<Scraped>),
    Postgres(#[expect(dead_code, reason = "held")] Arc<Postgres>, #[expect(dead_code, reason = "held")] Database),
    Redis(#[expect(dead_code, reason = "held")] Redis),
}

/// Plays a test with a kind.
pub fn play<F: Future<Output = ()>>(kind: SourceKind, test: impl FnOnce(Rig) -> F) {
    // Servers are started before there is a runtime: that blocks.
    let rig = Rig::new(kind);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(test(rig));
}

impl Rig {
    fn new(kind: SourceKind) -> Self {
        let files = Files::new();
        let (server, connection) = match kind {
            SourceKind::Prometheus => {
                let scraped = Scraped::shared();
                let connection = Connection::new(kind, scraped.prometheus.url());
                (Held::Scraped(scraped), connection)
            }
            SourceKind::HttpJson => {
                // Prometheus' own answer is a JSON document like others: the result of a scalar is a time and a text.
                let scraped = Scraped::shared();
                let connection = Connection::new(kind, format!("{}/api/v1/query?query=7", scraped.prometheus.url()));
                (Held::Scraped(scraped), connection)
            }
            SourceKind::Postgresql => {
                let postgres = Postgres::shared();
                let database = postgres.database();
                let connection = of_database(&database, postgres.addr(), &files);
                (Held::Postgres(postgres, database), connection)
            }
            SourceKind::Redis => {
                let redis = Redis::start();
                redis.run(&["RPUSH", "queue", "1", "2", "3", "4", "5", "6", "7"]);
                redis.run(&["SET", "text", "7"]);
                let connection = Connection::new(kind, redis.url());
                (Held::Redis(redis), connection)
            }
        };
        Self { kind, sources: connected(connection), _files: files, _server: server }
    }

    fn asking(&self, what: &str) -> MetricSpec {
        let mut spec = question(self.kind);
        match self.kind {
            SourceKind::Prometheus | SourceKind::Postgresql => spec.query = Some(what.to_owned()),
            SourceKind::HttpJson => spec.pointer = Some(what.to_owned()),
            SourceKind::Redis => spec.key = Some(what.to_owned()),
        }
        spec
    }

    /// A question whose answer is 7.
    pub fn seven(&self) -> MetricSpec {
        self.asking(match self.kind {
            SourceKind::Prometheus => "queue_length{queue=\"a\"}",
            SourceKind::HttpJson => "/data/result/1",
            SourceKind::Postgresql => "SELECT count(*) FROM generate_series(1, 7)",
            SourceKind::Redis => "queue",
        })
    }

    /// Questions to which there is nothing.
    pub fn missing(&self) -> Vec<MetricSpec> {
        let what: &[&str] = match self.kind {
            SourceKind::Prometheus => &["no_such_metric", "queue_length > 100"],
            SourceKind::HttpJson => &["/data/result/2", "/nowhere/at/all"],
            SourceKind::Postgresql => {
                &["SELECT 1 WHERE false", "SELECT NULL::int", "SELECT max(n) FROM generate_series(1, 0) n"]
            }
            SourceKind::Redis => &["nothing"],
        };
        what.iter().map(|what| self.asking(what)).collect()
    }

    /// Questions whose answer is no number, and what is said.
    pub fn no_numbers(&self) -> Vec<(MetricSpec, &'static str)> {
        let what: &[(&str, &str)] = match self.kind {
            SourceKind::Prometheus => &[
                ("\"seven\"", "gives a string"),
                ("queue_length[1m]", "gives a matrix"),
                ("vector(0) / 0", "NaN"),
                ("vector(1) / 0", "inf"),
                ("-1 / 0", "-inf"),
                ("queue_length", "2 series (queue_length{instance="),
            ],
            SourceKind::HttpJson => &[
                ("/status", "a text that is no number"),
                ("/data", "an object"),
                ("/data/result", "a list"),
                ("", "the document is an object"),
            ],
            SourceKind::Postgresql => &[
                ("SELECT 'seven'", "gives TEXT"),
                ("SELECT true", "gives BOOL"),
                ("SELECT 1, 2", "gives 2 columns"),
                ("SELECT n FROM generate_series(1, 2) n", "several rows"),
                ("SELECT 'NaN'::float8", "NaN"),
                ("SELECT 'Infinity'::numeric", "inf"),
                ("CREATE TABLE t (n int)", "gives 0 columns"),
            ],
            SourceKind::Redis => &[("text", "holds a string")],
        };
        what.iter().map(|(what, said)| (self.asking(what), *said)).collect()
    }

    /// A question that the server refuses, and what it says; with a connection of its own, where the question is in that.
    pub fn refused(&self) -> (Option<Connection>, MetricSpec, &'static str) {
        match self.kind {
            SourceKind::Prometheus => (None, self.asking("sum("), "answers 400: invalid parameter \"query\""),
            SourceKind::HttpJson => {
                let url = format!("{}/api/v1/query?query=(", Scraped::shared().prometheus.url());
                (Some(Connection::new(self.kind, url)), self.asking("/data"), "answers 400")
            }
            SourceKind::Postgresql => (None, self.asking("SELECT 1/0"), "the query failed (22012, division by zero)"),
            SourceKind::Redis => (None, self.asking("text"), "accepted: a list or a stream"),
        }
    }

    /// A question whose answer is 3 on a server of its own.
    pub fn constant(&self) -> MetricSpec {
        self.asking(match self.kind {
            SourceKind::Prometheus => "vector(3)",
            SourceKind::HttpJson => "/data/result/1",
            SourceKind::Postgresql => "SELECT 3",
            SourceKind::Redis => "three",
        })
    }

    /// The same with little patience.
    pub fn soon(&self) -> MetricSpec {
        MetricSpec { timeout: Span(SHORT), ..self.constant() }
    }

    /// The start of an answer that never ends, and what comes again and again.
    pub fn endless(&self) -> (Vec<u8>, Vec<u8>) {
        match self.kind {
            SourceKind::Prometheus | SourceKind::HttpJson => (b"HTTP/1.1 200 OK\r\n\r\n\"".to_vec(), b"x".to_vec()),
            SourceKind::Postgresql => (b"S".to_vec(), b"R".to_vec()),
            SourceKind::Redis => (b"$9000000000000000\r\n".to_vec(), b"x".to_vec()),
        }
    }

    /// A connection of this kind to a server that is none.
    pub fn connection_at(&self, server: &Hostile, files: &Files) -> Connection {
        let scheme = match self.kind {
            SourceKind::Prometheus | SourceKind::HttpJson => "http",
            SourceKind::Postgresql => "postgres",
            SourceKind::Redis => "redis",
        };
        let mut connection = Connection::new(self.kind, server.url(scheme));
        if self.kind == SourceKind::Postgresql {
            connection.url.push_str("/db?sslmode=disable");
            connection.credentials = files.password(Some("me"), "password");
            connection.allow_sql = true;
        }
        connection
    }

    /// A server of the test's own.
    pub async fn own_server(&self) -> Own {
        let kind = self.kind;
        let server = blocking(move || match kind {
            SourceKind::Prometheus | SourceKind::HttpJson => Server::Prometheus(Prometheus::start(&[])),
            SourceKind::Postgresql => {
                let postgres = Postgres::start();
                let database = postgres.database();
                Server::Postgres(Box::new((postgres, database)))
            }
            SourceKind::Redis => Server::Redis(Redis::start()),
        })
        .await;
        Own { kind, server, files: Files::new() }.with(Server::fill).await
    }

    /// One that asks for a password, by TLS where the kind knows it.
    pub async fn closed_server(&self) -> Closed {
        let kind = self.kind;
        let server = blocking(move || match kind {
            SourceKind::Prometheus | SourceKind::HttpJson => Server::Prometheus(Prometheus::start_closed(&[])),
            SourceKind::Postgresql => {
                let postgres = Postgres::start_with_tls();
                let database = postgres.database();
                Server::Postgres(Box::new((postgres, database)))
            }
            SourceKind::Redis => {
                let redis = Redis::start_closed();
                redis.run(&["RPUSH", "three", "a", "b", "c"]);
                Server::Redis(redis)
            }
        })
        .await;
        Closed { kind, server }
    }
}

/// Runs what blocks, away from the runtime.
async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(what).await.expect("it does not panic")
}

pub enum Server {
    Prometheus(Prometheus),
    Postgres(Box<(Postgres, Database)>),
    Redis(Redis),
}

impl Server {
    fn fill(&self) {
        if let Self::Redis(redis) = self {
            redis.run(&["RPUSH", "three", "a", "b", "c"]);
        }
    }

    pub fn kill(&self) {
        match self {
            Self::Prometheus(it) => it.kill(),
            Self::Postgres(it) => it.0.kill(),
            Self::Redis(it) => it.kill(),
        }
    }

    pub fn restart(&self) {
        match self {
            Self::Prometheus(it) => it.restart(),
            Self::Postgres(it) => it.0.restart(),
            Self::Redis(it) => it.restart(),
        }
        self.fill();
    }
}

/// A server that everybody may ask.
pub struct Own {
    kind: SourceKind,
    server: Server,
    files: Files,
}

impl Own {
    pub fn connection(&self) -> Connection {
        match &self.server {
            Server::Prometheus(it) => Connection::new(self.kind, document(self.kind, &it.url())),
            Server::Postgres(it) => of_database(&it.1, it.0.addr(), &self.files),
            Server::Redis(it) => Connection::new(self.kind, it.url()),
        }
    }

    /// Does something to it that blocks.
    pub async fn with(self, what: impl FnOnce(&Server) + Send + 'static) -> Self {
        blocking(move || {
            what(&self.server);
            self
        })
        .await
    }
}

/// A server that asks for a password.
pub struct Closed {
    kind: SourceKind,
    server: Server,
}

impl Closed {
    pub fn connection(&self, files: &Files) -> Connection {
        let (url, credentials, ca_file) = match &self.server {
            Server::Prometheus(it) => {
                let (user, password) = Prometheus::user();
                (document(self.kind, &it.url()), files.password(Some(user), password), it.ca_file())
            }
            Server::Postgres(it) => {
                let Connection { url, credentials, .. } = of_database(&it.1, it.0.addr(), files);
                (url, credentials, it.0.ca_file())
            }
            Server::Redis(it) => (it.url(), files.password(None, Redis::password()), it.ca_file()),
        };
        let allow_sql = self.kind == SourceKind::Postgresql;
        Connection { credentials, ca_file: Some(ca_file), allow_sql, ..Connection::new(self.kind, url) }
    }
}

fn document(kind: SourceKind, url: &str) -> String {
    if kind == SourceKind::HttpJson { format!("{url}/api/v1/query?query=3") } else { url.to_owned() }
}

fn of_database(database: &Database, address: std::net::SocketAddr, files: &Files) -> Connection {
    let mut connection = Connection::new(SourceKind::Postgresql, format!("postgres://{address}/{}", database.name()));
    connection.credentials = files.password(Some(database.name()), &database.password());
    connection.allow_sql = true;
    connection
}
