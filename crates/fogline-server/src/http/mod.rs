//! The HTTP API: `/api/v1`, the seeds' doors, probes, metrics and the API's description.
//!
//! One endpoint a file: its description, its handler, its error mapping through [`problem`]. Must never decide what core
//! decides (ranges, ownership, states) nor keep anything that a restart may not lose. Invariant: every answer that is no
//! success is a problem of `application/problem+json`. Tests: `tests/it/http`.

mod answer;
mod app;
mod extract;
mod forward;
mod guard;
mod limits;
mod merge_patch;
mod minutes;
mod present;
mod probes;
mod problem;
mod problem_docs;
mod pushes;
mod read_on;
mod refusals;
mod routes;
mod seeds;
mod spec;
mod turns;
mod v1;

use std::sync::Arc;

use axum::Router;

use crate::state::Shared;
use app::App;

pub use spec::{openapi, openapi_json};

/// Everything that is served over HTTP. Whoever serves it gives each request its `ConnectInfo<SocketAddr>`, or callers have
/// no address to be slowed down by.
pub fn router(shared: Arc<Shared>) -> Router {
    routes::assemble(App::new(app::Http::new(shared)))
}
