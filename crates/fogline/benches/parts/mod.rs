//! A server and an agent as on real machines: each the real program, in a process of its own, on a directory of its own.
//!
//! Told to stop as a person would do it, so that its replicas are gone, too, when it is dropped.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fogline_api::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The program that is measured.
const FOGLINE: &str = env!("CARGO_BIN_EXE_fogline");
const PASSWORD: &str = "password-of-a-bench";
/// How long a part may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and an agent that presents one node of 64 cores.
pub struct Parts {
    /// The server's process.
    pub server: Child,
    /// The agent's process.
    pub agent: Child,
    /// Calls the server as its administrator.
    pub client: Client,
    // After the processes: they end first.
    _directory: TempDir,
}

impl Parts {
    /// Starts both, the agent with these flags beside those that it needs, and waits until the node is there.
    pub async fn start(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory to measure in");
        let path = |name: &str| directory.path().join(name);
        let log = path("server.log");
        let mut server = fogline(&log);
        server.arg("server").arg("--data").arg(path("server"));
        server.args(["--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0"]);
        let server = server.env("FOGLINE_ADMIN_PASSWORD", PASSWORD).spawn().expect("the server starts");
        let said = soon("the server's words", async || {
            let said = fs::read_to_string(&log).expect("readable");
            said.contains("--token-file ").then_some(said)
        });
        let said = said.await;
        let word_after = |words: &str| {
            let (_, rest) = said.split_once(words).expect("it says so");
            rest.split_whitespace().next().expect("a word").to_owned()
        };

        let mut agent = fogline(&path("agent.log"));
        agent.args(["agent", "--stop-replicas", "--ports", "30000-30999", "--server", &word_after("agent --server ")]);
        agent.args(["--node", "name=node,cpu=64,memory-mb=65536,storage-gb=1000"]);
        agent.args(flags).arg("--token-file").arg(path("server/agent.token")).arg("--data").arg(path("agent"));
        let agent = agent.spawn().expect("the agent starts");

        let client = Client::new(&word_after("serves ")).expect("an address");
        let token = client.login("admin", PASSWORD).await.expect("the administrator may log in").access_token;
        let client = client.with_token(&token);
        soon("the node", async || {
            let nodes = client.nodes().await.expect("an answer");
            (!nodes.is_empty()).then_some(())
        })
        .await;
        Self { server, agent, client, _directory: directory }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // The agent first: it stops the replicas, and tells the server.
        for child in [&mut self.agent, &mut self.server] {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                // One that has ended needs no signal.
                let _ = kill_process(pid, Signal::TERM);
            }
            let deadline = Instant::now() + PATIENCE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            // Where it has ended, this does nothing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program in an empty environment; what it says goes to `log`.
fn fogline(log: &Path) -> Command {
    let log = File::create(log).expect("a log file");
    let mut command = Command::new(FOGLINE);
    command.env_clear().stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    command
}

/// Looks every millisecond until there is something to be seen.
///
/// # Panics
/// After a minute.
pub async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        sleep(Duration::from_millis(1)).await;
    }
}
