//! `fogline agent`: runs replicas on this machine.

use std::path::PathBuf;

use clap::Args;
use fogline_agent::config::AgentConfig;

use crate::agent_process::NodeFlag;
use crate::attach::Attach;
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::settings::{FileChoice, Settings};
use crate::{front_door, logging, signals};

/// Flags of `fogline agent`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fogline agent --server 127.0.0.1:8001 --token-file fogline-data/agent.token --data fogline-agent
  fogline agent ... --node name=edge-1,cpu=4,memory-mb=8192,storage-gb=100,region=eu,zone=eu-a")]
pub struct AgentArgs {
    /// The TOML file with the settings [env: FOGLINE_CONFIG; default: /etc/fogline/fogline.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not look for settings in /etc
    #[arg(long, hide = true)]
    no_system_settings: bool,
    /// Where its servers are, separated by commas [env: FOGLINE_AGENT_SERVER; default: 127.0.0.1:8001]
    #[arg(short, long, value_name = "ADDRESS,...")]
    server: Option<String>,
    /// File with the token that a server made [env: FOGLINE_AGENT_TOKEN_FILE]
    #[arg(short, long, value_name = "FILE")]
    token_file: Option<String>,
    /// Directory of its state, its replicas and their logs [env: FOGLINE_AGENT_DATA; default: fogline-agent]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// Ports of this machine that replicas get [env: FOGLINE_AGENT_PORTS; default: 20000-29999]
    #[arg(long, value_name = "FIRST-LAST")]
    ports: Option<String>,
    /// Address of this machine that others reach replicas at [env: FOGLINE_AGENT_ADDRESS; default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// What runs containers: auto, off, or unix:///path/of/the/socket [env: FOGLINE_AGENT_DOCKER; default: auto]
    #[arg(long, value_name = "ENGINE")]
    docker: Option<String>,
    /// Paths below which containers may be given directories of this machine [env: FOGLINE_AGENT_ALLOWED_MOUNTS]
    #[arg(long, value_name = "PATH,...")]
    allow_mounts: Option<String>,
    /// Where a proxy in the agent's process takes requests, separated by commas: address:port, auto or off
    /// [env: FOGLINE_PROXY_LISTEN; default: off]
    #[arg(long, value_name = "ADDRESS,...")]
    proxy_listen: Option<String>,
    /// The same with TLS [env: FOGLINE_PROXY_TLS_LISTEN; default: off]
    #[arg(long, value_name = "ADDRESS,...")]
    proxy_tls_listen: Option<String>,
    /// Directory of certificates, NAME.crt with NAME.key [env: FOGLINE_PROXY_CERTIFICATES]
    #[arg(long, value_name = "DIR")]
    proxy_certificates: Option<String>,
    /// Addresses and networks of proxies in front of it, whose word on a client's address counts
    /// [env: FOGLINE_PROXY_TRUSTED]
    #[arg(long, value_name = "NETWORK,...")]
    proxy_trusted: Option<String>,
    /// Where each request is told as a line of JSON: off, stdout or a file [env: FOGLINE_PROXY_ACCESS_LOG; default: off]
    #[arg(long, value_name = "FILE")]
    proxy_access_log: Option<String>,
    /// What the proxy is called; the name of the machine when nothing is said [env: FOGLINE_PROXY_NAME]
    #[arg(long, value_name = "NAME")]
    proxy_name: Option<String>,
    /// A node that it presents, as name=...,cpu=...,memory-mb=...,storage-gb=...,gpu=...,region=...,zone=...,label.KEY=...;
    /// this machine as it is when nothing is said; may be given several times
    #[arg(short, long = "node", value_name = "NODE")]
    nodes: Vec<NodeFlag>,
    /// Stop every replica when the agent stops, instead of leaving them to the next agent
    #[arg(long)]
    stop_replicas: bool,
    /// What is logged [env: FOGLINE_LOG_LEVEL; default: info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look: text or json [env: FOGLINE_LOG_FORMAT; default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Runs it until a signal says stop. Replicas go on running: the next agent on the same directory adopts them.
pub async fn run(args: AgentArgs, environment: &Environment) -> Outcome {
    let choice = match &args.config {
        Some(file) => FileChoice::Named(file),
        None if args.no_system_settings => FileChoice::OnlyNamed,
        None => FileChoice::System,
    };
    let flags = [
        ("agent.server", args.server),
        ("agent.token_file", args.token_file),
        ("agent.data", args.data),
        ("agent.ports", args.ports),
        ("agent.address", args.address),
        ("agent.docker", args.docker),
        ("agent.allowed_mounts", args.allow_mounts),
        ("proxy.listen", args.proxy_listen),
        ("proxy.tls_listen", args.proxy_tls_listen),
        ("proxy.certificates", args.proxy_certificates),
        ("proxy.trusted", args.proxy_trusted),
        ("proxy.access_log", args.proxy_access_log),
        ("proxy.name", args.proxy_name),
        ("log.level", args.log_level),
        ("log.format", args.log_format),
    ];
    let settings = Settings::load(choice, environment, &flags)?;
    logging::start(&settings)?;
    let attach = Attach::from(&settings)?;
    let data = PathBuf::from(&settings.get("agent.data").value);
    let nodes = if args.nodes.is_empty() { vec![NodeFlag::this_machine()] } else { args.nodes };
    let nodes = nodes.into_iter().map(|NodeFlag(node)| node).collect();
    let mut config = AgentConfig::new(attach.servers.clone(), attach.token.clone(), data, nodes);
    config.base_env.clone_from(&environment.for_replicas);
    config.open_files = front_door::raise_file_limit();
    config.ports = settings.agent_ports()?;
    config.address.clone_from(&settings.get("agent.address").value);
    config.engine_sockets = settings.engine_sockets(environment);
    config.allowed_mounts = settings.allowed_mounts();
    config.registry_auth = settings.registry_auth();
    config.image_gc = settings.image_gc()?;
    config.stop_replicas_on_exit = args.stop_replicas;
    config.validate().map_err(|reason| Failure::new(Exit::Usage, reason))?;
    let stop = signals::stop_token(|| {
        say!("ended at once; its replicas run on, and the next agent on the same directory goes on with them");
    })?;
    let data = front_door::in_agent(&config.data_dir);
    let door = front_door::open(&settings, attach, data, Some(config.ports), stop.clone()).await?;
    let agent = fogline_agent::run::run(config, stop.clone()).await;
    // What has come in is answered still, whatever ended the agent.
    stop.cancel();
    if let Some(door) = door {
        door.wait().await;
    }
    agent.map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))
}
