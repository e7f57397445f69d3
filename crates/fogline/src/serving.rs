//! Runs the control plane inside this process, for `server` and `dev`.

use std::net::SocketAddr;
use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::record::Liveness;
use fogline_server::{Running, ServeError, ServerConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::settings::{Settings, Source};

/// A control plane that serves.
pub struct Serving {
    /// Where the HTTP API answers.
    pub http_addr: SocketAddr,
    /// Where agents attach.
    pub agent_addr: SocketAddr,
    /// The first administrator's password, where one was made up.
    pub admin_password: Option<SecretString>,
    running: Running,
}

impl Serving {
    /// Waits until this many nodes are there, or for `within`; says how many are.
    pub async fn nodes_online(&self, wanted: u32, within: Duration) -> u32 {
        let deadline = Instant::now() + within;
        loop {
            let online = |cluster: &Cluster| {
                cluster.nodes().iter().filter(|(_, node)| node.liveness == Liveness::Online).count()
            };
            let online = self.running.shared().writer.view(move |cluster, _| online(cluster)).await.unwrap_or(0);
            let online = u32::try_from(online).unwrap_or(u32::MAX);
            if online >= wanted || Instant::now() >= deadline {
                return online;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it has ended, as it was told to, or by itself.
    ///
    /// # Errors
    /// What ended it.
    pub async fn wait(self) -> Outcome {
        self.running.wait().await.map_err(failure)
    }
}

/// Closes this process's memory and environment, with passwords and keys in them, to others of the same user, and to core
/// files. Called first. A replica that runs as that user can still read the user's files.
pub fn keep_memory_private() {
    if let Err(errno) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        say!("cannot close this process's memory to others of its user: {errno}");
    }
}

/// Says so when a password was put where others can read it.
pub fn warn_of_shown_password(settings: &Settings) {
    let url = settings.get("database_url");
    let user = url.value.split_once("//").and_then(|(_, rest)| rest.split_once('@')).map(|(user, _)| user);
    if matches!(url.source, Source::Flag(_)) && user.is_some_and(|user| user.contains(':')) {
        tracing::warn!(
            "the password in --database-url can be read by everybody who lists processes on this machine: put it into \
             FOGLINE_DATABASE_URL or the settings file"
        );
    }
}

/// Starts it and waits until it is ready.
///
/// # Errors
/// Why it cannot come up: the address is taken, the data directory unusable, locked or damaged.
pub async fn start(config: ServerConfig, stop: CancellationToken) -> Outcome<Serving> {
    let mut running = fogline_server::start(config, stop).await.map_err(failure)?;
    let admin_password = running.generated_password.take();
    Ok(Serving { http_addr: running.http_addr, agent_addr: running.agent_addr, admin_password, running })
}

fn failure(error: ServeError) -> Failure {
    let failure = Failure::new(Exit::Unavailable, error.to_string());
    match error {
        ServeError::Listen { whom: "people", .. } => {
            failure.hint("--listen names another address, such as 127.0.0.1:8080")
        }
        ServeError::Listen { .. } => failure.hint("--agent-listen names another address, such as 127.0.0.1:8081"),
        ServeError::Url(_) => Failure::new(Exit::Usage, error.to_string()),
        _ => failure,
    }
}

/// Prints a made-up password where the person at the terminal sees it, once, and never into a log.
pub fn print_admin_password(password: Option<&SecretString>) {
    if let Some(password) = password {
        say!("  the first administrator is `admin` with the password {}", password.expose_secret());
        say!("  it is not shown again");
    }
}
