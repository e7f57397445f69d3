//! `fogline schema`: the JSON Schema of what files say, for editors and checks.

use clap::{Args, ValueEnum};
use fogline_core::scaling::PolicySpec;
use fogline_core::spec::DeploymentSpec;

use crate::exit::{Failure, Outcome};
use crate::output::written;

/// Flags of `fogline schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: fogline schema > fogline.schema.json\n  and on top of a spec: # yaml-language-server: $schema=fogline.schema.json"
)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value_t)]
    of: Described,
}

/// What files may hold.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Described {
    /// A deployment, for `fogline apply`
    #[default]
    Deployment,
    /// A scaling policy, for `fogline policy apply`
    Policy,
}

/// Prints it.
pub fn run(args: &SchemaArgs) -> Outcome {
    let schema = match args.of {
        Described::Deployment => schemars::schema_for!(DeploymentSpec),
        Described::Policy => schemars::schema_for!(PolicySpec),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::general("cannot write the schema").because(error))?;
    written(std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes()))
}
