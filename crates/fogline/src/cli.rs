//! The command line as a whole.

use clap::Parser;

use crate::command::Command;
use crate::exit;

/// Runs, scales and routes services across the machines that you own.
#[derive(Debug, Parser)]
#[command(name = "fogline", version, after_help = exit::HELP, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_has_a_short_help() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
                for argument in sub.get_arguments().filter(|argument| argument.get_id() != "help") {
                    assert!(argument.get_help().is_some(), "{} {} has no help", sub.get_name(), argument.get_id());
                }
                check(sub);
            }
        }
        check(&Cli::command());
    }
}
