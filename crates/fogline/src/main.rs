//! `fogline`: control plane, agent, command line and demo in one program.
//!
//! Decides nothing by itself: it puts the other crates together and speaks to the person at the terminal. Invariant: a
//! shim (`fogline shim DIR`) starts before any thread, runtime or logging does.

mod agent_process;
mod attach;
mod backtest;
mod chain;
mod cli;
mod command;
mod credentials;
mod demo;
mod duration;
mod env;
mod exit;
mod front_door;
mod logging;
mod memory;
mod output;
mod progress;
mod refusal;
mod route_text;
mod serving;
mod session;
mod settings;
mod signals;
mod spec_file;
mod top;
mod transfer;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::env::Environment;
use crate::exit::{Failure, Outcome};
use crate::output::say;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "shim") {
        return shim(arguments.collect());
    }
    memory::give_back_large_blocks();
    let environment = Environment::read();
    let cli = Cli::parse();
    match run(cli, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, environment.no_color);
            failure.exit.into()
        }
    }
}

/// Watches over one replica. Its words and exit code are for the agent that started it.
fn shim(arguments: Vec<OsString>) -> ExitCode {
    let [directory] = arguments.as_slice() else {
        say!("fogline shim is started by an agent, with the directory of one replica");
        return ExitCode::from(2);
    };
    ExitCode::from(u8::try_from(fogline_agent::shim::run(Path::new(directory))).unwrap_or(1))
}

fn run(cli: Cli, environment: &Environment) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::general("cannot start the runtime").because(error))?;
    let outcome = runtime.block_on(cli.command.run(environment));
    // A blocking read of standard input must not keep a command that is done.
    runtime.shutdown_background();
    outcome
}

fn report(failure: &Failure, no_color: bool) {
    let text: Vec<String> = failure.to_string().lines().map(|line| output::clean(line).into_owned()).collect();
    let text = text.join("\n");
    if std::io::stderr().is_terminal() && !no_color {
        let text = text.replace("\nhint: ", "\n\u{1b}[36;1mhint\u{1b}[0m: ");
        say!("\u{1b}[31;1merror\u{1b}[0m: {text}");
    } else {
        say!("error: {text}");
    }
}
