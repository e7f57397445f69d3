//! `fogline db`: the tables, brought up to date or back, while no server runs on them; and copied.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fogline_store::{Store, StoreConfig};
use serde_json::json;

use super::server::open_failure;
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Table;
use crate::session::OutputArgs;
use crate::settings::{FileChoice, Settings};

/// Flags of `fogline db`.
#[derive(Debug, Args)]
pub struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Apply every migration that is not applied yet
    Migrate(Place),
    /// Take back the newest migrations; what only they can hold is lost
    Revert(Revert),
    /// List the migrations
    Status(Place),
    /// Copy a cluster's state into another database, such as from SQLite to PostgreSQL or back
    Copy(super::db_copy::CopyArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// Directory of the database
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// The database, where it is not in a data directory [env: FOGLINE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The TOML file with the settings
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct Revert {
    /// How many to take back
    #[arg(long, default_value_t = 1)]
    steps: usize,
    /// Yes, what only those tables hold may be lost
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// Migrates, reverts or lists.
pub async fn run(args: DbArgs, environment: &Environment) -> Outcome {
    let failed = |error: fogline_store::StoreError| Failure::general("the database refused").because(error);
    match args.command {
        DbCommand::Migrate(place) => {
            let store = open(&place, environment, true).await?;
            let applied = store.migrate().await.map_err(failed)?;
            let output = place.output.settle(environment)?;
            store.close().await;
            output.print(&json!({ "applied": applied }), |_| format!("{applied} migrations applied"))
        }
        DbCommand::Revert(revert) => {
            if !revert.yes {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("taking back {} migrations may lose data", revert.steps),
                )
                .hint("make a backup (fogline backup), then add --yes"));
            }
            let store = open(&revert.place, environment, false).await?;
            let reverted = store.revert(revert.steps).await.map_err(failed)?;
            let output = revert.place.output.settle(environment)?;
            store.close().await;
            output.print(&json!({ "reverted": reverted }), |_| format!("{reverted} migrations taken back"))
        }
        DbCommand::Copy(args) => super::db_copy::run(args, environment).await,
        DbCommand::Status(place) => {
            let store = open(&place, environment, false).await?;
            let migrations = store.migrations().await.map_err(failed)?;
            let output = place.output.settle(environment)?;
            store.close().await;
            let lines: Vec<_> = migrations
                .iter()
                .map(|one| json!({ "version": one.version, "name": one.name, "applied": one.applied }))
                .collect();
            output.print(&lines, |paint| {
                let mut table = Table::new(paint, &["VERSION", "NAME", "APPLIED"]);
                for one in &migrations {
                    table.row(&[
                        one.version.to_string(),
                        one.name.clone(),
                        if one.applied { "yes" } else { "no" }.to_owned(),
                    ]);
                }
                table.render("no migrations")
            })
        }
    }
}

async fn open(place: &Place, environment: &Environment, may_create: bool) -> Outcome<Store> {
    let choice = place.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let flags = [("data", place.data.clone()), ("database_url", place.database_url.clone())];
    let config = Settings::load(choice, environment, &flags)?.server_config()?;
    let database = config.store().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    if let StoreConfig::Sqlite { file } = &database
        && !may_create
        && !file.exists()
    {
        return Err(Failure::new(Exit::NotFound, format!("there is no database at {}", file.display()))
            .hint("--data names the directory; `fogline db migrate` makes a new one"));
    }
    Store::open(&database).await.map_err(open_failure)
}
