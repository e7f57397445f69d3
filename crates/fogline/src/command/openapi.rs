//! `fogline openapi`: the description of the HTTP API, for tools that make clients of it.
//!
//! The repository's `docs/openapi.json` is what this prints; `cargo xtask openapi` compares them.

use clap::Args;

use crate::exit::Outcome;
use crate::output::written;

/// Flags of `fogline openapi`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline openapi > openapi.json")]
pub struct OpenapiArgs {}

/// Prints it.
pub fn run() -> Outcome {
    let text = fogline_server::http::openapi_json();
    written(std::io::Write::write_all(&mut std::io::stdout(), format!("{}\n", text.trim_end()).as_bytes()))
}
