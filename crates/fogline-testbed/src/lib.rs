//! Real servers for tests: what Fogline talks to is started here, broken here, and gone when the test is over.
//!
//! * [`Postgres`] a private cluster on loopback; killed, restarted, copied to a standby, promoted.
//! * [`Engine`] a private container engine in a network of its own, of either [`Make`]: Docker or Podman; [`Registry`] an
//!   image registry beside it, and [`service_program`] what runs in the test image.
//! * [`Prometheus`] and what it scrapes, an [`Exporter`]; [`Redis`]: each with or without password and TLS.
//! * [`Nginx`] and [`Haproxy`], to be compared with, and [`wrk`], which does.
//! * [`Load`] requests and WebSockets at a steady rate, each of which is accounted for.
//! * [`Relay`] and [`UnixRelay`] a network between two programs that passes, hangs, is cut, leads elsewhere, or spoils
//!   single requests.
//! * [`patience`] waiting for the real thing, with a deadline.
//!
//! ```no_run
//! use fogline_testbed::{Engine, Postgres, Registry, Relay};
//!
//! let engine = Engine::shared();
//! engine.enter(); // published ports answer here; make the runtime after this
//! let registry = Registry::start(&engine);
//! registry.push("v1", "1.0");
//! let postgres = Postgres::shared(); // in the engine's network, as this thread is
//! let database = postgres.database();
//! let relay = Relay::to(postgres.addr());
//! let url = database.url_at(relay.addr());
//! relay.hang();
//! # drop(url);
//! ```
//!
//! Decides nothing about Fogline and depends on none of its crates; only ever a dev-dependency. Must never skip: what is
//! missing on the machine is a panic that names the package (`make deps` installs them). Invariant: each server ends,
//! with all of its processes, files, mounts and cgroups, when its value is dropped, and also when the test process is
//! killed with -9. Everything here may be called from any thread; nothing here needs an asynchronous runtime, and calls
//! block for as long as the real thing takes (at most [`patience::PATIENCE`]): from asynchronous code use
//! `tokio::task::spawn_blocking`, or call before the runtime is needed. Tests: `tests/it`.

mod child;
mod directory;
mod engine;
mod haproxy;
mod load;
mod namespace;
mod nginx;
pub mod patience;
pub mod port;
mod postgres;
mod program;
mod prometheus;
mod redis;
mod registry;
mod relay;
mod seat;
mod tls;
mod user;
mod wrk;

pub use engine::{Engine, Make, service_program};
pub use haproxy::Haproxy;
pub use load::{Load, LoadPlan, LoadReport};
pub use nginx::Nginx;
pub use postgres::{Database, Postgres};
pub use prometheus::{Exporter, Prometheus};
pub use redis::Redis;
pub use registry::{Registry, USER};
pub use relay::{Deed, Relay, Request, UnixRelay};
pub use wrk::{WrkReport, wrk};
