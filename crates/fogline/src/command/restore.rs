//! `fogline restore`: a backup back into a database, on this host or another one.

use std::path::PathBuf;

use clap::Args;
use fogline_store::{Backup, Restore};
use serde_json::json;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::session::OutputArgs;
use crate::settings::{FileChoice, Settings};
use crate::transfer::keys::Plan;
use crate::transfer::{file, report};

/// Flags of `fogline restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
The backup is read to its end before anything is changed; then it comes back whole or not at all. The epoch is raised
above any that agents may have obeyed since, so that they follow the restored cluster. Stop the servers first, and do not
start those of the old database again.

Example: fogline restore --from cluster-monday.fogline --data fogline-data")]
pub struct RestoreArgs {
    /// A file that `fogline backup` has written; - for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Directory of the database and the keys; made where it is missing [env: FOGLINE_DATA; default: fogline-data]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// The database, where it is not in the data directory [env: FOGLINE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Replace what is there: a database file and keys are kept beside, what is on PostgreSQL is gone
    #[arg(long)]
    replace: bool,
    /// An epoch that an agent has obeyed, as its log or the server's says: the new one is higher
    #[arg(long, value_name = "EPOCH")]
    epoch_above: Option<u64>,
    /// Do not write agent.token and jwt.key
    #[arg(long)]
    without_keys: bool,
    /// The keys are lost: the first server makes new ones, every login ends, and each agent needs the new agent.token
    #[arg(long, conflicts_with = "without_keys")]
    new_keys: bool,
    /// The TOML file with the settings
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Reads it, checks it, writes it.
pub async fn run(args: RestoreArgs, environment: &Environment) -> Outcome {
    let choice = args.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let flags = [("data", args.data), ("database_url", args.database_url)];
    let config = Settings::load(choice, environment, &flags)?.server_config()?;
    let store = config.store().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let output = args.output.settle(environment)?;

    let backup = Backup::open(file::open(&args.from)?).await.map_err(report::failure)?;
    let enclosed = if args.without_keys || args.new_keys { &[] } else { backup.enclosed.as_slice() };
    let keys = Plan::of(&config, enclosed, args.replace)?;
    let how = Restore { replace: args.replace, epoch_above: args.epoch_above, forget_keys: args.new_keys };
    let restored = backup.restore(&store, &how).await.map_err(report::failure)?;
    let keys = keys.write(restored.set_aside.as_deref()).map_err(|failure| {
        let put = "the database is restored; put the keys there before the server starts, or restore with --replace";
        failure.hint(put)
    })?;

    let summary = json!({
        "cluster_id": restored.header.cluster_id,
        "epoch": restored.epoch,
        "revision": restored.header.revision,
        "taken_at": restored.header.taken_at,
        "keys_written": keys,
        "set_aside": restored.set_aside,
        "tables": report::json(&restored.tables),
    });
    output.print(&summary, |paint| report::table(paint, &restored.tables, true))?;
    output.remark(&format!(
        "\nrestored cluster {} as it was at {}; its epoch goes on above {}",
        restored.header.cluster_id, restored.header.taken_at, restored.epoch
    ))?;
    if let Some(aside) = &restored.set_aside {
        output.remark(&format!("the database that was there is in {}", aside.display()))?;
    }
    for key in &keys {
        output.remark(&format!("wrote {}", key.display()))?;
    }
    if args.new_keys {
        output.remark("the first server that starts makes new keys: give its agent.token to every agent")?;
    } else if backup.enclosed.is_empty() || args.without_keys {
        output.remark(&format!(
            "no keys were written: put the cluster's agent.token and keys/jwt.key into {} before a server starts",
            config.data_dir.display()
        ))?;
    }
    output.remark(
        "start a server on it; agents find it at the address that they know. Do not start the old database again",
    )
}
