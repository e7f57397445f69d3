//! `fogline demo`: half a minute of everything, with real processes.

use clap::Args;

use crate::demo;
use crate::env::Environment;
use crate::exit::Outcome;

/// Flags of `fogline demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
The service is a real program: `python3 -m http.server`, run as processes of this machine. Everything happens in a
temporary directory and on 127.0.0.1, and is stopped and removed at the end.")]
pub struct DemoArgs {
    /// Keep the temporary directory with the database and the logs
    #[arg(long)]
    keep_data: bool,
}

/// Shows it.
pub async fn run(args: DemoArgs, environment: &Environment) -> Outcome {
    demo::run(environment, args.keep_data).await
}
