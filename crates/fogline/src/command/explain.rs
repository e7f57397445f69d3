//! `fogline explain`: why a deployment is where it is, or why it does not fit.

use std::path::PathBuf;

use clap::Args;
use fogline_api::http::ExplainResponse;
use fogline_core::placement::ScoreReport;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Paint, Table};
use crate::session::{ClientArgs, Session};
use crate::spec_file;

/// Flags of `fogline explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Name or id of the deployment
    #[arg(required_unless_present = "file")]
    deployment: Option<String>,
    /// Ask about a spec that is not deployed; `-` is standard input
    #[arg(short, long, conflicts_with = "deployment")]
    file: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints the explanation.
pub async fn run(args: ExplainArgs, environment: &Environment) -> Outcome {
    let specs = args.file.as_deref().map(spec_file::load).transpose()?;
    let session = Session::open(&args.client, environment)?;
    let answer = match (&specs, &args.deployment) {
        (Some(specs), _) => {
            let [one] = specs.as_slice() else {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("there are {} specs in the file, and one can be explained at a time", specs.len()),
                ));
            };
            session.client().await?.explain_spec(&one.spec).await?
        }
        (None, Some(wanted)) => {
            let id = session.find(wanted).await?;
            session.client().await?.explain(id).await?
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "neither a deployment nor a file was named")),
    };
    session.output.print(&answer, |paint| text(&answer, paint))
}

fn text(answer: &ExplainResponse, paint: Paint) -> String {
    let report = &answer.placement;
    let mut table =
        Table::new(paint, &["NODE", "REGION", "TAKES", "SCORE", "RESOURCES", "LOAD", "LOCALITY", "HOLDS", "WHY NOT"]);
    for node in report.best.iter().chain(&report.rejected) {
        let part = |pick: fn(&ScoreReport) -> f64| {
            node.score.as_ref().map_or_else(|| "-".to_owned(), |score| format!("{:.3}", pick(score)))
        };
        let why: Vec<String> =
            node.verdicts.iter().filter(|verdict| !verdict.passed).map(|verdict| verdict.text.clone()).collect();
        table.row(&[
            node.name.clone(),
            node.region.clone(),
            node.chosen_for.to_string(),
            part(|score| score.total),
            part(|score| score.resources),
            part(|score| score.load),
            part(|score| score.locality),
            node.score.map_or_else(|| "-".to_owned(), |score| score.on_node.to_string()),
            why.join("; "),
        ]);
    }
    let mut text = format!("{}\n\n{}", paint.strong(&answer.message), table.render("there are no nodes"));
    let shown = u32::try_from(report.best.len() + report.rejected.len()).unwrap_or(u32::MAX);
    if shown < report.nodes_considered {
        text.push_str(&format!("\nand {} more nodes", report.nodes_considered - shown));
    }
    text
}
