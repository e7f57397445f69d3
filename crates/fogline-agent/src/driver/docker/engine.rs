//! The connection to the container engine: Docker, or Podman, which speaks the same.
//!
//! Decides how long a call may take, which failures are worth a second try, and what a failure says about whether the
//! engine did what it was asked. Must never repeat by itself what is not the same when done twice: that is for callers
//! of [`Engine::once`], who look first. Must never ask one engine about the containers of another: the first that has
//! answered is the only one from then on, and for the next agent too while there are records of containers. Invariant:
//! every call ends within its deadline. Tests: below, and `tests/it/driver/docker`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::SystemInfo;
use bollard::{API_DEFAULT_VERSION, Docker};
use fogline_core::causes::chain;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, watch};

use super::look::Greeting;
use super::{blocking, plain};
use crate::disk::write::{self, Flush};

/// How often an idempotent call is tried.
const ATTEMPTS: u32 = 4;
/// The pause after the first failure; each one is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// An engine that cannot be connected to is not waited for: it is not there.
const HEADERS_WITHIN_S: u64 = 60;
/// An engine is as good without having told what it limits.
const INFO_WITHIN: Duration = Duration::from_secs(3);

/// A container engine, wherever it listens.
pub struct Engine {
    sockets: Vec<PathBuf>,
    call_within: Duration,
    /// The socket that has answered.
    chosen: OnceCell<PathBuf>,
    /// Where it is kept for the next agent.
    kept_in: Option<PathBuf>,
    known: Mutex<Option<Docker>>,
    found: watch::Sender<Option<Found>>,
}

/// The engine that answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its socket.
    pub socket: PathBuf,
    /// Its name and version, for people.
    pub version: String,
    /// Whether it is Podman.
    pub is_podman: bool,
    /// What it limits containers by, and does not.
    pub limits: String,
}

/// What a failed call says about whether it was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The engine has answered no, with this status.
    Refused {
        /// The status.
        status: u16,
    },
    /// The engine has too much to do, and has not begun.
    Busy,
    /// There was no connection, so nothing was done.
    Unreachable,
    /// The call went out, and no whole answer came back: it may be done, now or later.
    Unknown,
}

/// A call that has not worked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{attempted}: {reason}")]
pub struct EngineError {
    /// What was attempted.
    pub attempted: &'static str,
    /// Why not, as the engine or the system puts it.
    pub reason: String,
    /// What follows for whether it was done.
    pub failure: Failure,
}

impl EngineError {
    /// Whether the engine knows no such thing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.failure == Failure::Refused { status: 404 }
    }

    /// Whether something is in the way: a name that is taken, a container in another state.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.failure == Failure::Refused { status: 409 }
    }

    /// Whether it is worth another try.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self.failure, Failure::Refused { .. })
    }

    /// From what the library tells.
    #[must_use]
    pub fn of(attempted: &'static str, error: &ApiError) -> Self {
        let failure = match error {
            ApiError::DockerResponseServerError { status_code: 408 | 429 | 503, .. } => Failure::Busy,
            ApiError::DockerResponseServerError { status_code, .. } => Failure::Refused { status: *status_code },
            ApiError::HyperLegacyError { err } if err.is_connect() => Failure::Unreachable,
            ApiError::SocketNotFoundError(_) => Failure::Unreachable,
            _ => Failure::Unknown,
        };
        let reason = match error {
            ApiError::DockerResponseServerError { message, status_code } if message.trim().is_empty() => {
                format!("it answered {status_code}")
            }
            ApiError::DockerResponseServerError { message, status_code: 429 } => {
                format!("it has too much to do: {}", message.trim())
            }
            ApiError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
            ApiError::SocketNotFoundError(path) => format!("there is no socket {path}"),
            other => chain(other),
        };
        Self { attempted, reason, failure }
    }
}

impl Engine {
    /// The first of these sockets that answers. Nothing is connected yet.
    #[must_use]
    pub fn new(sockets: Vec<PathBuf>, call_within: Duration) -> Self {
        let (chosen, kept_in) = (OnceCell::new(), None);
        Self { sockets, call_within, chosen, kept_in, known: Mutex::default(), found: watch::Sender::default() }
    }

    /// Keeps the socket that answers in this file. With `has_containers`, the one that is kept there is the only one,
    /// unless it is not among the sockets any more.
    #[must_use]
    pub(super) fn keeping(mut self, file: PathBuf, has_containers: bool) -> Self {
        let kept = std::fs::read(&file).ok().map(|text| PathBuf::from(OsString::from_vec(text)));
        if let Some(kept) = kept.filter(|kept| has_containers && self.sockets.contains(kept)) {
            self.chosen = OnceCell::new_with(Some(kept));
        }
        self.kept_in = Some(file);
        self
    }

    /// The engine that has answered, and each change of that. Nothing until one has.
    #[must_use]
    pub fn found(&self) -> watch::Receiver<Option<Found>> {
        self.found.subscribe()
    }

    /// A client for calls that the caller puts a deadline on, such as streams.
    ///
    /// # Errors
    /// When no engine answers.
    pub async fn client(&self) -> Result<Docker, EngineError> {
        let known = self.known().clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let mut reasons = Vec::new();
        for socket in self.chosen.get().map_or(&self.sockets[..], std::slice::from_ref) {
            match tokio::time::timeout(self.call_within, greet(socket)).await {
                Ok(Ok((docker, found))) => {
                    // Somebody else may have found another one meanwhile.
                    if self.chosen.get_or_init(|| self.choose(socket)).await != socket {
                        reasons.push(format!("{} is not the engine that has answered first", socket.display()));
                        continue;
                    }
                    self.known().replace(docker.clone());
                    self.found.send_if_modified(|before| {
                        let is_new = before.as_ref() != Some(&found);
                        before.replace(found);
                        is_new
                    });
                    return Ok(docker);
                }
                Ok(Err(error)) => reasons.push(EngineError::of("", &error).reason),
                Err(_) => reasons.push(format!("{} does not answer", socket.display())),
            }
        }
        let reason = if reasons.is_empty() { "it is switched off".to_owned() } else { reasons.join("; ") };
        Err(EngineError { attempted: "reaching the container engine", reason, failure: Failure::Unreachable })
    }

    /// One call, once.
    ///
    /// # Errors
    /// Says whether it may have been done.
    pub async fn once<T, F>(&self, attempted: &'static str, call: impl FnOnce(Docker) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let docker = self.client().await?;
        let answered = match tokio::time::timeout(self.call_within, call(docker)).await {
            Ok(answer) => answer.map_err(|error| EngineError::of(attempted, &error)),
            Err(_) => Err(self.too_late(attempted)),
        };
        if answered.as_ref().is_err_and(|error| error.failure == Failure::Unreachable) {
            self.forget_client();
        }
        answered
    }

    /// A call that is the same when done twice: tried again, a bounded number of times, when it may pass.
    ///
    /// # Errors
    /// The last failure.
    pub async fn again<T, F>(&self, attempted: &'static str, call: impl Fn(Docker) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.once(attempted, &call).await {
                Err(error) if error.may_pass() && error.failure != Failure::Unreachable => {
                    tracing::debug!(%error, ?pause, "asking the engine again");
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.once(attempted, &call).await
    }

    /// An answer in a shape of the caller's, to a question that changes nothing: a path of the API, with its query.
    ///
    /// # Errors
    /// The last failure.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        attempted: &'static str,
        path: &str,
    ) -> Result<T, EngineError> {
        self.again(attempted, |docker| self.ask(docker, path)).await
    }

    /// The same, asked once.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn read_once<T: DeserializeOwned>(
        &self,
        attempted: &'static str,
        path: &str,
    ) -> Result<T, EngineError> {
        self.once(attempted, |docker| self.ask(docker, path)).await
    }

    async fn ask<T: DeserializeOwned>(&self, docker: Docker, path: &str) -> Result<T, ApiError> {
        let socket = self.chosen.get().expect("who has a client has found its engine");
        plain::get(socket, docker.client_version(), path).await
    }

    /// Something that takes several answers, such as a stream, within the time of one call.
    ///
    /// # Errors
    /// Its own, or that it took too long.
    pub async fn within<T>(
        &self,
        attempted: &'static str,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        tokio::time::timeout(self.call_within, work).await.unwrap_or_else(|_| Err(self.too_late(attempted)))
    }

    /// On disk before anything is made there.
    async fn choose(&self, socket: &Path) -> PathBuf {
        if let Some(file) = self.kept_in.clone() {
            let text = socket.as_os_str().as_bytes().to_owned();
            let kept = blocking(move || write::replace(&file, &text, Flush::Yes)).await.flatten();
            if let Err(error) = kept {
                tracing::warn!(%error, "which container engine is used is not on disk: the next agent looks again");
            }
        }
        socket.to_owned()
    }

    /// Another version may answer by now.
    pub fn forget_client(&self) {
        self.known().take();
    }

    fn too_late(&self, attempted: &'static str) -> EngineError {
        EngineError { attempted, reason: format!("no answer within {:?}", self.call_within), failure: Failure::Unknown }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Docker>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn greet(socket: &Path) -> Result<(Docker, Found), ApiError> {
    let path = socket.to_string_lossy();
    let newest = API_DEFAULT_VERSION;
    let docker = Docker::connect_with_unix(&path, HEADERS_WITHIN_S, newest)?;
    // Asked once: a busy Podman takes more than a second for it, and the library would ask twice.
    let greeting: Greeting = plain::get_unversioned(socket, "/version").await?;
    let api = greeting.api().ok_or(ApiError::APIVersionParseError {})?;
    let docker = if api < *newest { Docker::connect_with_unix(&path, HEADERS_WITHIN_S, &api)? } else { docker };
    // Podman looks at every container for it, and waits for those that are just being started.
    let info = match tokio::time::timeout(INFO_WITHIN, docker.info()).await {
        Ok(info) => Some(info?),
        Err(_) => None,
    };
    let is_podman = greeting.is_podman();
    let name = if is_podman { "Podman" } else { "Docker" };
    let limits = info.map_or_else(|| "does not tell in time what it limits".to_owned(), |info| limits(&info));
    let version = format!("{name} {}", greeting.version);
    Ok((docker, Found { socket: socket.to_owned(), version, is_podman, limits }))
}

/// What it limits containers by, in words.
fn limits(info: &SystemInfo) -> String {
    let limits = [("cpu", info.cpu_cfs_quota), ("memory", info.memory_limit), ("pids", info.pids_limit)];
    let named = |wanted: bool| -> Vec<&str> {
        limits.iter().filter(|(_, on)| on.unwrap_or(true) == wanted).map(|(name, _)| *name).collect()
    };
    let mut words = format!(
        "cgroup v{}: {}",
        info.cgroup_version.map_or("1".to_owned(), |v| v.to_string()),
        named(true).join(", ")
    );
    if !named(false).is_empty() {
        words.push_str("; off: ");
        words.push_str(&named(false).join(", "));
    }
    words
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_whether_it_may_be_done() {
        let answer = |status_code| ApiError::DockerResponseServerError { status_code, message: "why".to_owned() };
        let failure = |status| EngineError::of("x", &answer(status)).failure;
        assert_eq!(failure(404), Failure::Refused { status: 404 });
        assert_eq!(failure(500), Failure::Refused { status: 500 });
        assert_eq!((failure(429), failure(503)), (Failure::Busy, Failure::Busy));
        let lost = ApiError::IOError { err: std::io::Error::other("reset") };
        assert_eq!(EngineError::of("x", &lost).failure, Failure::Unknown);
        assert_eq!(EngineError::of("x", &ApiError::RequestTimeoutError).failure, Failure::Unknown);
    }

    #[tokio::test]
    async fn no_socket_is_no_engine_and_is_told_at_once() {
        let engine = Engine::new(vec!["/no/such/socket".into()], Duration::from_secs(60));
        let error = engine.again("listing containers", |docker| async move { docker.ping().await }).await;
        let error = error.expect_err("nobody is there");
        assert_eq!(error.failure, Failure::Unreachable);
        assert!(error.to_string().contains("/no/such/socket"), "{error}");
    }

    #[test]
    fn the_socket_that_is_kept_is_the_only_one_while_there_are_containers() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("engine-socket");
        let sockets = || vec![PathBuf::from("/docker.sock"), PathBuf::from("/podman.sock")];
        let chosen = |sockets, has_containers| {
            let engine = Engine::new(sockets, Duration::from_secs(1)).keeping(file.clone(), has_containers);
            engine.chosen.get().cloned()
        };
        assert_eq!(chosen(sockets(), true), None);
        std::fs::write(&file, "/podman.sock").expect("written");
        assert_eq!(chosen(sockets(), true), Some("/podman.sock".into()));
        assert_eq!(chosen(sockets(), false), None);
        assert_eq!(chosen(vec!["/other.sock".into()], true), None);
    }
}
