//! `fogline db copy`: a cluster's state from one database into another, such as from SQLite to PostgreSQL or back.

use std::path::Path;

use clap::Args;
use fogline_store::{Restore, Source, StoreConfig, copy};
use serde_json::json;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::session::OutputArgs;
use crate::transfer::report;

/// Flags of `fogline db copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
A place is a data directory, sqlite:FILE, or postgres://USER@HOST/DATABASE. Leave the password out of the URL and put it
into PGPASSWORD or ~/.pgpass: others see what is typed.

Example: fogline db copy --from fogline-data --to postgres://fogline@db.internal/fogline")]
pub struct CopyArgs {
    /// The database to read
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// The database to fill, which must be empty
    #[arg(long, value_name = "DIR|URL")]
    to: String,
    /// Replace what is there: a database file is kept beside, what is on PostgreSQL is gone
    #[arg(long)]
    replace: bool,
    /// An epoch that an agent has obeyed: the new one is higher
    #[arg(long, value_name = "EPOCH")]
    epoch_above: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Copies, and compares what came out with what went in.
pub async fn run(args: CopyArgs, environment: &Environment) -> Outcome {
    let (from, to) = (place(&args.from)?, place(&args.to)?);
    if from == to {
        return Err(Failure::new(Exit::Usage, "--from and --to name the same database"));
    }
    let output = args.output.settle(environment)?;
    let source = Source::open(&from).await.map_err(report::failure)?;
    let in_use = source.is_in_use();
    if in_use {
        say!("a server works with the database that is copied: what it changes from now on is not in the copy");
    }
    let how = Restore { replace: args.replace, epoch_above: args.epoch_above, forget_keys: false };
    let copied = copy(source, &to, &how).await.map_err(report::failure)?;
    let summary = json!({
        "cluster_id": copied.header.cluster_id,
        "epoch": copied.epoch,
        "revision": copied.header.revision,
        "source_in_use": in_use,
        "set_aside": copied.set_aside,
        "tables": report::json(&copied.tables),
    });
    output.print(&summary, |paint| report::table(paint, &copied.tables, true))?;
    if let Some(aside) = &copied.set_aside {
        output.remark(&format!("\nthe database that was there is in {}", aside.display()))?;
    }
    output.remark(&format!(
        "\ncopied cluster {}, revision {}; its epoch goes on above {}\n\
         keys are not copied: a server on the copy needs the agent.token and keys/jwt.key of this cluster in its data \
         directory",
        copied.header.cluster_id, copied.header.revision, copied.epoch
    ))
}

/// What a word on the command line names.
fn place(word: &str) -> Outcome<StoreConfig> {
    let is_url = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| word.starts_with(scheme));
    if is_url || word.contains("://") {
        return StoreConfig::from_url(word).map_err(|error| Failure::new(Exit::Usage, error.to_string()));
    }
    Ok(StoreConfig::sqlite(Path::new(word).join("fogline.db")))
}
