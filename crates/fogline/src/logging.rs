//! Where the log of a server or an agent goes: standard error, as text or as JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure, Outcome};
use crate::settings::Settings;

/// Starts logging as the settings say. Called once, by commands that run for long.
///
/// # Errors
/// When the filter makes no sense.
pub fn start(settings: &Settings) -> Outcome {
    let level = settings.get("log.level");
    let filter = EnvFilter::try_new(&level.value).map_err(|error| {
        Failure::new(Exit::Refused, format!("log.level = {:?} ({}) is no filter", level.value, level.source))
            .because(error)
            .hint("accepted: error, warn, info, debug, trace, or a filter such as info,fogline_server=debug")
    })?;
    // At `trace` it writes whole requests, and with them the environment of replicas.
    let filter = filter.add_directive("bollard=info".parse().expect("a directive"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if settings.get("log.format").value == "json" {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| Failure::general("cannot start logging").because(error))
}
