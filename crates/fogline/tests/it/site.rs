//! A server on one host, an agent on another: two processes, each with a directory of its own, so that one can be lost.
//!
//! Invariant: when a [`Site`] is dropped, no process of its directory runs; a test in which one was left over fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Child;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Addresses, PASSWORD, Ran, end_leftovers, processes_of, replica_processes_of, run_in, served_by, some_ports,
    spawn_in, wait_for,
};

/// A server on one host, an agent on another.
pub struct Site {
    home: TempDir,
    url: String,
    agents: String,
    pub server: Option<Child>,
    pub agent: Option<Child>,
    starts: u32,
    ports: String,
    /// Where the server's database is, when it is not in its data directory.
    pub database_url: Option<String>,
}

impl Site {
    /// With a server on `first` and an agent that presents two nodes.
    pub fn start() -> Self {
        let home = tempfile::Builder::new().prefix("fogline-test-").tempdir().expect("a directory");
        let mut site = Self {
            home,
            url: "http://127.0.0.1:0".to_owned(),
            agents: "127.0.0.1:0".to_owned(),
            server: None,
            agent: None,
            starts: 0,
            ports: some_ports(),
            database_url: None,
        };
        site.start_server("first");
        // The agent's host has a copy of the token, as the documentation says.
        fs::copy(site.path("first/agent.token"), site.path("agent.token")).expect("copied");
        site.start_agent();
        let variables = [("FOGLINE_SERVER", site.url.as_str()), ("FOGLINE_PASSWORD", PASSWORD)];
        run_in(site.home.path(), &variables, &["login"]).ok();
        site.wait_for_nodes();
        site
    }

    /// As the kernel shows it in /proc, whatever links lead there.
    pub fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.home.path()).expect("a path").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// On this data directory, at the address of the one before: what agents know is a name, and it leads elsewhere now.
    pub fn start_server(&mut self, data: &str) {
        assert!(self.server.is_none(), "one runs already");
        self.starts += 1;
        let log = self.path(&format!("server-{}.log", self.starts));
        let listen = self.url.trim_start_matches("http://").to_owned();
        let data = self.text(data);
        let args = ["server", "--data", &data, "--listen", &listen, "--agent-listen", &self.agents];
        let mut variables = vec![("FOGLINE_ADMIN_PASSWORD", PASSWORD)];
        variables.extend(self.database_url.as_deref().map(|url| ("FOGLINE_DATABASE_URL", url)));
        let mut child = spawn_in(self.home.path(), &variables, &args, &log);
        let Addresses { url, agents } = served_by(&mut child, &log);
        (self.url, self.agents) = (url, agents);
        self.server = Some(child);
    }

    pub fn start_agent(&mut self) {
        let (token, data) = (self.text("agent.token"), self.text("agent"));
        let args = [
            "agent",
            "--server",
            &self.agents,
            "--token-file",
            &token,
            "--data",
            &data,
            "--ports",
            &self.ports,
            "--node",
            "name=edge-1,cpu=8,memory-mb=16384,storage-gb=100",
            "--node",
            "name=edge-2,cpu=8,memory-mb=16384,storage-gb=100",
        ];
        self.agent = Some(spawn_in(self.home.path(), &[], &args, &self.path("agent.log")));
    }

    pub fn kill(child: &mut Option<Child>) {
        let mut child = child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Its host is gone, with everything on it.
    pub fn lose_server(&mut self, data: &str) {
        Self::kill(&mut self.server);
        fs::remove_dir_all(self.path(data)).expect("removed");
    }

    pub fn cli(&self, args: &[&str]) -> Ran {
        run_in(self.home.path(), &[("FOGLINE_SERVER", &self.url)], args)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.cli(&[args, &["-o", "json"]].concat()).ok()).expect("JSON")
    }

    /// Replica and process, of every one that runs.
    pub fn running(&self) -> BTreeMap<String, i32> {
        replica_processes_of(&processes_of(&self.path(""))).into_iter().collect()
    }

    /// Waits until both nodes report to this start of the server, and gives what it says of them.
    pub fn wait_for_nodes(&self) -> Vec<Value> {
        wait_for("the agent to have joined", || {
            let nodes = self.json(&["node", "list"]);
            let nodes = nodes.as_array()?;
            let joined = |node: &Value| node["status"] != "offline" && node["last_seen_at"].as_str().is_some();
            (nodes.len() == 2 && nodes.iter().all(joined)).then(|| nodes.clone())
        })
    }

    /// The epoch that the agent obeys.
    pub fn obeyed(&self) -> u64 {
        let text = fs::read_to_string(self.path("agent/authority.json")).expect("the agent has written it down");
        let authority: Value = serde_json::from_str(&text).expect("JSON");
        authority["epoch"].as_u64().expect("an epoch")
    }

    /// Waits until the agent has followed a server with an epoch above this one.
    pub fn wait_for_epoch_above(&self, epoch: u64) {
        wait_for("the agent to follow the restored cluster", || (self.obeyed() > epoch).then_some(()));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in [self.server.take(), self.agent.take()].into_iter().flatten() {
            let mut child = child;
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for number in 1..=self.starts {
                let log = self.path(&format!("server-{number}.log"));
                eprintln!("--- server {number} said:\n{}", fs::read_to_string(log).unwrap_or_default());
            }
            eprintln!("--- the agent said:\n{}", fs::read_to_string(self.path("agent.log")).unwrap_or_default());
        }
        // The agent leaves its replicas to the next one.
        let root = self.path("");
        end_leftovers(&root);
    }
}
