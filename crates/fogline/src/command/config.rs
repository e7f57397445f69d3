//! `fogline config`: every setting, its value, and who said so.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Url;
use serde::Serialize;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::Table;
use crate::output::say;
use crate::session::OutputArgs;
use crate::settings::{FileChoice, Kind, SETTINGS, Settings};

/// Flags of `fogline config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// List every setting with its value and where it comes from
    Show(Source),
    /// Check the settings, and say nothing when they are fine
    Check(Source),
}

#[derive(Debug, Args)]
struct Source {
    /// The TOML file [env: FOGLINE_CONFIG; default: /etc/fogline/fogline.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What each setting means, too
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: Cow<'a, str>,
    source: String,
    variable: String,
    flag: Option<&'static str>,
    default: &'static str,
    help: &'static str,
}

/// Of a server's URL scheme, host and port: some write a key into the rest.
fn place(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
        }
        _ => "(no URL with a host)".to_owned(),
    }
}

/// Shows or checks them.
pub fn run(args: &ConfigArgs, environment: &Environment) -> Outcome {
    let (source, show) = match &args.command {
        ConfigCommand::Show(source) => (source, true),
        ConfigCommand::Check(source) => (source, false),
    };
    let choice = source.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let settings = Settings::load(choice, environment, &[])?;
    for warning in &settings.warnings {
        say!("warning: {warning}");
    }
    let output = source.output.settle(environment)?;
    if !show {
        let read = settings.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
        return output.remark(&format!("the settings are fine ({read}, environment)"));
    }
    let file = settings.file.as_ref().map(|file| format!("file {}", file.display())).unwrap_or_default();
    let connections = settings.connections().map(|(key, value)| Line {
        key,
        value: if key.ends_with(".url") && !key.contains(".queries.") { place(value).into() } else { value.into() },
        source: file.clone(),
        variable: String::new(),
        flag: None,
        default: "",
        help: "a server that metrics come from",
    });
    let lines: Vec<Line<'_>> = SETTINGS
        .iter()
        .map(|definition| {
            let setting = settings.get(definition.key);
            let hidden = definition.kind == Kind::Secret && !setting.value.is_empty();
            let is_place = definition.key == "prometheus_url" && !setting.value.is_empty();
            Line {
                key: definition.key,
                value: match (hidden, is_place) {
                    (true, _) => "(hidden)".into(),
                    (_, true) => place(&setting.value).into(),
                    _ => setting.value.as_str().into(),
                },
                source: setting.source.to_string(),
                variable: definition.variable(),
                flag: definition.flag,
                default: definition.default,
                help: definition.help,
            }
        })
        .chain(connections)
        .collect();
    output.print(&lines, |paint| {
        let header: &[&str] = if source.verbose {
            &["SETTING", "VALUE", "FROM", "VARIABLE", "MEANS"]
        } else {
            &["SETTING", "VALUE", "FROM"]
        };
        let mut table = Table::new(paint, header);
        for line in &lines {
            let value = if line.value.is_empty() { "-" } else { &*line.value };
            let cells = [line.key, value, &line.source, &line.variable, line.help];
            table.row(&cells[..header.len()]);
        }
        table.render("no settings")
    })
}
