//! Runs a proxy inside this process, for `agent` and `proxy`, and says where it takes requests.
//!
//! Decides the port, where that is left to it. Invariants: an address is taken by binding it, never by having looked, so
//! no two proxies share one; one proxy a directory, which its lock tells; what the directory says of open addresses is
//! of the proxy that runs, or of the last one. Tests: below and `tests/it/front_door.rs`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fogline_agent::ports::PortRange;
use fogline_proxy::{ProxyConfig, ProxyError, Running};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::attach::Attach;
use crate::exit::{Exit, Failure, Outcome};
use crate::settings::{Doors, Settings};

/// Where `auto` is tried first.
const USUAL_PORT: u16 = 8_080;
const USUAL_TLS_PORT: u16 = 8_443;
/// In the directory of a proxy: where it takes requests, a URL a line.
const OPEN_AT: &str = "open-at";

/// A proxy that runs.
#[derive(Debug)]
pub struct FrontDoor {
    running: Running,
    _lock: File,
}

impl FrontDoor {
    /// Where it takes requests, as URLs.
    pub fn urls(&self) -> Vec<String> {
        let plain = self.running.http.iter().map(|address| format!("http://{address}"));
        plain.chain(self.running.https.iter().map(|address| format!("https://{address}"))).collect()
    }

    /// Waits until it has ended, after what was open when it was told to end.
    pub async fn wait(self) {
        self.running.wait().await;
    }
}

/// Where the proxy in the agent with this directory takes requests, as URLs; nothing when it has none.
pub fn open_at(agent_data: &Path) -> Vec<String> {
    read_open_at(&in_agent(agent_data))
}

/// The directory of the proxy in an agent.
pub fn in_agent(agent_data: &Path) -> PathBuf {
    agent_data.join("proxy")
}

fn read_open_at(data: &Path) -> Vec<String> {
    fs::read_to_string(data.join(OPEN_AT)).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
}

/// Looks whether the addresses that were named can be had, to say so before anything is started.
///
/// # Errors
/// Names the one that cannot.
pub fn check_free(settings: &Settings) -> Outcome {
    for key in ["proxy.listen", "proxy.tls_listen"] {
        let Doors::At(addresses) = settings.doors(key)? else { continue };
        for address in addresses {
            TcpListener::bind(address).map_err(|error| cannot_listen(address).because(error))?;
        }
    }
    Ok(())
}

fn cannot_listen(address: SocketAddr) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot listen on {address} for requests"))
        .hint("--proxy-listen and --proxy-tls-listen name other addresses; `off` does without")
}

/// Lets this process have as many files open as the system allows: each connection is one. Gives how many it could have
/// before, for what it starts; nothing where it may not.
pub fn raise_file_limit() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum });
    raised.ok().and(before.current)
}

/// Opens what the settings say, in this directory; nothing where they say nothing. Routes never open the ports `of_replicas`.
///
/// # Errors
/// When an address that was named cannot be had, or the proxy cannot start.
pub async fn open(
    settings: &Settings,
    attach: Attach,
    data: PathBuf,
    of_replicas: Option<PortRange>,
    stop: CancellationToken,
) -> Outcome<Option<FrontDoor>> {
    let (plain, tls) = (settings.doors("proxy.listen")?, settings.doors("proxy.tls_listen")?);
    if plain == Doors::Off && tls == Doors::Off {
        // What an earlier one has said is not true any more.
        let _ = fs::remove_file(data.join(OPEN_AT));
        return Ok(None);
    }
    let lock = lock(&data)?;
    let last = read_open_at(&data);
    let mut plain = Candidates::new(plain, &last, "http://", USUAL_PORT);
    let mut tls = Candidates::new(tls, &last, "https://", USUAL_TLS_PORT);
    let mut config = settings.proxy_config(attach, data.clone())?;
    config.tcp_ports_taken.extend(of_replicas.map(PortRange::bounds));
    let running = loop {
        let config = ProxyConfig { http: plain.present(), https: tls.present(), ..config.clone() };
        match fogline_proxy::start(config, stop.clone()).await {
            Ok(running) => break running,
            Err(ProxyError::Listen { address, .. }) if plain.give_up(address) || tls.give_up(address) => {}
            Err(error) => return Err(failure(error)),
        }
    };
    let door = FrontDoor { running, _lock: lock };
    let text = door.urls().iter().map(|url| format!("{url}\n")).collect::<String>();
    let path = data.join(OPEN_AT);
    let temporary = path.with_extension("new");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(|error| Failure::general(format!("cannot write {}", path.display())).because(error))?;
    Ok(Some(door))
}

fn failure(error: ProxyError) -> Failure {
    match error {
        ProxyError::Listen { address, source } => cannot_listen(address).because(source),
        error => Failure::new(Exit::Unavailable, error.to_string()),
    }
}

fn lock(data: &Path) -> Outcome<File> {
    let cannot = |error: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot use {} for a proxy", data.display())).because(error)
    };
    // Its certificate's key is in there, and where replicas are.
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(cannot)?;
    let path = data.join("proxy.lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(cannot)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(errno) if errno.kind() == ErrorKind::WouldBlock => {
            Err(Failure::new(Exit::Unavailable, format!("{} is in use by a proxy that runs already", data.display()))
                .hint("stop that one first, or name another directory with --data"))
        }
        Err(errno) => Err(cannot(errno.into())),
    }
}

/// The addresses to be tried.
struct Candidates {
    /// The next is the last.
    left: Vec<Vec<SocketAddr>>,
}

impl Candidates {
    fn new(doors: Doors, last: &[String], scheme: &str, usual_port: u16) -> Self {
        let left = match doors {
            Doors::Off => vec![Vec::new()],
            Doors::At(addresses) => vec![addresses],
            Doors::Auto => {
                let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let last = last.iter().find_map(|url| url.strip_prefix(scheme)?.parse().ok());
                let last = last.filter(|last: &SocketAddr| *last != here(usual_port)).map(|last| vec![last]);
                [vec![here(0)], vec![here(usual_port)]].into_iter().chain(last).collect()
            }
        };
        Self { left }
    }

    fn present(&self) -> Vec<SocketAddr> {
        self.left.last().cloned().unwrap_or_default()
    }

    /// Goes on to the next, where this one is taken and there is a next.
    fn give_up(&mut self, taken: SocketAddr) -> bool {
        let goes_on = self.left.len() > 1 && self.present().contains(&taken);
        if goes_on {
            self.left.pop();
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn auto_tries_the_last_port_the_usual_one_and_any() {
        let last = ["https://127.0.0.1:9443".to_owned(), "http://127.0.0.1:9080".to_owned()];
        let mut candidates = Candidates::new(Doors::Auto, &last, "http://", USUAL_PORT);
        for tried in ["127.0.0.1:9080", "127.0.0.1:8080"] {
            assert_eq!(candidates.present(), [address(tried)]);
            assert!(!candidates.give_up(address("127.0.0.1:1")), "another address was taken");
            assert!(candidates.give_up(address(tried)));
        }
        assert_eq!(candidates.present(), [address("127.0.0.1:0")]);
        assert!(!candidates.give_up(address("127.0.0.1:0")), "nothing is left to try");
    }

    #[test]
    fn what_was_named_is_had_or_nothing() {
        let named = vec![address("127.0.0.1:9"), address("[::1]:9")];
        let mut candidates = Candidates::new(Doors::At(named.clone()), &[], "http://", USUAL_PORT);
        assert_eq!(candidates.present(), named);
        assert!(!candidates.give_up(named[0]));
    }

    #[test]
    fn a_directory_is_one_proxys() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("proxy");
        let first = lock(&data).expect("free");
        let mode = fs::metadata(&data).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else's to read");
        assert!(lock(&data).expect_err("held").to_string().contains("in use"));
        drop(first);
        lock(&data).expect("free again");
    }
}
