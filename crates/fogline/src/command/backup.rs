//! `fogline backup`: all of a cluster's state in one file, while its servers go on.

use std::path::PathBuf;

use clap::Args;
use fogline_store::Source;
use serde_json::json;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::session::OutputArgs;
use crate::settings::{FileChoice, Settings};
use crate::transfer::file::{Draft, is_stream};
use crate::transfer::{keys, report};

/// Flags of `fogline backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The servers go on: the backup is of one moment, that at which it began. It holds the keys of the cluster and the hashes
of its passwords: whoever can read it can act as the cluster. Only its owner can, and it should stay so.

Examples:
  fogline backup --data fogline-data --to cluster-monday.fogline
  FOGLINE_DATABASE_URL=postgres://fogline@db/fogline fogline backup --data fogline-data --to - | ssh vault 'cat > monday'")]
pub struct BackupArgs {
    /// The file to write; it gets its name once it is whole; - for standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Directory of the database and the keys [env: FOGLINE_DATA; default: fogline-data]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// The database, where it is not in the data directory [env: FOGLINE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Leave out agent.token and jwt.key, and keep them elsewhere: without them no agent rejoins
    #[arg(long)]
    without_keys: bool,
    /// The TOML file with the settings
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Writes it.
pub async fn run(args: BackupArgs, environment: &Environment) -> Outcome {
    let choice = args.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let flags = [("data", args.data), ("database_url", args.database_url)];
    let config = Settings::load(choice, environment, &flags)?.server_config()?;
    let store = config.store().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let output = args.output.settle(environment)?;

    let mut source = Source::open(&store).await.map_err(report::failure)?;
    let keys = if args.without_keys { Vec::new() } else { keys::read(&config)? };
    // What is on standard output cannot be taken back.
    keys::check(&config, &keys, source.header().await.map_err(report::failure)?)?;
    let draft = Draft::create(&args.to)?;
    let beside = source.is_in_use();
    let (taken, _) = source.back_up(&keys, draft.file()?).await.map_err(report::failure)?;
    draft.keep()?;

    let secrets = if args.without_keys { "password hashes" } else { "agent.token, jwt.key and password hashes" };
    if is_stream(&args.to) {
        say!("backed up cluster {}, revision {}", taken.header.cluster_id, taken.header.revision);
        say!("it holds {secrets}: keep it where nobody else reads it");
        return Ok(());
    }
    let summary = json!({
        "file": args.to,
        "cluster_id": taken.header.cluster_id,
        "epoch": taken.header.epoch,
        "revision": taken.header.revision,
        "taken_at": taken.header.taken_at,
        "beside_a_server": beside,
        "with_keys": !args.without_keys,
        "tables": report::json(&taken.tables),
    });
    output.print(&summary, |paint| report::table(paint, &taken.tables, false))?;
    output.remark(&format!(
        "\nbacked up cluster {}, revision {}, as it was at {}\n{} holds {secrets}: keep it where nobody else reads it",
        taken.header.cluster_id,
        taken.header.revision,
        taken.header.taken_at,
        args.to.display()
    ))
}
