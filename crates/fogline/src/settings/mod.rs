//! The settings of server and agent: one TOML file, the environment, flags, in rising order.
//!
//! Decides which value wins and remembers where it came from, for `fogline config show`. Must never read the environment
//! itself ([`crate::env`] does). Invariant: every setting has one line in [`table::SETTINGS`], and a value that is not in
//! its range is refused with its source, before anything is started. Tests: below and `tests/it/config.rs`.

mod connections;
mod file;
mod table;
mod typed;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::env::{Environment, PREFIX};
use crate::exit::{Exit, Failure, Outcome};

use connections::Connections;

pub use table::{CLIENT_VARIABLES, Definition, Kind, SETTINGS};
pub use value::Doors;

/// Where settings are looked for when no file is named.
const SYSTEM_FILE: &str = "/etc/fogline/fogline.toml";

/// Where a value came from, the weakest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// This file.
    File(PathBuf),
    /// This variable.
    Environment(String),
    /// This flag.
    Flag(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// One setting's value, checked, and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// As text, in the form that the file and the environment use.
    pub value: String,
    /// Who said so.
    pub source: Source,
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, Setting>,
    /// Servers that metrics come from, out of the file.
    connections: Connections,
    /// Things that do no harm and are probably not meant.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// Which file is read.
#[derive(Clone, Copy, Debug)]
pub enum FileChoice<'a> {
    /// This one, which must be there.
    Named(&'a Path),
    /// The one in `FOGLINE_CONFIG`, else the system's where there is one.
    System,
    /// The one in `FOGLINE_CONFIG`, else none: what is only tried out should not depend on the machine.
    OnlyNamed,
}

impl Settings {
    /// Reads all sources. `flags` are those that were given, by the setting's key.
    ///
    /// # Errors
    /// Names every value that cannot be accepted, with its source.
    pub fn load(
        choice: FileChoice<'_>,
        environment: &Environment,
        flags: &[(&'static str, Option<String>)],
    ) -> Outcome<Self> {
        let named = match choice {
            FileChoice::Named(path) => Some(path.to_owned()),
            FileChoice::System | FileChoice::OnlyNamed => environment.get("CONFIG").map(PathBuf::from),
        };
        let path = named.or_else(|| {
            let system = PathBuf::from(SYSTEM_FILE);
            (matches!(choice, FileChoice::System) && system.exists()).then_some(system)
        });
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let (in_file, connections) = match &path {
            Some(path) => file::read(path, &mut problems)?,
            None => Default::default(),
        };
        let values = SETTINGS
            .iter()
            .map(|definition| {
                let setting = pick(definition, path.as_deref(), &in_file, environment, flags);
                if let Err(reason) = value::check(definition, &setting.value) {
                    let shown =
                        if definition.kind == Kind::Secret { "…".to_owned() } else { format!("{:?}", setting.value) };
                    problems.push(format!("{} = {shown} ({}): {reason}", definition.key, setting.source));
                }
                (definition.key, setting)
            })
            .collect();
        for name in environment.fogline.keys() {
            let short = &name[PREFIX.len()..];
            let known =
                SETTINGS.iter().any(|definition| definition.variable() == *name) || CLIENT_VARIABLES.contains(&short);
            if !known {
                warnings.push(format!("the variable {name} is no setting and is ignored{}", did_you_mean(name)));
            }
        }
        for name in &environment.not_utf8 {
            problems.push(format!("the variable {name} is not UTF-8"));
        }
        let settings = Self { values, connections, warnings, file: path };
        if problems.is_empty() {
            problems.extend(settings.contradictions());
        }
        if problems.is_empty() {
            return Ok(settings);
        }
        let mut failure = Failure::new(Exit::Refused, "the settings cannot be accepted");
        failure.causes = problems;
        Err(failure.hint("`fogline config show` lists every setting, its value and where it comes from"))
    }

    /// A setting, by its key.
    pub fn get(&self, key: &str) -> &Setting {
        self.values.get(key).expect("every key in the code is in the table; a test reads them all")
    }

    /// What the file says of servers that metrics come from, by dotted key.
    pub fn connections(&self) -> impl Iterator<Item = (&str, &str)> {
        self.connections.written.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value where it is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        Some(self.get(key).value.as_str()).filter(|value| !value.is_empty())
    }

    /// What an agent goes by, as the variables that tell it: all of it, so that nothing else it may find counts.
    pub fn for_agent(&self) -> BTreeMap<String, String> {
        SETTINGS
            .iter()
            .filter(|definition| ["agent.", "log.", "proxy."].iter().any(|table| definition.key.starts_with(table)))
            // The first three are told by flags; the last is of a proxy that runs alone.
            .filter(|definition| {
                !["agent.server", "agent.token_file", "agent.data", "proxy.data"].contains(&definition.key)
            })
            .map(|definition| (definition.variable(), self.get(definition.key).value.clone()))
            .collect()
    }

    /// Values that are fine alone and not together.
    fn contradictions(&self) -> Vec<String> {
        let number = |key| self.get(key).value.parse::<u64>().unwrap_or(0);
        let mut found = Vec::new();
        if number("node_timeout_s") < 3 * number("heartbeat_interval_s") {
            found.push("node_timeout_s must leave room for three heartbeats of heartbeat_interval_s".to_owned());
        }
        if number("replace_backoff_max_s") < number("replace_backoff_s") {
            found.push("replace_backoff_max_s is below replace_backoff_s".to_owned());
        }
        found
    }
}

fn pick(
    definition: &Definition,
    path: Option<&Path>,
    in_file: &BTreeMap<String, String>,
    environment: &Environment,
    flags: &[(&'static str, Option<String>)],
) -> Setting {
    let flag = flags.iter().find(|(key, value)| *key == definition.key && value.is_some());
    if let (Some(name), Some((_, Some(value)))) = (definition.flag, flag) {
        return Setting { value: value.clone(), source: Source::Flag(name) };
    }
    let variable = definition.variable();
    if let Some(value) = environment.get(&variable[PREFIX.len()..]) {
        return Setting { value: value.to_owned(), source: Source::Environment(variable) };
    }
    if let (Some(path), Some(value)) = (path, in_file.get(definition.key)) {
        return Setting { value: value.clone(), source: Source::File(path.to_owned()) };
    }
    Setting { value: definition.default.to_owned(), source: Source::Default }
}

/// A hint at the variable that was probably meant.
fn did_you_mean(name: &str) -> String {
    let names: Vec<String> = SETTINGS.iter().map(Definition::variable).collect();
    closest(name, names.iter().map(String::as_str)).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

/// The candidate that is at most three edits away.
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= 3)
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein's distance, by rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let fogline = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { fogline, ..Environment::default() }
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fogline.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\nheartbeat_interval_s = 2\n[log]\nlevel = \"warn\"\n")
            .expect("written");
        let variables = environment(&[("FOGLINE_LISTEN", "127.0.0.1:2"), ("FOGLINE_LOG_LEVEL", "debug")]);
        let flags = [("listen", Some("127.0.0.1:3".to_owned())), ("data", None)];
        let settings = Settings::load(FileChoice::Named(&path), &variables, &flags).expect("accepted");
        let shown = |key: &str| format!("{} from {}", settings.get(key).value, settings.get(key).source);
        assert_eq!(shown("listen"), "127.0.0.1:3 from flag --listen");
        assert_eq!(shown("log.level"), "debug from environment FOGLINE_LOG_LEVEL");
        assert_eq!(shown("heartbeat_interval_s"), format!("2 from file {}", path.display()));
        assert_eq!(shown("writer_queue"), "8192 from default");
    }

    #[test]
    fn every_bad_value_is_named_with_its_source() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fogline.toml");
        std::fs::write(&path, "listn = \"x\"\nmax_body_bytes = -1\n").expect("written");
        let variables = environment(&[("FOGLINE_LISTEN", "nowhere"), ("FOGLINE_TIER_FREE_REPLICAS", "many")]);
        let failure = Settings::load(FileChoice::Named(&path), &variables, &[]).expect_err("refused");
        let text = failure.to_string();
        for part in ["listn", "did you mean listen", "max_body_bytes", "FOGLINE_LISTEN", "unlimited"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn an_agent_is_told_its_settings_and_nothing_of_the_servers() {
        let variables = environment(&[("FOGLINE_AGENT_PORTS", "15000-15099"), ("FOGLINE_ADMIN_PASSWORD", "secret")]);
        let flags = [("log.level", Some("debug".to_owned()))];
        let told = Settings::load(FileChoice::OnlyNamed, &variables, &flags).expect("accepted").for_agent();
        let told: Vec<String> = told.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wanted = [
            "FOGLINE_AGENT_ADDRESS=127.0.0.1",
            "FOGLINE_AGENT_ALLOWED_MOUNTS=",
            "FOGLINE_AGENT_DOCKER=auto",
            "FOGLINE_AGENT_IMAGE_GC_DISK_PERCENT=85",
            "FOGLINE_AGENT_IMAGE_GC_H=24",
            "FOGLINE_AGENT_PORTS=15000-15099",
            "FOGLINE_AGENT_REGISTRY_AUTH=",
            "FOGLINE_LOG_FORMAT=text",
            "FOGLINE_LOG_LEVEL=debug",
            "FOGLINE_PROXY_ACCESS_LOG=off",
            "FOGLINE_PROXY_CERTIFICATES=",
            "FOGLINE_PROXY_LISTEN=off",
            "FOGLINE_PROXY_MAX_CONNECTIONS=10000",
            "FOGLINE_PROXY_NAME=",
            "FOGLINE_PROXY_TCP_PORTS=10000-19999",
            "FOGLINE_PROXY_TLS_LISTEN=off",
            "FOGLINE_PROXY_TRUSTED=",
            "FOGLINE_PROXY_WORKERS=0",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_mistyped_variable_is_told() {
        let settings =
            Settings::load(FileChoice::OnlyNamed, &environment(&[("FOGLINE_LISTN", "x")]), &[]).expect("accepted");
        assert!(settings.warnings[0].contains("did you mean FOGLINE_LISTEN"), "{:?}", settings.warnings);
    }

    #[test]
    fn the_defaults_are_accepted() {
        Settings::load(FileChoice::OnlyNamed, &Environment::default(), &[])
            .expect("accepted")
            .server_config()
            .expect("typed");
    }
}
