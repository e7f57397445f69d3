//! A proxy from its start to its end.
//!
//! Binds first, so that whoever starts it hears at once what is in the way; takes requests once the last table, if one was
//! kept, is applied. At the end nothing new is taken, what is open may finish within [`GRACE`], and the server goes on
//! hearing of it meanwhile. Tests: `tests/it`.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::access_log::{self, AccessLog};
use crate::clock::Clock;
use crate::config::ProxyConfig;
use crate::control::{Control, ControlConfig};
use crate::front::Front;
use crate::limits::FrontLimits;
use crate::serve::{Door, Entrance, GRACE, Listener, Workers};
use crate::tcp::TcpPorts;
use crate::tls::{self, Tls};

/// The files that one client's connection is reckoned with.
const FILES_OF_ONE: u64 = 4;

/// Why a proxy cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// What it was told makes no sense.
    #[error("cannot start the proxy: {0}")]
    Config(String),
    /// An address is taken, or is not of this machine.
    #[error("cannot start the proxy: cannot listen on {address}: {source}")]
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Listen { address: SocketAddr, source: io::Error },
    /// Its directory.
    #[error("cannot start the proxy: cannot prepare {}: {source}", dir.display())]
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Dir { dir: PathBuf, source: io::Error },
    /// Its certificate, or its access log.
    #[error("cannot start the proxy: {0}")]
    Part(String),
    /// Its threads.
    #[error("cannot start the proxy's workers: {0}")]
    Workers(#[source] io::Error),
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it takes HTTP, with the ports that it was given.
    pub http: Vec<SocketAddr>,
    /// Where it takes HTTPS.
    pub https: Vec<SocketAddr>,
    workers: Workers,
    door: Arc<Door>,
    /// TCP connections that are open, and what cuts them.
    connections: TaskTracker,
    cut: CancellationToken,
    control: JoinHandle<()>,
    log: Option<access_log::Writer>,
    shutdown: CancellationToken,
}

/// Starts a proxy; it takes requests when this returns.
///
/// # Errors
/// When it cannot.
pub async fn start(config: ProxyConfig, shutdown: CancellationToken) -> Result<Running, ProxyError> {
    config.validate().map_err(ProxyError::Config)?;
    let (http_sockets, http) = bind(&config.http)?;
    let (https_sockets, https) = bind(&config.https)?;
    prepare(&config.data_dir).map_err(|source| ProxyError::Dir { dir: config.data_dir.clone(), source })?;
    let clock = Clock::system();
    let log = config.access_log.as_ref().map(|target| AccessLog::open(target, clock));
    let (log, writer) = log.transpose().map_err(ProxyError::Part)?.unzip();
    let (front, events) = Front::new(FrontLimits::default(), clock);
    let most_connections = within_file_limit(config.max_connections, getrlimit(Resource::Nofile).current);
    let door = Door::new(Arc::clone(&front), config.trusted_proxies.clone(), log, most_connections, config.patience);
    let addresses: BTreeSet<IpAddr> = http.iter().chain(&https).map(SocketAddr::ip).collect();
    let addresses: Vec<IpAddr> = addresses.into_iter().collect();
    let mut listeners: Vec<Listener> = Vec::new();
    listeners.extend(http_sockets.into_iter().map(|socket| Listener { socket, entrance: Entrance::Plain }));
    if !https_sockets.is_empty() {
        let tls = Tls::new(config.certificates.clone(), config.data_dir.clone(), addresses.clone(), clock)
            .map_err(ProxyError::Part)?;
        let encrypted = |socket| Listener { socket, entrance: Entrance::Tls(tls.config()) };
        listeners.extend(https_sockets.into_iter().map(encrypted));
        tokio::spawn(tls::watch(tls, shutdown.clone()));
    }
    let control = Control::open(control_config(&config, &http, &https), Arc::clone(&front));
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        count => count,
    };
    let workers = Workers::start(workers, &door, &listeners, &shutdown).map_err(ProxyError::Workers)?;
    let cut = CancellationToken::new();
    tokio::spawn(cut.clone().run_until_cancelled_owned(front.tend()));
    let connections = TaskTracker::new();
    let own = http.iter().chain(&https).map(|address| address.port()..=address.port());
    let ports = TcpPorts {
        door: Arc::clone(&door),
        addresses,
        range: config.tcp_ports.clone(),
        taken: config.tcp_ports_taken.iter().cloned().chain(own).collect(),
        connections: connections.clone(),
        cut: cut.clone(),
    };
    tokio::spawn(ports.run(shutdown.clone()));
    let control = tokio::spawn(control.run(events, cut.clone()));
    info!(?http, ?https, "requests are taken");
    Ok(Running { http, https, workers, door, connections, cut, control, log: writer, shutdown })
}

impl Running {
    /// Waits until it has ended, after what was open when it was told to end.
    pub async fn wait(self) {
        let Self { workers, door, connections, cut, control, log, shutdown, .. } = self;
        // Workers end only when told to: it is the order that is waited for.
        let workers = tokio::task::spawn_blocking(move || workers.wait());
        shutdown.cancelled().await;
        connections.close();
        let (ended, drained) = tokio::join!(workers, tokio::time::timeout(GRACE, connections.wait()));
        if ended.is_err() || drained.is_err() {
            warn!("some connections were open to the end, and are cut");
        }
        cut.cancel();
        connections.wait().await;
        // It says and keeps what it knew last.
        let _ = control.await;
        drop(door);
        if let Some(log) = log {
            let _ = tokio::task::spawn_blocking(move || log.wait()).await;
        }
    }
}

fn bind(addresses: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), ProxyError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        let cannot = |source| ProxyError::Listen { address: *address, source };
        let socket = TcpListener::bind(address).map_err(cannot)?;
        bound.push(socket.local_addr().map_err(cannot)?);
        sockets.push(socket);
    }
    Ok((sockets, bound))
}

/// Of the connections that may be open, as many as there can be files for: a client's connection needs one to a replica,
/// and there are idle ones, and all else.
fn within_file_limit(most_connections: usize, most_files: Option<u64>) -> usize {
    let fit = most_files.map_or(usize::MAX, |files| usize::try_from(files / FILES_OF_ONE).unwrap_or(usize::MAX).max(1));
    if fit < most_connections {
        warn!(most_connections = fit, "fewer connections are taken than set: the process may not have more files open");
    }
    most_connections.min(fit)
}

/// Keys are kept there: it is nobody else's to read.
fn prepare(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn control_config(config: &ProxyConfig, http: &[SocketAddr], https: &[SocketAddr]) -> ControlConfig {
    let texts = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect();
    ControlConfig {
        servers: config.servers.clone(),
        token: config.token.clone(),
        data_dir: config.data_dir.clone(),
        name: config.name.clone(),
        http: texts(http),
        https: texts(https),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_connections_than_files_for_them() {
        let table =
            [(10_000, None, 10_000), (10_000, Some(1 << 20), 10_000), (10_000, Some(1_024), 256), (5, Some(0), 1)];
        for (set, files, most) in table {
            assert_eq!(within_file_limit(set, files), most, "{set} with {files:?}");
        }
    }
}
