//! The process environment and the wall clock: the only file that reads them.
//!
//! Everything else gets an [`Environment`], so that `demo` and tests can run commands in another one. Invariant: read
//! once, at the start; nothing here changes the environment.

#![expect(clippy::disallowed_methods, reason = "the one file that may read the environment and the wall clock")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The prefix of Fogline's own variables.
pub const PREFIX: &str = "FOGLINE_";

/// What the environment said when the program started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Every variable that starts with [`PREFIX`], by its whole name.
    pub fogline: BTreeMap<String, String>,
    /// Names of such variables whose values are not UTF-8.
    pub not_utf8: Vec<String>,
    /// Where a user's settings live: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config_home: Option<PathBuf>,
    /// Whether `NO_COLOR` asks for no colours.
    pub no_color: bool,
    /// Where Docker's own tools look for their engine, when `DOCKER_HOST` says so.
    pub docker_host: Option<String>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// What replicas inherit: where programs are, and the language of messages.
    pub for_replicas: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn read() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            match value.into_string() {
                Ok(value) => drop(environment.fogline.insert(name.to_owned(), value)),
                Err(_) => environment.not_utf8.push(name.to_owned()),
            }
        }
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        environment.config_home =
            absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        environment.no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        environment.docker_host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        environment.path =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        for name in ["PATH", "LANG", "LC_ALL", "TZ"] {
            if let Ok(value) = std::env::var(name) {
                environment.for_replicas.insert(name.to_owned(), value);
            }
        }
        environment
    }

    /// A variable of Fogline's own, by the part after the prefix; an empty value counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fogline.get(&format!("{PREFIX}{name}")).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable of Fogline's own, for commands that are run in this environment; not the process's.
    pub fn set(&mut self, name: &str, value: &str) {
        self.fogline.insert(format!("{PREFIX}{name}"), value.to_owned());
    }

    /// The first program of this name on `PATH`.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|dir| dir.join(name)).find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The file that this program was started from, to start it again as an agent.
pub fn own_program() -> std::io::Result<PathBuf> {
    // /proc/self/exe still names the right file when the program was replaced on disk while it ran.
    let proc_link = PathBuf::from("/proc/self/exe");
    if proc_link.exists() { Ok(proc_link) } else { std::env::current_exe() }
}

/// Microseconds since 1970 by the wall clock, for ages that people read; nothing is decided by it.
pub fn now_micros() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}

/// A key that no other request has: 128 random bits.
pub fn random_key() -> String {
    let mut bytes = [0_u8; 16];
    // Without entropy there is no key; a request without one is still right, only not repeatable.
    if getrandom::fill(&mut bytes).is_err() {
        return format!("{:x}-{:x}", now_micros(), std::process::id());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
