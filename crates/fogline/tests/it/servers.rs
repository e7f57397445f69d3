//! Two servers on one PostgreSQL and an agent: three processes, and a fourth party that the test can take away.
//!
//! Each server reaches the database by a relay of its own. Invariant: when a [`Servers`] is dropped, no process of its
//! directory runs; a test in which one was left over fails.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;

use fogline_testbed::{Database, Postgres, Relay};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Addresses, PASSWORD, end_leftovers, processes_of, replica_processes_of, run_in, served_by, some_ports, spawn_in,
    wait_for,
};

/// A server's process.
pub struct Server {
    pub url: String,
    /// Where agents attach.
    pub agents: String,
    /// Between it and the database.
    pub relay: Relay,
    log: PathBuf,
    child: Option<Child>,
}

impl Server {
    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("it runs").id().try_into().expect("a pid")
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// What `/readyz` answers, where anything does within a moment.
    pub fn ready(&self) -> Option<Value> {
        serde_json::from_str(&self.get("/readyz")?).ok()
    }

    /// One of its figures.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let figures = self.get("/metrics")?;
        figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    fn get(&self, path: &str) -> Option<String> {
        let curl = std::process::Command::new("curl")
            .args(["-sS", "--max-time", "2", &format!("{}{path}", self.url)])
            .output()
            .expect("curl runs");
        curl.status.success().then(|| String::from_utf8(curl.stdout).expect("UTF-8"))
    }
}

/// All of it.
pub struct Servers {
    pub postgres: Arc<Postgres>,
    pub database: Database,
    pub servers: [Server; 2],
    agent: Option<Child>,
    home: TempDir,
}

impl Servers {
    /// The first of them leads.
    pub fn start() -> Self {
        let postgres = Arc::new(Postgres::start());
        let database = postgres.database();
        let home = tempfile::Builder::new().prefix("fogline-test-").tempdir().expect("a directory");
        let first = server(&home, &postgres, &database, "server-1");
        for key in ["agent.token", "keys/jwt.key"] {
            let to = root(&home).join("server-2").join(key);
            fs::create_dir_all(to.parent().expect("in a directory")).expect("made");
            fs::copy(root(&home).join("server-1").join(key), to).expect("copied");
        }
        let second = server(&home, &postgres, &database, "server-2");
        let mut this = Self { postgres, database, servers: [first, second], agent: None, home };
        this.agent = Some(this.start_agent());
        this.wait_for_nodes();
        this
    }

    fn start_agent(&self) -> Child {
        let root = root(&self.home);
        let token = root.join("server-1/agent.token").display().to_string();
        let data = root.join("agent").display().to_string();
        let servers = self.servers.iter().map(|server| server.agents.clone()).collect::<Vec<_>>().join(",");
        let ports = some_ports();
        let mut args = vec!["agent", "--server", &servers, "--token-file", &token, "--data", &data, "--ports", &ports];
        // 8 nodes of 8 cores hold 128 replicas of half a core: some scale-ups find no room, and that is part of it.
        let nodes: Vec<String> =
            (1..=8).map(|number| format!("name=node-{number},cpu=8,memory-mb=65536,storage-gb=1000,gpu=0")).collect();
        for node in &nodes {
            args.extend(["--node", node]);
        }
        spawn_in(self.home.path(), &[], &args, &root.join("agent.log"))
    }

    fn wait_for_nodes(&self) {
        let token = self.token();
        wait_for("the nodes to be there", || {
            let curl = std::process::Command::new("curl")
                .args(["-sS", "-H", &format!("Authorization: Bearer {token}")])
                .arg(format!("{}/api/v1/nodes", self.servers[1].url))
                .output()
                .expect("curl runs");
            let nodes: Value = serde_json::from_slice(&curl.stdout).ok()?;
            (nodes["items"].as_array()?.len() == 8).then_some(())
        });
    }

    /// An access token of the administrator.
    pub fn token(&self) -> String {
        let variables = [("FOGLINE_SERVER", self.servers[0].url.as_str()), ("FOGLINE_PASSWORD", PASSWORD)];
        run_in(self.home.path(), &variables, &["login", "--print-token"]).ok().trim().to_owned()
    }

    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.url.clone()).collect()
    }

    /// Every process of every replica, with the replica it belongs to.
    pub fn replica_processes(&self) -> Vec<(String, i32)> {
        replica_processes_of(&processes_of(&root(&self.home)))
    }

    /// Waits until this server leads.
    pub fn wait_for_leader(&self, number: usize) {
        wait_for("the other server to lead", || (self.servers[number].ready()?["role"] == "leader").then_some(()));
    }

    /// The leader that the database names: its epoch and its nonce.
    pub fn leader_in_database(&self) -> String {
        self.postgres.sql_in(self.database.name(), "SELECT epoch || ' ' || holder FROM leader")
    }
}

fn root(home: &TempDir) -> PathBuf {
    // As the kernel shows it in /proc, whatever links lead there.
    fs::canonicalize(home.path()).expect("a path")
}

fn server(home: &TempDir, postgres: &Postgres, database: &Database, name: &str) -> Server {
    let relay = Relay::to(postgres.addr());
    let (data, log) = (root(home).join(name), root(home).join(format!("{name}.log")));
    let url = database.url_at(relay.addr());
    let variables = [("FOGLINE_DATABASE_URL", url.as_str()), ("FOGLINE_ADMIN_PASSWORD", PASSWORD)];
    let data = data.display().to_string();
    let args = ["server", "--data", &data, "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0"];
    let mut child = spawn_in(home.path(), &variables, &args, &log);
    let Addresses { url, agents } = served_by(&mut child, &log);
    Server { url, agents, relay, log, child: Some(child) }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let root = root(&self.home);
        let children = self.servers.iter_mut().filter_map(|server| server.child.take()).chain(self.agent.take());
        for mut child in children {
            // Also one that a test has stopped.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for server in &self.servers {
                eprintln!("--- {} said:\n{}", server.url, server.said());
            }
            eprintln!("--- the agent said:\n{}", fs::read_to_string(root.join("agent.log")).unwrap_or_default());
        }
        // The agent leaves its replicas to the next one.
        end_leftovers(&root);
    }
}
