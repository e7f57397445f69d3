//! `fogline policy apply -f`: what the files say becomes what is there.
//!
//! Decides by name: a policy that is there is updated, another created. Invariant: nothing is sent unless every file is
//! accepted here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use fogline_core::id::PolicyId;
use fogline_core::scaling::PolicySpec;
use serde::Serialize;

use crate::backtest::load_policy;
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Table;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy apply`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline policy apply -f examples/scaling/policy.yaml")]
pub(super) struct ApplyArgs {
    /// A policy, as YAML or JSON; `-` is standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only check the files, and say what would be done and, of a policy that is there, what it would decide now
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Serialize)]
struct Applied {
    name: String,
    action: &'static str,
    policy_id: Option<PolicyId>,
    message: String,
}

/// Applies them.
pub(super) async fn run(args: ApplyArgs, environment: &Environment) -> Outcome {
    let mut specs: Vec<PolicySpec> = Vec::with_capacity(args.files.len());
    for file in &args.files {
        specs.push(load_policy(file)?.spec().clone());
    }
    refuse_doubles(&specs)?;
    let session = Session::open(&args.client, environment)?;
    let mut applied = Vec::with_capacity(specs.len());
    for spec in &specs {
        let done = apply(&session, spec, args.dry_run).await.map_err(|mut failure| {
            failure.message = format!("{}: {}", spec.name, failure.message);
            failure
        })?;
        applied.push(done);
    }
    session.output.print(&applied, |paint| {
        let mut table = Table::new(paint, &["NAME", "ACTION", "MESSAGE"]);
        for one in &applied {
            table.row(&[one.name.as_str(), one.action, one.message.as_str()]);
        }
        table.render("nothing to do")
    })
}

fn refuse_doubles(specs: &[PolicySpec]) -> Outcome {
    let mut names = BTreeSet::new();
    match specs.iter().find(|spec| !names.insert(&spec.name)) {
        None => Ok(()),
        Some(spec) => Err(Failure::new(Exit::Refused, format!("{} is there twice", spec.name))
            .hint("nothing was sent; each policy needs a name of its own")),
    }
}

async fn apply(session: &Session, spec: &PolicySpec, dry_run: bool) -> Outcome<Applied> {
    let client = session.client().await?;
    let me = client.me().await?;
    // An administrator sees everyone's; what one applies is one's own.
    let there = client.all_policies(Some(&spec.name)).await?.into_iter().find(|policy| policy.user_id == me.id);
    let done = |action, policy_id, message: String| Applied { name: spec.name.clone(), action, policy_id, message };
    let Some(there) = there else {
        if dry_run {
            return Ok(done("would create", None, format!("on {}", target(spec))));
        }
        let policy = session.changing_client().await?.create_policy(spec).await?;
        return Ok(done("created", Some(policy.id), format!("on {}", super::target(&policy))));
    };
    if there.spec == *spec {
        return Ok(done("unchanged", Some(there.id), format!("version {}", there.version)));
    }
    if dry_run {
        let same_target = (&there.spec.target_type, &there.spec.target_id) == (&spec.target_type, &spec.target_id);
        let message = match same_target {
            true => format!("now: {}", client.evaluate_policy(there.id, Some(spec)).await?.decision.reason),
            false => format!("moves to {}", target(spec)),
        };
        return Ok(done("would update", Some(there.id), message));
    }
    let policy = session.changing_client().await?.replace_policy(there.id, spec).await?;
    Ok(done("updated", Some(policy.id), format!("version {}", policy.version)))
}

fn target(spec: &PolicySpec) -> String {
    spec.target_id.as_ref().map_or_else(|| spec.target_type.clone(), |id| format!("{} {id}", spec.target_type))
}
