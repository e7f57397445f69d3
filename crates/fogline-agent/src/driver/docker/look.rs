//! What the engine says of containers, and no more of it than is used.
//!
//! Docker and Podman name the states of a container differently. Invariant: a state that nobody here knows may be one of
//! running. Tests: below, and `tests/it/driver`.

use std::collections::HashMap;

use bollard::ClientVersion;
use serde::Deserialize;

use super::plain::escaped;
use super::{Engine, EngineError, labels};

/// How far a container is, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(from = "String")]
pub(super) enum Phase {
    /// It has not run, or not again.
    Made,
    /// It runs, or stands still in the middle.
    Runs,
    /// It runs no more.
    Over,
    /// No word, or a strange one.
    #[default]
    Unknown,
}

impl From<String> for Phase {
    fn from(word: String) -> Self {
        match word.as_str() {
            // Podman's `initialized` has everything but the program.
            "created" | "configured" | "initialized" => Self::Made,
            "running" | "paused" | "restarting" | "stopping" => Self::Runs,
            // Podman's `stopped` has ended, and is not cleared away.
            "exited" | "stopped" | "dead" | "removing" => Self::Over,
            _ => Self::Unknown,
        }
    }
}

impl Phase {
    /// Whether it runs, or may.
    pub(super) const fn may_run(self) -> bool {
        matches!(self, Self::Runs | Self::Unknown)
    }
}

/// What is said when one is looked at.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    pub id: String,
    pub state: State,
    #[serde(default)]
    pub config: Config,
}

/// How it is, or how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct State {
    pub status: Phase,
    pub running: Option<bool>,
    pub paused: Option<bool>,
    pub restarting: Option<bool>,
    #[serde(rename = "OOMKilled")]
    pub oom_killed: Option<bool>,
    pub exit_code: Option<i64>,
    pub error: Option<String>,
    pub started_at: Option<String>,
}

/// What it was made of.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Config {
    pub labels: Option<HashMap<String, String>>,
    pub stop_signal: Option<String>,
}

/// Who the engine is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Greeting {
    pub version: String,
    pub api_version: String,
    pub components: Vec<Component>,
}

/// A part of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Component {
    pub name: String,
}

impl Greeting {
    pub(super) fn is_podman(&self) -> bool {
        self.components.iter().any(|component| component.name.contains("Podman"))
    }

    /// The version of its API.
    pub(super) fn api(&self) -> Option<ClientVersion> {
        let (major, minor) = self.api_version.split_once('.')?;
        Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
    }
}

/// What is said of one in a list.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub id: String,
    #[serde(default)]
    pub state: Phase,
    #[serde(rename = "ImageID", default)]
    pub image_id: Option<String>,
    #[serde(default)]
    pub labels: Option<HashMap<String, String>>,
}

/// Looks at one, by its name.
pub(super) async fn at(engine: &Engine, name: &str) -> Result<Container, EngineError> {
    engine.read("looking at the container", &path(name)).await
}

/// The same, asked once.
pub(super) async fn once_at(engine: &Engine, name: &str) -> Result<Container, EngineError> {
    engine.read_once("looking at the container", &path(name)).await
}

/// Everything that this agent has made and the engine still has.
pub(super) async fn of_agent(engine: &Engine, agent_id: &str) -> Result<Vec<Listed>, EngineError> {
    let filter = serde_json::to_string(&labels::filter(agent_id)).expect("words can be written");
    engine.read("listing containers", &format!("/containers/json?all=true&filters={}", escaped(&filter))).await
}

/// Everything that the engine has, whosever it is.
pub(super) async fn all(engine: &Engine) -> Result<Vec<Listed>, EngineError> {
    engine.read("listing containers", "/containers/json?all=true").await
}

fn path(name: &str) -> String {
    format!("/containers/{}/json", escaped(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(word: &str) -> Phase {
        word.to_owned().into()
    }

    #[test]
    fn both_engines_words_are_known_and_a_strange_one_may_mean_that_it_runs() {
        for (word, expected) in [
            ("created", Phase::Made),
            ("configured", Phase::Made),
            ("initialized", Phase::Made),
            ("running", Phase::Runs),
            ("paused", Phase::Runs),
            ("stopping", Phase::Runs),
            ("stopped", Phase::Over),
            ("exited", Phase::Over),
            ("dead", Phase::Over),
            ("removing", Phase::Over),
            ("bad state", Phase::Unknown),
            ("", Phase::Unknown),
        ] {
            assert_eq!(phase(word), expected, "{word}");
        }
        assert!(phase("bad state").may_run() && phase("running").may_run() && !phase("stopped").may_run());
    }

    #[test]
    fn an_answer_is_read_whatever_else_is_in_it() {
        let podman = r#"{"Id": "1", "Config": {"Labels": null, "StopSignal": "15"}, "State": {"Status": "stopped",
            "Running": false, "OOMKilled": false, "ExitCode": 137, "Health": {"Status": ""}}, "Mounts": 7}"#;
        let container: Container = serde_json::from_str(podman).expect("read");
        assert_eq!((container.state.status, container.state.exit_code), (Phase::Over, Some(137)));
        assert_eq!((container.config.labels, container.config.stop_signal.as_deref()), (None, Some("15")));
        let listed = r#"[{"Id": "1", "State": "stopping", "ImageID": "sha256:2", "Labels": {"a": "b"}}, {"Id": "2"}]"#;
        let listed: Vec<Listed> = serde_json::from_str(listed).expect("read");
        assert_eq!((listed[0].state, listed[1].state), (Phase::Runs, Phase::Unknown));
    }
}
