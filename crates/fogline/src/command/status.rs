//! `fogline status`: a deployment, how far it is, and its replicas.

use clap::Args;
use fogline_api::http::{DeploymentResponse, HealthSummary, ReplicaResponse, RouteResponse};
use serde::Serialize;

use super::{replicas, route};
use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Paint, clean, moment};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name or id of the deployment
    deployment: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// What programs get: the deployment as the API tells it, its replicas and its routes.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    deployment: &'a DeploymentResponse,
    replicas: &'a [ReplicaResponse],
    routes: &'a [RouteResponse],
}

/// Prints it.
pub async fn run(args: StatusArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let client = session.client().await?;
    let deployment = client.deployment(id).await?;
    let replicas = client.replicas(id, false).await?;
    // Most have none, and then nobody is asked.
    let mut routes = if deployment.spec.routes.is_empty() { Vec::new() } else { client.routes().await? };
    routes.retain(|route| route.deployment_id == deployment.id);
    session.output.print(&Whole { deployment: &deployment, replicas: &replicas, routes: &routes }, |paint| {
        format!("{}\n\n{}", summary(&deployment, &routes, paint), replicas::table(&replicas, paint))
    })
}

fn summary(one: &DeploymentResponse, routes: &[RouteResponse], paint: Paint) -> String {
    let health = &one.health;
    let mut lines = vec![
        format!("{}  {}", paint.strong(&one.name), paint.status(one.status.as_str())),
        format!("  id         {}", one.id),
        format!(
            "  health     {}: {} of {} replicas ready",
            paint.status(word(health.summary)),
            health.ready,
            health.target
        ),
    ];
    if health.starting + health.stopping + health.restarts > 0 {
        lines.push(format!(
            "             {} starting, {} stopping, {} restarts",
            health.starting, health.stopping, health.restarts
        ));
    }
    if let Some(reason) = &one.reason {
        lines.push(format!("  reason     {}", clean(reason)));
    }
    let what = match &one.spec.container_image {
        Some(image) => image.clone(),
        None => one.spec.command.join(" "),
    };
    lines.push(format!("  runs       {} ({})", clean(&what), one.spec.runtime()));
    if let Some(digest) = &one.image_digest {
        lines.push(format!("  image      {digest}"));
    }
    for route in routes {
        lines.push(format!("  route      {}", clean(&route::line(route))));
    }
    lines.push(format!("  resources  {} each", one.spec.resources));
    lines.push(format!("  revision   {}, changed {}", one.revision, moment(one.updated_at)));
    lines.join("\n")
}

const fn word(health: HealthSummary) -> &'static str {
    match health {
        HealthSummary::Healthy => "healthy",
        HealthSummary::Degraded => "degraded",
        HealthSummary::Unhealthy => "unhealthy",
        HealthSummary::Inactive => "inactive",
    }
}
