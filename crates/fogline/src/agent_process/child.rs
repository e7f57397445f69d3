//! Keeps one agent running beside a server, for `dev`.
//!
//! Decides whether an agent that runs already is the right one, starts one otherwise, and another when it dies, with
//! back-off. The agent has a process group of its own and writes to a file, so it outlives a `dev` that is killed.
//! Must never run two on a directory: the lock forbids it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::NodeFlag;
use super::lock::{Holder, Told};
use crate::env;
use crate::exit::{Failure, Outcome};

/// The first pause before a dead agent is replaced; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// An agent that lived that long was not broken from the start.
const LIVED: Duration = Duration::from_secs(30);
/// How long an agent gets to stop when it is told to.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How often an agent that is not our child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A log of this size is put aside at the next start.
const LOG_BYTES: u64 = 16 * 1_024 * 1_024;

/// Which agent is wanted.
#[derive(Clone, Debug)]
pub struct KeeperConfig {
    /// Its directory.
    pub data: PathBuf,
    /// Where its server is.
    pub server: String,
    /// The token that it shows.
    pub token_file: PathBuf,
    /// The nodes that it presents.
    pub nodes: Vec<NodeFlag>,
    /// What it logs.
    pub log_level: String,
    /// The file that it reads other settings from.
    pub settings_file: Option<PathBuf>,
}

/// An agent that is kept running.
#[derive(Debug)]
pub struct Keeper {
    config: KeeperConfig,
    running: Agent,
}

#[derive(Debug)]
enum Agent {
    Ours(Box<Child>),
    Found(Holder),
}

impl Keeper {
    /// Finds or starts the agent.
    ///
    /// # Errors
    /// When one runs that cannot be stopped, or none can be started.
    pub async fn start(config: KeeperConfig) -> Outcome<Self> {
        if let Some(holder) = Holder::find(&config.data).await? {
            if Told::load(&config.data).is_some_and(|told| told == config.told()) {
                tracing::info!("Going on with the agent that runs already, process {}", holder.pid);
                return Ok(Self { config, running: Agent::Found(holder) });
            }
            tracing::info!(
                "Replacing the agent that runs already, process {}, because it was told other things",
                holder.pid
            );
            stop_found(holder, &config.data).await?;
        }
        let child = config.spawn()?;
        Ok(Self { config, running: Agent::Ours(Box::new(child)) })
    }

    /// Whether the agent was there before.
    pub const fn was_found(&self) -> bool {
        matches!(self.running, Agent::Found(_))
    }

    /// Replaces it whenever it dies, until `stop`.
    pub async fn keep(mut self, stop: CancellationToken) -> Self {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            let ended = tokio::select! {
                () = stop.cancelled() => return self,
                ended = self.running.ended(&self.config.data) => ended,
            };
            if since.elapsed() > LIVED {
                pause = FIRST_PAUSE;
            }
            let log = self.config.log_path();
            tracing::warn!("The agent has ended ({ended}); another starts in {pause:?}. {} says why", log.display());
            loop {
                tokio::select! {
                    () = stop.cancelled() => return self,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.config.spawn() {
                    Ok(child) => {
                        self.running = Agent::Ours(Box::new(child));
                        break;
                    }
                    Err(failure) => tracing::error!("{failure}"),
                }
            }
        }
    }

    /// Stops the agent and waits until it is gone. Its replicas run on.
    ///
    /// # Errors
    /// When it does not go.
    pub async fn stop(mut self) -> Outcome {
        match &mut self.running {
            Agent::Found(holder) => stop_found(*holder, &self.config.data).await,
            Agent::Ours(child) => {
                let Some(pid) = child.id() else { return Ok(()) };
                signal(pid.cast_signed(), Signal::TERM)?;
                if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
                    tracing::warn!("the agent did not stop within {STOP_WITHIN:?} and is killed");
                    child.kill().await.map_err(|error| Failure::general("cannot kill the agent").because(error))?;
                }
                Ok(())
            }
        }
    }
}

impl Agent {
    /// Waits until it is gone, and says how it went.
    async fn ended(&mut self, data: &Path) -> String {
        match self {
            Self::Ours(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            },
            Self::Found(holder) => {
                while holder.still_runs(data) {
                    sleep(LOOK_EVERY).await;
                }
                "its end was not seen".to_owned()
            }
        }
    }
}

impl KeeperConfig {
    fn told(&self) -> Told {
        Told {
            server: self.server.clone(),
            nodes: self.nodes.iter().map(ToString::to_string).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("agent.log")
    }

    fn spawn(&self) -> Outcome<Child> {
        let failed = |error: std::io::Error| Failure::general("cannot start the agent").because(error);
        let log = self.open_log().map_err(failed)?;
        self.told().save(&self.data).map_err(failed)?;
        let program = env::own_program().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg0("fogline")
            .arg("agent")
            .args(["--server", &self.server])
            .arg("--token-file")
            .arg(&self.token_file)
            .arg("--data")
            .arg(&self.data)
            .args(["--log-level", &self.log_level]);
        match &self.settings_file {
            Some(file) => command.arg("--config").arg(file),
            None => command.arg("--no-system-settings"),
        };
        for node in &self.nodes {
            command.arg("--node").arg(node.to_string());
        }
        // The first administrator's password is nobody's business down there.
        command.env_remove("FOGLINE_ADMIN_PASSWORD");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .map_err(failed)
    }

    fn open_log(&self) -> std::io::Result<File> {
        fs::create_dir_all(&self.data)?;
        let path = self.log_path();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
            fs::rename(&path, path.with_extension("log.1"))?;
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)
    }
}

/// Stops an agent that somebody else started.
async fn stop_found(holder: Holder, data: &Path) -> Outcome {
    for (sent, within) in [(Signal::TERM, STOP_WITHIN), (Signal::KILL, Duration::from_secs(5))] {
        if !holder.still_runs(data) {
            return Ok(());
        }
        signal(holder.pid, sent)?;
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if !holder.still_runs(data) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Err(Failure::general(format!("the agent with process id {} cannot be stopped", holder.pid)))
}

fn signal(pid: i32, signal: Signal) -> Outcome {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Failure::general(format!("cannot stop the agent with process id {pid}")).because(errno)),
    }
}
