//! Keeps one agent running beside a server, for `dev`.
//!
//! Decides whether an agent that runs already is the right one, starts one otherwise, and another when it dies, with
//! back-off. The agent has a process group of its own and writes to a file, so it outlives a `dev` that is killed.
//! Must never run two on a directory: the lock forbids it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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
/// How long an agent gets to stop when it is told to: a proxy in it lets open requests finish first.
const STOP_WITHIN: Duration = Duration::from_secs(15);
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
    /// Its whole environment: its settings, and what its replicas inherit. It gets nothing else of the person's who
    /// started it, who may have tokens and passwords there.
    pub environment: BTreeMap<String, String>,
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
            let told = config.told().map_err(cannot_start)?;
            if Told::load(&config.data).is_some_and(|before| before == told) {
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
                match self.config.find_or_spawn().await {
                    Ok(agent) => {
                        self.running = agent;
                        break;
                    }
                    Err(failure) => tracing::error!("{failure}"),
                }
            }
        }
    }

    /// Stops the agent and waits until it is gone, and any other that runs on its directory. Its replicas run on.
    ///
    /// # Errors
    /// When it does not go, or it cannot be told whether it went.
    pub async fn stop(mut self) -> Outcome {
        if let Agent::Ours(child) = &mut self.running
            && let Some(pid) = child.id()
        {
            signal(pid.cast_signed(), Signal::TERM)?;
            if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
                tracing::warn!("the agent did not stop within {STOP_WITHIN:?} and is killed");
                child.kill().await.map_err(|error| Failure::general("cannot kill the agent").because(error))?;
            }
        }
        // The lock has the last word, whatever was believed to run.
        match Holder::find(&self.config.data).await? {
            Some(holder) => stop_found(holder, &self.config.data).await,
            None => Ok(()),
        }
    }
}

impl Agent {
    /// Waits until it is gone, and says how it went.
    async fn ended(&mut self, data: &Path) -> String {
        match self {
            Self::Ours(child) => match child.wait().await {
                Ok(status) => return status.to_string(),
                Err(error) => tracing::warn!("cannot wait for the agent, and look at its lock instead: {error}"),
            },
            Self::Found(holder) => {
                let mut told = false;
                loop {
                    match holder.still_runs(data) {
                        Ok(false) => break,
                        Ok(true) => told = false,
                        // It counts as running: a second one would only fail at the lock, and hide the first.
                        Err(error) if !told => {
                            tracing::warn!(
                                "cannot tell whether the agent, process {}, still runs: {error}",
                                holder.pid
                            );
                            told = true;
                        }
                        Err(_) => {}
                    }
                    sleep(LOOK_EVERY).await;
                }
            }
        }
        "its end was not seen".to_owned()
    }
}

impl KeeperConfig {
    fn told(&self) -> std::io::Result<Told> {
        // Another build is another file, or was written at another time, even where the version is the same.
        let program = fs::metadata(env::own_program()?)?;
        Ok(Told {
            server: self.server.clone(),
            nodes: self.nodes.iter().map(ToString::to_string).collect(),
            environment: self.environment.clone(),
            program: format!(
                "{} {}:{} {}.{:09}",
                env!("CARGO_PKG_VERSION"),
                program.dev(),
                program.ino(),
                program.mtime(),
                program.mtime_nsec()
            ),
        })
    }

    /// Another agent, unless one runs already after all.
    async fn find_or_spawn(&self) -> Outcome<Agent> {
        match Holder::find(&self.data).await? {
            Some(holder) => Ok(Agent::Found(holder)),
            None => Ok(Agent::Ours(Box::new(self.spawn()?))),
        }
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("agent.log")
    }

    fn spawn(&self) -> Outcome<Child> {
        let log = self.open_log().map_err(cannot_start)?;
        self.told().and_then(|told| told.save(&self.data)).map_err(cannot_start)?;
        let program = env::own_program().map_err(cannot_start)?;
        let mut command = Command::new(program);
        command
            .arg0("fogline")
            .arg("agent")
            .args(["--server", &self.server])
            .arg("--token-file")
            .arg(&self.token_file)
            .arg("--data")
            .arg(&self.data)
            // All of its settings are in its environment.
            .arg("--no-system-settings");
        for node in &self.nodes {
            command.arg("--node").arg(node.to_string());
        }
        command
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(cannot_start)?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .map_err(cannot_start)
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

fn cannot_start(error: std::io::Error) -> Failure {
    Failure::general("cannot start the agent").because(error)
}

/// Stops an agent that somebody else started.
async fn stop_found(holder: Holder, data: &Path) -> Outcome {
    let mut doubt = None;
    for (sent, within) in [(Signal::TERM, STOP_WITHIN), (Signal::KILL, Duration::from_secs(5))] {
        let deadline = Instant::now() + within;
        let mut signalled = false;
        while Instant::now() < deadline {
            match holder.still_runs(data) {
                Ok(false) => return Ok(()),
                Ok(true) if signalled => {}
                Ok(true) => {
                    signal(holder.pid, sent)?;
                    signalled = true;
                }
                // Whose process id it is now is not known: nobody is signalled, and nobody says that it is gone.
                Err(error) => doubt = Some(error),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    let failure = Failure::general(format!("the agent with process id {} cannot be stopped", holder.pid));
    Err(match doubt {
        Some(error) => failure.because(error),
        None => failure,
    })
}

fn signal(pid: i32, signal: Signal) -> Outcome {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Failure::general(format!("cannot stop the agent with process id {pid}")).because(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(data: &Path) -> KeeperConfig {
        KeeperConfig {
            data: data.to_owned(),
            server: "127.0.0.1:1".to_owned(),
            token_file: data.join("token"),
            nodes: Vec::new(),
            environment: BTreeMap::from([("FOGLINE_AGENT_PORTS".to_owned(), "15000-15099".to_owned())]),
        }
    }

    /// A process that holds the lock of `data`, as an agent does.
    async fn holder(data: &Path) -> Child {
        let script = "exec 9>>\"$0\"; flock -n 9 || exit 1; echo $$ >\"$0\"; exec sleep 1000";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(data.join("agent.lock")).kill_on_drop(true);
        let child = command.spawn().expect("sh runs");
        for _ in 0..1_000 {
            if Holder::glance(data).is_some() {
                return child;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody took the lock");
    }

    #[tokio::test]
    async fn whoever_holds_the_lock_at_the_end_is_stopped() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut other = holder(dir.path()).await;
        // The keeper believes in an agent that is long gone.
        let keeper = Keeper { config: config(dir.path()), running: Agent::Found(Holder { pid: i32::MAX }) };
        keeper.stop().await.expect("stopped");
        let left = Holder::find(dir.path()).await.expect("looked");
        // Where it was stopped, there is nothing to kill.
        let _ = other.kill().await;
        assert_eq!(left, None);
    }

    #[tokio::test]
    async fn no_second_agent_is_started_beside_one_that_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut other = holder(dir.path()).await;
        let agent = config(dir.path()).find_or_spawn().await.expect("found");
        let pid = other.id().expect("it runs").cast_signed();
        other.kill().await.expect("killed");
        assert!(matches!(agent, Agent::Found(holder) if holder.pid == pid), "{agent:?}");
    }

    #[tokio::test]
    async fn where_nobody_can_look_nobody_says_that_nothing_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("no-directory");
        fs::write(&file, "").expect("written");
        let keeper = Keeper { config: config(&file), running: Agent::Found(Holder { pid: i32::MAX }) };
        keeper.stop().await.expect_err("it is not known");
        config(&file).find_or_spawn().await.expect_err("it is not known");
    }

    #[test]
    fn an_agent_that_was_told_other_settings_is_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(dir.path());
        let told = config.told().expect("known");
        told.save(dir.path()).expect("written");
        assert_eq!(Told::load(dir.path()).as_ref(), Some(&told));
        let mut other = config.clone();
        other.environment.insert("FOGLINE_AGENT_PORTS".to_owned(), "16000-16099".to_owned());
        assert_ne!(other.told().expect("known"), told);
    }
}
