//! What an agent is told when it is started.
//!
//! Must never read the environment or files: the binary does, and fills these in. Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fogline_api::attach::{self, Token};
use fogline_core::quantity::Resources;

use crate::ports::PortRange;

/// A node that the agent presents.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeConfig {
    /// 1 to 100 letters, digits, `-`, `_` and `.`, unique in the cluster, not starting with a dot.
    pub name: String,
    /// Where it is; may be empty.
    pub region: String,
    /// Where in the region; may be empty.
    pub zone: String,
    /// What it offers; what the machine has when nothing is said.
    pub capacity: Option<Resources>,
    /// For constraints.
    pub labels: BTreeMap<String, String>,
}

impl NodeConfig {
    /// The machine itself under this name.
    #[must_use]
    pub const fn machine(name: String) -> Self {
        Self { name, region: String::new(), zone: String::new(), capacity: None, labels: BTreeMap::new() }
    }
}

/// When images go that the agent has pulled itself, and that nothing runs from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageGc {
    /// After so long without use; never when nothing is said.
    pub unused_for: Option<Duration>,
    /// Earlier while the engine's disk is fuller than this, in percent; 100 stands for never.
    pub disk_percent: u8,
}

impl Default for ImageGc {
    fn default() -> Self {
        Self { unused_for: Some(Duration::from_secs(24 * 3_600)), disk_percent: 85 }
    }
}

/// What an agent is told when it is started.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Servers to call, each `address:port`.
    pub servers: Vec<String>,
    /// Shown to the servers.
    pub token: Token,
    /// Where the agent keeps its state; one agent a directory.
    pub data_dir: PathBuf,
    /// The nodes it presents.
    pub nodes: Vec<NodeConfig>,
    /// Where replicas' ports are picked.
    pub ports: PortRange,
    /// The address of this machine that others reach replicas at. Replicas are probed there too.
    pub address: String,
    /// Sockets of container engines, the first that answers is used; none: no containers.
    pub engine_sockets: Vec<PathBuf>,
    /// Paths below which containers may be given directories of this machine.
    pub allowed_mounts: Vec<PathBuf>,
    /// A file in the format of Docker's `config.json` with credentials for registries. Read at each pull.
    pub registry_auth: Option<PathBuf>,
    /// When images go that the agent has pulled itself.
    pub image_gc: ImageGc,
    /// The program of the shim.
    pub shim_program: PathBuf,
    /// What that program is given before the replica's directory.
    pub shim_args: Vec<OsString>,
    /// What replicas inherit of the environment, such as `PATH`.
    pub base_env: BTreeMap<String, String>,
    /// Files that a process replica may have open, where it asks for no more: the agent may have more for itself. As many
    /// as the agent when nothing is said.
    pub open_files: Option<u64>,
    /// Stop every replica before the agent ends. For `fogline dev`: elsewhere, work outlives its agent.
    pub stop_replicas_on_exit: bool,
}

impl AgentConfig {
    /// With the defaults: ports 20000–29999, 127.0.0.1, no containers, and the running program as shim.
    #[must_use]
    pub fn new(servers: Vec<String>, token: Token, data_dir: PathBuf, nodes: Vec<NodeConfig>) -> Self {
        Self {
            servers,
            token,
            data_dir,
            nodes,
            ports: PortRange::default(),
            address: "127.0.0.1".to_owned(),
            engine_sockets: Vec::new(),
            allowed_mounts: Vec::new(),
            registry_auth: None,
            image_gc: ImageGc::default(),
            shim_program: PathBuf::from("/proc/self/exe"),
            shim_args: vec![OsString::from("shim")],
            base_env: BTreeMap::new(),
            open_files: None,
            stop_replicas_on_exit: false,
        }
    }

    /// Checks what can be checked before anything is touched.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn validate(&self) -> Result<(), String> {
        attach::check_servers(&self.servers)?;
        if self.nodes.is_empty() {
            return Err("no node is given: an agent presents at least one".to_owned());
        }
        for path in &self.allowed_mounts {
            if !path.is_absolute() || path == Path::new("/") {
                return Err(format!(
                    "{} cannot be allowed to be mounted: give absolute paths other than /, for example /srv/data",
                    path.display()
                ));
            }
        }
        let mut names = BTreeSet::new();
        for node in &self.nodes {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let name = &node.name;
            if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(legal) {
                return Err(format!(
                    "{name:?} is no name of a node: give 1 to 100 letters, digits, '-', '_' and '.', not starting with '.'"
                ));
            }
            if !names.insert(name) {
                return Err(format!("two nodes are called {name}: give each a name of its own"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AgentConfig {
        let nodes = vec![NodeConfig::machine("one".to_owned())];
        AgentConfig::new(vec!["127.0.0.1:8001".to_owned()], Token::new(" secret\n"), PathBuf::from("d"), nodes)
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_touched() {
        assert_eq!(config().validate(), Ok(()));
        let server = |text: &str| AgentConfig { servers: vec![text.to_owned()], ..config() };
        let node = |name: &str| AgentConfig { nodes: vec![NodeConfig::machine(name.to_owned())], ..config() };
        let mount = |path: &str| AgentConfig { allowed_mounts: vec![PathBuf::from(path)], ..config() };
        let table = [
            (AgentConfig { servers: Vec::new(), ..config() }, "no server"),
            (server("localhost"), "address:port"),
            (server(":80"), "address:port"),
            (server("host:0"), "address:port"),
            (server("host:99999"), "address:port"),
            (AgentConfig { nodes: Vec::new(), ..config() }, "no node"),
            (mount("/"), "cannot be allowed"),
            (mount("srv"), "absolute paths"),
            (node("../etc"), "no name of a node"),
            (node(""), "no name of a node"),
            (node(&"x".repeat(101)), "no name of a node"),
            (AgentConfig { nodes: [config().nodes, config().nodes].concat(), ..config() }, "two nodes are called one"),
        ];
        for (config, words) in table {
            let error = config.validate().expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
