//! `fogline deploy`: a deployment from flags, without a file.

use std::collections::BTreeMap;

use clap::Args;
use fogline_core::quantity::CpuMillis;
use fogline_core::spec::{DeploymentSpec, HealthCheck, HealthSpec, RouteSpec, Runtime, Spread};
use serde_json::json;

use super::apply::report;
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Format;
use crate::progress::{Goal, WaitArgs};
use crate::route_text;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fogline deploy web --image nginx:1.29 --port 80 --replicas 3
  fogline deploy hello --port 8080 --replicas 3 --route hello.localhost --wait -- sh -c 'exec python3 -m http.server $PORT'")]
pub struct DeployArgs {
    /// Its name: 1 to 100 letters, digits, - and _
    name: String,
    /// The image to run; without one, the command after -- is run as a process
    #[arg(short, long)]
    image: Option<String>,
    /// How it is run: docker or process
    #[arg(long, value_parser = parse_runtime)]
    runtime: Option<Runtime>,
    /// How many replicas, 1 to 100
    #[arg(short, long, default_value_t = 1)]
    replicas: u32,
    /// Processor cores of each replica, 0.5 to 32
    #[arg(long, default_value = "0.5", value_parser = parse_cpu)]
    cpu: CpuMillis,
    /// Memory of each replica in MB, 512 to 65536
    #[arg(long, default_value_t = 512, value_name = "MB")]
    memory: u32,
    /// GPU units of each replica, 0 to 8
    #[arg(long, default_value_t = 0)]
    gpu: u32,
    /// Storage of each replica in GB, 1 to 1000
    #[arg(long, default_value_t = 10, value_name = "GB")]
    storage: u32,
    /// The port it listens on; a process is told its own in PORT
    #[arg(short, long)]
    port: Option<u16>,
    /// A variable of its environment, as NAME=VALUE; may be given several times
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// What shows that a replica is ready: tcp, http or none
    #[arg(long, value_parser = parse_health, value_name = "CHECK")]
    health: Option<HealthCheck>,
    /// Path of an HTTP check
    #[arg(long, value_name = "PATH")]
    health_path: Option<String>,
    /// Where requests for it come in: HOST, HOST/PATH, /PATH or tcp:PORT, such as web.localhost; may be given several times
    #[arg(long = "route", value_name = "ROUTE", value_parser = route_text::parse)]
    routes: Vec<RouteSpec>,
    /// Prefer nodes of this region
    #[arg(long)]
    region: Option<String>,
    /// Prefer nodes of this zone
    #[arg(long)]
    zone: Option<String>,
    /// At most one replica a node
    #[arg(long)]
    spread_required: bool,
    /// A label of your own
    #[arg(long = "type", default_value = "compute", value_name = "LABEL")]
    kind: String,
    /// Where a process starts; a directory of its own when nothing is said
    #[arg(long, value_name = "DIR")]
    working_dir: Option<String>,
    /// Print the spec as YAML instead of deploying it
    #[arg(long)]
    print_spec: bool,
    /// Program and arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_runtime(word: &str) -> Result<Runtime, String> {
    Runtime::ALL
        .into_iter()
        .find(|runtime| runtime.as_str() == word)
        .ok_or_else(|| "accepted: docker, process".to_owned())
}

fn parse_cpu(text: &str) -> Result<CpuMillis, String> {
    let cores: f64 = text.parse().map_err(|_| format!("{text:?} is no number of cores"))?;
    CpuMillis::from_cores(cores)
}

fn parse_health(word: &str) -> Result<HealthCheck, String> {
    serde_json::from_value(json!(word)).map_err(|_| "accepted: tcp, http, none".to_owned())
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no =; write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl DeployArgs {
    fn spec(&self) -> Outcome<DeploymentSpec> {
        // What no flag names has the default that a file's spec has.
        let least = json!({ "name": self.name, "resources": { "cpu": self.cpu, "memory": self.memory } });
        let mut spec: DeploymentSpec = serde_json::from_value(least)
            .map_err(|error| Failure::general("cannot make a spec of the flags").because(error))?;
        spec.kind.clone_from(&self.kind);
        spec.runtime = self.runtime;
        spec.container_image.clone_from(&self.image);
        spec.command.clone_from(&self.command);
        spec.env = self.env.iter().cloned().collect::<BTreeMap<_, _>>();
        spec.working_dir.clone_from(&self.working_dir);
        spec.replicas = self.replicas;
        spec.resources.gpu_units = self.gpu;
        spec.resources.storage_gb = self.storage;
        spec.port = self.port;
        if self.health.is_some() || self.health_path.is_some() {
            let mut health = HealthSpec { check: self.health.unwrap_or(HealthCheck::Http), ..HealthSpec::default() };
            if let Some(path) = &self.health_path {
                health.path.clone_from(path);
            }
            spec.health = Some(health);
        }
        spec.routes.clone_from(&self.routes);
        spec.placement.region.clone_from(&self.region);
        spec.placement.zone.clone_from(&self.zone);
        if self.spread_required {
            spec.placement.spread = Spread::Required;
        }
        spec.validate().map_err(|errors| {
            let mut failure = Failure::new(Exit::Refused, format!("{} cannot be deployed like this", self.name));
            failure.causes = errors.iter().map(ToString::to_string).collect();
            failure.hint("nothing was sent; `fogline deploy --help` explains each flag")
        })?;
        Ok(spec)
    }
}

/// Deploys it.
pub async fn run(args: DeployArgs, environment: &Environment) -> Outcome {
    let spec = args.spec()?;
    if args.print_spec {
        let mut output = args.client.output.settle(environment)?;
        if output.format == Format::Table {
            output.format = Format::Yaml;
        }
        return output.print(&spec, |_| String::new());
    }
    let session = Session::open(&args.client, environment)?;
    let answer = session.changing_client().await?.deploy(&spec).await?;
    report(&session, &args.name, answer, Some(Goal::Ready), args.wait).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DeployArgs,
    }

    fn spec(line: &str) -> Outcome<DeploymentSpec> {
        Line::try_parse_from(line.split(' ')).expect("parses").args.spec()
    }

    #[test]
    fn flags_make_the_spec_that_a_file_would() {
        let flags = spec(
            "deploy hello --replicas 3 --cpu 1.5 --port 8080 -e A=b=c --health-path /up --route web.localhost/api --route tcp:5432 -- python3 -m http.server",
        )
        .expect("valid");
        let file: DeploymentSpec = serde_saphyr::from_str(
            "name: hello\nreplicas: 3\nresources: {cpu: 1.5, memory: 512}\nport: 8080\nenv: {A: b=c}\nhealth: {type: http, path: /up}\nroutes: [{host: web.localhost, path: /api}, {tcp_port: 5432}]\ncommand: [python3, -m, http.server]\n",
        )
        .expect("parses");
        assert_eq!(flags, file);
    }

    #[test]
    fn every_field_at_fault_is_named_before_anything_is_sent() {
        let failure = spec("deploy bad/name --replicas 500 --memory 1 -- true").expect_err("refused");
        assert_eq!(failure.exit, Exit::Refused);
        for field in ["name", "replicas", "resources.memory"] {
            assert!(failure.to_string().contains(field), "{field} in {failure}");
        }
    }
}
