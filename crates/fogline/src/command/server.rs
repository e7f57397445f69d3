//! `fogline server`: the control plane alone; agents attach to it.

use std::path::PathBuf;

use clap::Args;
use fogline_store::OpenError;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::settings::{FileChoice, Settings};
use crate::{logging, serving, signals};

/// Flags of `fogline server`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every other setting is in the file or the environment: `fogline config show --verbose` lists them."
)]
pub struct ServerArgs {
    /// The TOML file with the settings [env: FOGLINE_CONFIG; default: /etc/fogline/fogline.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the database, keys and tokens [env: FOGLINE_DATA; default: fogline-data]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// The database that several servers share, postgres://USER@HOST:PORT/NAME; SQLite in the data directory when nothing is
    /// said. A password belongs in the variable or the file: others can read the flags of a process
    /// [env: FOGLINE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Where the HTTP API listens [env: FOGLINE_LISTEN; default: 127.0.0.1:8000]
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where agents attach [env: FOGLINE_AGENT_LISTEN; default: 127.0.0.1:8001]
    #[arg(long, value_name = "ADDRESS")]
    agent_listen: Option<String>,
    /// Where the other servers of the database reach this one's HTTP API [env: FOGLINE_ADVERTISE; default: as --listen]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Where agents reach this server [env: FOGLINE_AGENT_ADVERTISE; default: as --agent-listen]
    #[arg(long, value_name = "HOST:PORT")]
    agent_advertise: Option<String>,
    /// What is logged [env: FOGLINE_LOG_LEVEL; default: info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look: text or json [env: FOGLINE_LOG_FORMAT; default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Serves until a signal says stop.
pub async fn run(args: ServerArgs, environment: &Environment) -> Outcome {
    serving::keep_memory_private();
    let choice = args.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let flags = [
        ("data", args.data),
        ("database_url", args.database_url),
        ("listen", args.listen),
        ("agent_listen", args.agent_listen),
        ("advertise", args.advertise),
        ("agent_advertise", args.agent_advertise),
        ("log.level", args.log_level),
        ("log.format", args.log_format),
    ];
    let settings = Settings::load(choice, environment, &flags)?;
    logging::start(&settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    serving::warn_of_shown_password(&settings);
    let config = settings.server_config()?;
    let token_file = config.agent_token_path();
    let stop = signals::stop_token(|| {
        say!("ended at once; agents and replicas run on, and what was answered is on disk");
    })?;
    let server = serving::start(config, stop).await?;
    say!("fogline {} serves http://{}", env!("CARGO_PKG_VERSION"), server.http_addr);
    say!("  agents attach with: fogline agent --server {} --token-file {}", server.agent_addr, token_file.display());
    serving::print_admin_password(server.admin_password.as_ref());
    server.wait().await
}

/// A database that cannot be opened, as a failure.
pub fn open_failure(error: OpenError) -> Failure {
    Failure::new(Exit::Unavailable, error.to_string())
}
