//! `fogline completions`: a script that lets a shell complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Outcome;
use crate::output::written;

/// Flags of `fogline completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline completions bash > ~/.local/share/bash-completion/completions/fogline")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
pub fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fogline", &mut script);
    written(std::io::Write::write_all(&mut std::io::stdout(), &script))
}
