//! The chores of this repository, as `cargo xtask <chore>`.
//!
//! `openapi` and `schema` write documents that are made from the code, and `--check` compares them instead. `purity`
//! proves what each crate cannot reach. `tidy` checks the rules that no compiler knows. Must never depend on Fogline's
//! crates: it has to run when one of them does not compile. Tests are in the files of the chores.

mod generated;
mod purity;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::generated::{Document, Mode};

const USAGE: &str = "\
Usage: cargo xtask <chore>

  openapi [--check]   write docs/openapi.json from the code, or fail if it differs
  schema [--check]    write docs/spec.schema.json and docs/policy.schema.json from the code, or fail if they differ
  purity              fail if a crate can reach what it must not reach
  tidy                fail if a file breaks a rule of the house, and print the figures
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["openapi"] => generated::run(Document::OpenApi, Mode::Write),
        ["openapi", "--check"] => generated::run(Document::OpenApi, Mode::Check),
        ["schema"] => schemas(Mode::Write),
        ["schema", "--check"] => schemas(Mode::Check),
        ["purity"] => purity::run(),
        ["tidy"] => tidy::run(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn schemas(mode: Mode) -> Result<()> {
    generated::run(Document::SpecSchema, mode)?;
    generated::run(Document::PolicySchema, mode)
}

/// The root of this checkout.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask lies in the root of the repository")
}
