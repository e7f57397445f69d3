//! `fogline proxy`: the front door alone, on a machine that runs no replicas.

use std::path::PathBuf;

use clap::Args;

use crate::agent_process::host_name;
use crate::attach::Attach;
use crate::env::Environment;
use crate::exit::{Failure, Outcome};
use crate::output::say;
use crate::settings::{FileChoice, Settings, Source};
use crate::{front_door, logging, signals};

/// Where it listens when nothing is said.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Flags of `fogline proxy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fogline proxy --server 127.0.0.1:8001 --token-file fogline-data/agent.token --listen 0.0.0.0:80
  fogline proxy ... --tls-listen 0.0.0.0:443 --certificates /etc/fogline/certificates")]
pub struct ProxyArgs {
    /// The TOML file with the settings [env: FOGLINE_CONFIG; default: /etc/fogline/fogline.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where its servers are, separated by commas [env: FOGLINE_AGENT_SERVER; default: 127.0.0.1:8001]
    #[arg(short, long, value_name = "ADDRESS,...")]
    server: Option<String>,
    /// File with the token that a server made [env: FOGLINE_AGENT_TOKEN_FILE]
    #[arg(short, long, value_name = "FILE")]
    token_file: Option<String>,
    /// Directory of its last routes and of certificates that it has made [env: FOGLINE_PROXY_DATA; default: fogline-proxy]
    #[arg(short, long, value_name = "DIR")]
    data: Option<String>,
    /// Where requests come in, separated by commas: address:port or off [env: FOGLINE_PROXY_LISTEN; default: 127.0.0.1:8080]
    #[arg(short, long, alias = "proxy-listen", value_name = "ADDRESS,...")]
    listen: Option<String>,
    /// The same with TLS [env: FOGLINE_PROXY_TLS_LISTEN; default: off]
    #[arg(long, alias = "proxy-tls-listen", value_name = "ADDRESS,...")]
    tls_listen: Option<String>,
    /// Directory of certificates, NAME.crt with NAME.key; one for development is made when nothing is said
    /// [env: FOGLINE_PROXY_CERTIFICATES]
    #[arg(long, alias = "proxy-certificates", value_name = "DIR")]
    certificates: Option<String>,
    /// Addresses and networks of proxies in front of it, whose word on a client's address counts
    /// [env: FOGLINE_PROXY_TRUSTED]
    #[arg(long, alias = "proxy-trusted", value_name = "NETWORK,...")]
    trusted: Option<String>,
    /// Where each request is told as a line of JSON: off, stdout or a file [env: FOGLINE_PROXY_ACCESS_LOG; default: off]
    #[arg(long, alias = "proxy-access-log", value_name = "FILE")]
    access_log: Option<String>,
    /// What it is called; the name of the machine and -proxy when nothing is said [env: FOGLINE_PROXY_NAME]
    #[arg(long, alias = "proxy-name", value_name = "NAME")]
    name: Option<String>,
    /// What is logged [env: FOGLINE_LOG_LEVEL; default: info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look: text or json [env: FOGLINE_LOG_FORMAT; default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Runs it until a signal says stop.
pub async fn run(args: ProxyArgs, environment: &Environment) -> Outcome {
    let choice = args.config.as_deref().map_or(FileChoice::System, FileChoice::Named);
    let flags = |listen: Option<String>, name: Option<String>| {
        [
            ("agent.server", args.server.clone()),
            ("agent.token_file", args.token_file.clone()),
            ("proxy.data", args.data.clone()),
            ("proxy.listen", listen),
            ("proxy.tls_listen", args.tls_listen.clone()),
            ("proxy.certificates", args.certificates.clone()),
            ("proxy.trusted", args.trusted.clone()),
            ("proxy.access_log", args.access_log.clone()),
            ("proxy.name", name),
            ("log.level", args.log_level.clone()),
            ("log.format", args.log_format.clone()),
        ]
    };
    let told = Settings::load(choice, environment, &flags(args.listen.clone(), args.name.clone()))?;
    // What nobody has said is other than in an agent, which may be on the same machine.
    let unless_told = |key: &str, flag: &Option<String>, default: String| {
        if told.get(key).source == Source::Default { Some(default) } else { flag.clone() }
    };
    let listen = unless_told("proxy.listen", &args.listen, DEFAULT_LISTEN.to_owned());
    let name = unless_told("proxy.name", &args.name, format!("{}-proxy", host_name()));
    let settings = Settings::load(choice, environment, &flags(listen, name))?;
    logging::start(&settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let attach = Attach::from(&settings)?;
    let data = PathBuf::from(&settings.get("proxy.data").value);
    let stop = signals::stop_token(|| say!("ended at once; requests that were open are cut off"))?;
    // It starts nothing that could do with less.
    let _ = front_door::raise_file_limit();
    let door = front_door::open(&settings, attach, data, None, stop).await?;
    let door = door.ok_or_else(|| {
        Failure::new(crate::exit::Exit::Usage, "the proxy would listen nowhere")
            .hint("--listen or --tls-listen names an address")
    })?;
    say!("fogline {} takes requests at {}", env!("CARGO_PKG_VERSION"), door.urls().join(" and "));
    door.wait().await;
    Ok(())
}
