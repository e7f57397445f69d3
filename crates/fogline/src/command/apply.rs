//! `fogline apply -f`: what the files say becomes what is there.
//!
//! Decides by name: a deployment that is there is updated, another created. Invariant: nothing is sent unless every
//! document of every file is accepted here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use fogline_api::client::DeploymentQuery;
use fogline_api::http::OperationResponse;
use fogline_core::id::DeploymentId;
use fogline_core::state::DeploymentStatus;
use serde::Serialize;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Table, clean};
use crate::progress::{self, Goal, WaitArgs};
use crate::session::{ClientArgs, Session};
use crate::spec_file::{self, Loaded};

/// Flags of `fogline apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: fogline apply -f examples/hello.yaml --wait\n  cat a.yaml b.yaml | fogline apply -f -"
)]
pub struct ApplyArgs {
    /// A file with one or more YAML documents; `-` is standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only check the files, and say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Serialize)]
struct Applied {
    name: String,
    action: &'static str,
    deployment_id: Option<DeploymentId>,
    message: String,
}

/// Applies them.
pub async fn run(args: ApplyArgs, environment: &Environment) -> Outcome {
    let mut all = Vec::new();
    for file in &args.files {
        all.extend(spec_file::load(file)?);
    }
    refuse_doubles(&all)?;
    let session = Session::open(&args.client, environment)?;
    let mut applied = Vec::with_capacity(all.len());
    for loaded in &all {
        let done = apply(&session, loaded, args.dry_run).await.map_err(|mut failure| {
            failure.message = format!("{} ({}): {}", loaded.spec.name, loaded.origin, failure.message);
            failure
        })?;
        applied.push(done);
    }
    if args.wait.wait && !args.dry_run {
        for id in applied.iter().filter_map(|one| one.deployment_id) {
            progress::wait_for(&session, id, Goal::Ready, args.wait.timeout).await?;
        }
    }
    session.output.print(&applied, |paint| {
        let mut table = Table::new(paint, &["NAME", "ACTION", "MESSAGE"]);
        for one in &applied {
            table.row(&[one.name.as_str(), one.action, one.message.as_str()]);
        }
        table.render("nothing to do")
    })
}

fn refuse_doubles(all: &[Loaded]) -> Outcome {
    let mut names = BTreeSet::new();
    match all.iter().find(|loaded| !names.insert(&loaded.spec.name)) {
        None => Ok(()),
        Some(loaded) => Err(Failure::new(
            Exit::Refused,
            format!("{} is there twice, the second time in {}", loaded.spec.name, loaded.origin),
        )
        .hint("nothing was sent; each deployment needs a name of its own")),
    }
}

async fn apply(session: &Session, loaded: &Loaded, dry_run: bool) -> Outcome<Applied> {
    let client = session.client().await?;
    let me = client.me().await?;
    let query = DeploymentQuery { name: Some(loaded.spec.name.clone()), ..DeploymentQuery::default() };
    let found = client.all_deployments(query).await?;
    // An administrator sees everyone's; what one applies is one's own.
    let there = found.into_iter().find(|one| one.name == loaded.spec.name && one.user_id == me.id);
    let done = |action, deployment_id, message: String| Applied {
        name: loaded.spec.name.clone(),
        action,
        deployment_id,
        message,
    };
    let Some(there) = there else {
        if dry_run {
            let report = client.explain_spec(&loaded.spec).await?;
            return Ok(done("would create", None, report.message));
        }
        let answer = session.changing_client().await?.deploy(&loaded.spec).await?;
        return Ok(done("created", Some(answer.deployment_id), format!("{} replicas", answer.replicas)));
    };
    if client.deployment(there.id).await?.spec == loaded.spec {
        return Ok(done("unchanged", Some(there.id), format!("revision {}", there.revision)));
    }
    if dry_run {
        return Ok(done("would update", Some(there.id), format!("revision {} is there", there.revision)));
    }
    let answer = session.changing_client().await?.update(there.id, &loaded.spec).await?;
    Ok(done("updated", Some(answer.deployment_id), answer.message))
}

/// Prints the answer to a change of one deployment, after waiting for `goal` where that was asked for.
pub async fn report(
    session: &Session,
    name: &str,
    answer: OperationResponse,
    goal: Option<Goal>,
    wait: WaitArgs,
) -> Outcome {
    let awaited = match goal {
        Some(goal) if wait.wait => Some(progress::wait_for(session, answer.deployment_id, goal, wait.timeout).await?),
        _ => None,
    };
    session.output.print(&answer, |paint| match &awaited {
        Some(now) if goal == Some(Goal::Gone) => {
            format!("{}: {}, no replica is left", paint.strong(name), paint.status(now.status.as_str()))
        }
        Some(now) => format!(
            "{}: {}, {} of {} replicas ready",
            paint.strong(name),
            paint.status(now.status.as_str()),
            now.health.ready,
            now.health.target,
        ),
        None if answer.status == DeploymentStatus::Pending => {
            format!(
                "{}: accepted, {} replicas; `fogline status {name}` tells how far it is",
                paint.strong(name),
                answer.replicas
            )
        }
        None => format!("{}: {}", paint.strong(name), clean(&answer.message)),
    })
}
