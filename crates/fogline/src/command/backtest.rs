//! `fogline backtest`: what a scaling policy would have done, beside two baselines. Needs no server.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fogline_core::scaling::Policy;
use fogline_core::scaling::backtest::{BacktestError, Report, Series, Setup, backtest};
use fogline_core::scaling::policy::{Span, TargetType};
use fogline_core::scaling::sample::builtin;
use serde::Serialize;

use crate::backtest::{ROWS, cells, load_policy, load_series, page};
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Table, moment, say};
use crate::session::OutputArgs;

/// Flags of `fogline backtest`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline backtest -f policy.yaml --series load.csv --capacity 100 --html report.html")]
pub struct BacktestArgs {
    /// The policy, as YAML or JSON; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The series, as CSV: a column `time`, and one for each metric; `-` for standard input
    #[arg(long, value_name = "FILE")]
    series: PathBuf,
    /// The column that is the load [default: request_rate, or the only one]
    #[arg(long, value_name = "COLUMN")]
    load: Option<String>,
    /// How much load one replica carries [default: what the policy's target for it says]
    #[arg(long, value_name = "NUMBER")]
    capacity: Option<f64>,
    /// How long a replica takes to start
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30s")]
    start_time: Span,
    /// How often the policy is evaluated
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "5s")]
    interval: Span,
    /// Replicas at the beginning [default: what the first row demands]
    #[arg(long, value_name = "COUNT")]
    replicas: Option<u32>,
    /// What a replica costs an hour, where the policy does not say
    #[arg(long, value_name = "NUMBER", value_parser = price)]
    price: Option<f64>,
    /// Write the report as a page for a browser, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text)
}

fn interval(text: &str) -> Result<Span, String> {
    let span = Span::parse(text)?;
    if span.0 < Duration::from_secs(1) {
        Err("at least a second is needed between two evaluations".to_owned())
    } else {
        Ok(span)
    }
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price > 0.0);
    price.ok_or_else(|| format!("{text:?} is no price: a number above 0 is needed"))
}

/// What programs are told.
#[derive(Serialize)]
struct Answer<'a> {
    load: &'a str,
    capacity: f64,
    #[serde(flatten)]
    report: &'a Report,
}

/// Tries the policy and reports.
pub fn run(args: &BacktestArgs, environment: &Environment) -> Outcome {
    let output = args.output.settle(environment)?;
    let policy = load_policy(&args.file)?;
    let series = load_series(&args.series)?;
    let load = load_column(args.load.as_deref(), &series)?;
    let setup = Setup {
        capacity: args.capacity.or_else(|| declared_capacity(&policy, &load)).ok_or_else(|| no_capacity(&load))?,
        load,
        start_time: args.start_time.0,
        interval: args.interval.0,
        initial: args.replicas,
        replica_hourly_cost: args.price,
    };
    let report = backtest(&policy, &series, &setup).map_err(refused)?;
    for name in &report.missing_metrics {
        say!("remark: the series has no column {name}, so the policy is without that metric throughout");
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page(&report, &setup))
            .map_err(|error| Failure::general(format!("cannot write {}", path.display())).because(error))?;
        say!("report written to {}", path.display());
    }
    output.print(&Answer { load: &setup.load, capacity: setup.capacity, report: &report }, |paint| {
        let name = report.policy.name.as_str();
        let mut table = Table::new(paint, &["FIGURE", name, "STATIC", "HPA"]);
        let columns = [&report.policy, &report.fixed, &report.hpa].map(|run| cells(&run.figures));
        for (index, (figure, _)) in ROWS.iter().enumerate() {
            table.row(&[*figure, &columns[0][index], &columns[1][index], &columns[2][index]]);
        }
        let last = report.policy.changes.last().map_or_else(
            || "the count never changed".to_owned(),
            |change| format!("last change, {}: {}", moment(change.at), crate::output::clean(&change.reason)),
        );
        format!("{}\n\n{last}", table.render("nothing was tried"))
    })
}

fn load_column(asked: Option<&str>, series: &Series) -> Outcome<String> {
    if let Some(asked) = asked {
        return Ok(asked.to_owned());
    }
    match series.metrics() {
        [only] => Ok(only.clone()),
        several if several.iter().any(|name| name == builtin::REQUEST_RATE) => Ok(builtin::REQUEST_RATE.to_owned()),
        several => {
            Err(Failure::new(Exit::Usage, format!("which column is the load? There are {}", several.join(", ")))
                .hint("name it with --load"))
        }
    }
}

/// What the policy itself says that a replica carries.
fn declared_capacity(policy: &Policy, load: &str) -> Option<f64> {
    let spec = policy.spec();
    let tracked = spec.targets.iter().find(|target| target.metric == load && target.kind() == TargetType::AverageValue);
    tracked.map(|target| target.target)
}

fn no_capacity(load: &str) -> Failure {
    Failure::new(Exit::Usage, format!("how much {load} does one replica carry? The policy has no target that says so"))
        .hint("say it with --capacity")
}

fn refused(error: BacktestError) -> Failure {
    let hint = match &error {
        BacktestError::NoLoad { .. } => "name one of these with --load",
        BacktestError::Capacity { .. } => "name another with --capacity",
        BacktestError::TooLong { .. } => "a longer --interval, or a part of the series",
    };
    Failure::new(Exit::Refused, error.to_string()).hint(hint)
}
