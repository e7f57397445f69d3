//! `fogline schema`: the JSON Schema of a spec, for editors and checks.

use clap::Args;
use fogline_core::spec::DeploymentSpec;

use crate::exit::{Failure, Outcome};
use crate::output::written;

/// Flags of `fogline schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: fogline schema > fogline.schema.json\n  and on top of a spec: # yaml-language-server: $schema=fogline.schema.json"
)]
pub struct SchemaArgs {}

/// Prints it.
pub fn run() -> Outcome {
    let schema = schemars::schema_for!(DeploymentSpec);
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::general("cannot write the schema").because(error))?;
    written(std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes()))
}
