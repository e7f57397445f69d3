//! `fogline dev`: server and node on this machine, in one command.
//!
//! The server runs in this process, the agent in one of its own. Killed with SIGKILL, `dev` leaves agent and replicas
//! running, and the next `dev` on the same data goes on with them; told to stop, it leaves nothing (or, with
//! `--keep-running`, all of it). Invariant: when it cannot start, nothing was changed and nothing is left running.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use fogline_agent::config::NodeConfig;
use fogline_core::quantity::{CpuMillis, Resources};

use crate::agent_process::{Holder, Keeper, KeeperConfig, NodeFlag, stop_replicas};
use crate::env::Environment;
use crate::exit::{Failure, Outcome};
use crate::output::say;
use crate::settings::{FileChoice, Settings, Source};
use crate::{front_door, logging, serving, signals};

/// Flags of `fogline dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
The first start creates the user `admin` with the password in FOGLINE_ADMIN_PASSWORD, or with a generated one that is
printed once.

Example: fogline dev --data ./fogline-data --nodes 3 --region eu-west,us-east")]
pub struct DevArgs {
    /// Directory of everything: database, keys, the agent's state, replicas and logs [env: FOGLINE_DATA]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// The database, where it is not SQLite in the data directory [env: FOGLINE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Where the HTTP API listens [env: FOGLINE_LISTEN; default: 127.0.0.1:8000]
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the agent attaches; the port of the last start, else any that is free, when nothing is said
    #[arg(long, value_name = "ADDRESS")]
    agent_listen: Option<String>,
    /// Declare this many nodes, node-01 and so on, instead of this machine as it is
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    nodes: Option<u32>,
    /// Processor cores of each declared node
    #[arg(long, value_name = "CORES", default_value = "8", requires = "nodes", value_parser = parse_cpu)]
    node_cpu: CpuMillis,
    /// Memory of each declared node
    #[arg(long, value_name = "MB", default_value_t = 16_384, requires = "nodes")]
    node_memory_mb: u32,
    /// Storage of each declared node
    #[arg(long, value_name = "GB", default_value_t = 200, requires = "nodes")]
    node_storage_gb: u32,
    /// GPU units of each declared node
    #[arg(long, value_name = "UNITS", default_value_t = 0, requires = "nodes")]
    node_gpu: u32,
    /// Regions of the declared nodes, in turn, separated by commas
    #[arg(long, value_name = "REGION,...", value_delimiter = ',', requires = "nodes")]
    region: Vec<String>,
    /// What runs containers: auto, off, or unix:///path/of/the/socket [env: FOGLINE_AGENT_DOCKER; default: auto]
    #[arg(long, value_name = "ENGINE")]
    docker: Option<String>,
    /// Paths below which containers may be given directories of this machine [env: FOGLINE_AGENT_ALLOWED_MOUNTS]
    #[arg(long, value_name = "PATH,...")]
    allow_mounts: Option<String>,
    /// Where requests come in: address:port, off, or auto: 127.0.0.1:8080 or another port when that is taken, the same at
    /// the next start [env: FOGLINE_PROXY_LISTEN; default: auto]
    #[arg(long, value_name = "ADDRESS")]
    proxy_listen: Option<String>,
    /// The same with TLS, by a certificate for development or those of --proxy-certificates
    /// [env: FOGLINE_PROXY_TLS_LISTEN; default: off]
    #[arg(long, value_name = "ADDRESS")]
    proxy_tls_listen: Option<String>,
    /// Directory of certificates, NAME.crt with NAME.key [env: FOGLINE_PROXY_CERTIFICATES]
    #[arg(long, value_name = "DIR")]
    proxy_certificates: Option<String>,
    /// Leave agent and replicas running at the end
    #[arg(long)]
    keep_running: bool,
    /// What is logged [env: FOGLINE_LOG_LEVEL; default: info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look: text or json [env: FOGLINE_LOG_FORMAT; default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A TOML file with settings [env: FOGLINE_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How long the first words wait for the nodes, so that the first deploy finds them.
const NODES_WITHIN: Duration = Duration::from_secs(10);

fn parse_cpu(text: &str) -> Result<CpuMillis, String> {
    let cores: f64 = text.parse().map_err(|_| format!("{text:?} is no number of cores"))?;
    CpuMillis::from_cores(cores)
}

/// Serves until a signal says stop, or the server ends by itself.
pub async fn run(args: DevArgs, environment: &Environment) -> Outcome {
    serving::keep_memory_private();
    let choice = args.config.as_deref().map_or(FileChoice::OnlyNamed, FileChoice::Named);
    let flags = [
        ("data", args.data.clone()),
        ("database_url", args.database_url.clone()),
        ("listen", args.listen.clone()),
        ("agent_listen", args.agent_listen.clone()),
        ("agent.docker", args.docker.clone()),
        ("agent.allowed_mounts", args.allow_mounts.clone()),
        ("proxy.listen", args.proxy_listen.clone()),
        ("proxy.tls_listen", args.proxy_tls_listen.clone()),
        ("proxy.certificates", args.proxy_certificates.clone()),
        ("log.level", args.log_level.clone()),
        ("log.format", args.log_format.clone()),
    ];
    let settings = Settings::load(choice, environment, &flags)?;
    logging::start(&settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    serving::warn_of_shown_password(&settings);
    let mut config = settings.server_config()?;
    config.data_dir = std::path::absolute(&config.data_dir)
        .map_err(|error| Failure::general("cannot tell where the data directory is").because(error))?;
    if settings.get("metric_allow_private").value == "auto" {
        // People try things at home, wherever it listens.
        config.sources.allow_private = true;
    }
    let data = config.data_dir.clone();
    let agent_data = data.join("agent");
    let nodes = args.declared()?;
    let mut for_agent = settings.for_agent();
    if settings.get("proxy.listen").source == Source::Default {
        // People try things at home, and more than one of them may.
        for_agent.insert("FOGLINE_PROXY_LISTEN".to_owned(), "auto".to_owned());
    }
    // An agent that runs on has its own addresses open.
    if Holder::glance(&agent_data).is_none() {
        front_door::check_free(&settings)?;
    }
    if settings.get("agent_listen").source == Source::Default {
        config.agent_listen = AgentAddress::of(&data).free_or_any();
    }
    let token_file = config.agent_token_path();

    let stop = signals::stop_token({
        let (data, agent_data) = (data.clone(), agent_data.clone());
        move || tell_what_is_left(&data, &agent_data)
    })?;
    let server = serving::start(config, stop.clone()).await?;
    let agent = AgentAddress::of(&data).remember(server.agent_addr).map(|()| KeeperConfig {
        data: agent_data.clone(),
        server: server.agent_addr.to_string(),
        token_file,
        nodes,
        environment: environment
            .for_replicas
            .clone()
            .into_iter()
            .chain(for_agent)
            .chain(environment.docker_host.clone().map(|host| ("DOCKER_HOST".to_owned(), host)))
            .collect(),
    });
    let keeper = match agent {
        Ok(agent) => Keeper::start(agent).await,
        Err(failure) => Err(failure),
    };
    let keeper = match keeper {
        Ok(keeper) => keeper,
        Err(failure) => {
            stop.cancel();
            // What is told is why the agent is not there; the server was fine.
            let _ = server.wait().await;
            return Err(failure);
        }
    };
    let (found, wanted) = (keeper.was_found(), args.nodes.unwrap_or(1));
    let keeping = tokio::spawn(keeper.keep(stop.clone()));
    tokio::select! {
        () = stop.cancelled() => {}
        online = server.nodes_online(wanted, NODES_WITHIN) => greet(&server, found, online, &data, &front_door::open_at(&agent_data)),
    }
    let served = server.wait().await;
    // When the server ends by itself, the agent is not stopped: the next start goes on with what runs.
    let leave = args.keep_running || served.is_err();
    stop.cancel();
    let keeper = keeping.await.map_err(|_| Failure::general("the watch over the agent broke off"))?;
    if leave {
        say!("agent and replicas are left running; `fogline dev --data {}` goes on with them", data.display());
        return served;
    }
    keeper.stop().await?;
    let stopped = stop_replicas(&agent_data, settings.engine_sockets(environment)).await?;
    say!("stopped; {stopped} replicas were stopped, too, and nothing is left running");
    served
}

/// The last words when a second signal leaves no time to stop anything.
fn tell_what_is_left(data: &Path, agent_data: &Path) {
    match Holder::glance(agent_data) {
        Some(agent) => say!("ended at once: the agent, process {}, and its replicas are left running", agent.pid),
        None => say!("ended at once: no agent was seen, and replicas may be left running"),
    }
    say!("`fogline dev --data {}` goes on with them, and Ctrl-C there, once, stops them", data.display());
    if let Some(agent) = Holder::glance(agent_data) {
        say!("`kill {}` ends the agent alone", agent.pid);
    }
}

fn greet(server: &serving::Serving, found: bool, online: u32, data: &Path, doors: &[String]) {
    let url = format!("http://{}", server.http_addr);
    say!("fogline {} serves {url}", env!("CARGO_PKG_VERSION"));
    say!("  data in {}", data.display());
    match online {
        0 => say!("  no node is there yet; {} may say why", data.join("agent/agent.log").display()),
        1 => say!("  1 node is there"),
        more => say!("  {more} nodes are there"),
    }
    // Where no node is there, the agent is not there either.
    if online > 0 && !doors.is_empty() {
        say!("  requests come in at {}", doors.join(" and "));
    }
    if found {
        say!("  going on with the agent and the replicas that run already");
    }
    serving::print_admin_password(server.admin_password.as_ref());
    say!("\nIn another terminal:");
    say!("  fogline login --server {url}");
    match doors.first() {
        Some(door) => {
            say!("  fogline deploy hello --port 8080 --replicas 2 --route hello.localhost --wait -- \\");
            say!("      sh -c 'exec python3 -m http.server $PORT'");
            say!("  curl -H 'Host: hello.localhost' {door}");
        }
        None => {
            say!("  fogline deploy hello --port 8080 --replicas 2 --wait -- sh -c 'exec python3 -m http.server $PORT'");
        }
    }
    say!("  fogline status hello");
    say!("Ctrl-C stops everything.\n");
}

impl DevArgs {
    fn declared(&self) -> Outcome<Vec<NodeFlag>> {
        let Some(count) = self.nodes else { return Ok(vec![NodeFlag::this_machine()]) };
        let regions: Vec<&str> =
            self.region.iter().map(|region| region.trim()).filter(|region| !region.is_empty()).collect();
        let capacity = Resources {
            cpu_millis: self.node_cpu,
            memory_mb: self.node_memory_mb,
            gpu_units: self.node_gpu,
            storage_gb: self.node_storage_gb,
        };
        let width = count.to_string().len().max(2);
        (1..=count)
            .map(|number| {
                let place = (number - 1) as usize;
                let region = if regions.is_empty() { "local" } else { regions[place % regions.len()] };
                // Three zones a region, in turn, as clouds have them.
                let zone = ['a', 'b', 'c'][place / regions.len().max(1) % 3];
                let name = format!("node-{number:0width$}");
                let node = NodeFlag(NodeConfig {
                    name,
                    region: region.to_owned(),
                    zone: format!("{region}-{zone}"),
                    capacity: Some(capacity),
                    labels: BTreeMap::new(),
                });
                // The same checks as for a flag that somebody typed.
                node.to_string().parse().map_err(|error: String| {
                    Failure::new(crate::exit::Exit::Usage, "the nodes cannot be declared like this").because(error)
                })
            })
            .collect()
    }
}

/// The agents' address of a data directory. Kept over restarts, because the agent that a killed `dev` leaves behind
/// knows no other.
struct AgentAddress {
    path: PathBuf,
}

impl AgentAddress {
    fn of(data: &Path) -> Self {
        Self { path: data.join("agent.addr") }
    }

    /// The address of the last start where it is free, else one with any port.
    fn free_or_any(&self) -> SocketAddr {
        std::fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| text.trim().parse::<SocketAddr>().ok())
            .filter(|address| std::net::TcpListener::bind(address).is_ok())
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn remember(&self, address: SocketAddr) -> Outcome {
        let temporary = self.path.with_extension("addr.new");
        std::fs::write(&temporary, format!("{address}\n"))
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .map_err(|error| Failure::general(format!("cannot write {}", self.path.display())).because(error))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DevArgs,
    }

    fn nodes(line: &str) -> Vec<String> {
        let args = Line::try_parse_from(line.split(' ')).expect("parses").args;
        args.declared().expect("declared").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn regions_take_turns_and_zones_follow() {
        let declared = nodes("dev --nodes 5 --node-cpu 2.5 --node-memory-mb 4096 --node-storage-gb 50 --region eu,us");
        let places: Vec<&str> = declared.iter().map(|node| node.split("region=").nth(1).expect("a region")).collect();
        assert_eq!(places, ["eu,zone=eu-a", "us,zone=us-a", "eu,zone=eu-b", "us,zone=us-b", "eu,zone=eu-c"]);
        assert!(declared[0].starts_with("name=node-01,cpu=2.5,memory-mb=4096,storage-gb=50,"), "{declared:?}");
    }

    #[test]
    fn a_saved_address_is_used_while_it_is_free() {
        let dir = tempfile::tempdir().expect("a directory");
        let saved = AgentAddress::of(dir.path());
        assert_eq!(saved.free_or_any().port(), 0);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        saved.remember(address).expect("written");
        assert_eq!(saved.free_or_any().port(), 0, "somebody else has it");
        drop(taken);
        assert_eq!(saved.free_or_any(), address);
    }
}
