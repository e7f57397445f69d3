//! Why a driver could not do what it was asked.
//!
//! The texts are read by users, in the replica's status, so each says what was attempted, why it failed and what to do.
//! [`StartError`] is also written to disk, by the shim for the agent.

use std::path::PathBuf;

use fogline_core::id::ReplicaId;
use serde::{Deserialize, Serialize};

use super::docker::{EngineError, ImageFailure};

/// Why a run was not started. Nothing is left running.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StartError {
    /// The template says nothing that could be run.
    #[error("there is no command to run: give the deployment a `command`")]
    NoCommand,
    /// The program is not there.
    #[error(
        "cannot run {program:?}: no such program on this node (looked in {searched}); install it there or give its whole path"
    )]
    NoProgram {
        /// As the command names it.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The program is there and may not be run, or is nothing that can be run.
    #[error("cannot run {program:?}: {reason}; it must be a program that the agent's user may execute")]
    NotPermitted {
        /// As the command names it.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// The working directory is not there or may not be entered.
    #[error("cannot run {program:?} in {}: {reason}; create the directory on the node or leave `working_dir` out", path.display())]
    BadWorkingDir {
        /// As the command names it.
        program: String,
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The agent's disk is full.
    #[error("cannot run {program:?}: the node's disk is full ({}); free some space there", path.display())]
    DiskFull {
        /// As the command names it.
        program: String,
        /// What could not be written.
        path: PathBuf,
    },
    /// The machine has no room for one more process.
    #[error("cannot run {program:?}: the node has no processes or memory left ({reason}); stop something there")]
    NoResources {
        /// As the command names it.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// This run was started before, whatever became of it.
    #[error("run {run} of this replica was started before: a run is started once, ask for run {}", recorded + 1)]
    AlreadyStarted {
        /// What was asked for.
        run: u32,
        /// The last run that is on disk.
        recorded: u32,
    },
    /// An earlier run of this replica is not over.
    #[error("a process of an earlier run still holds this replica: it is started again when that has ended")]
    StillRunning {
        /// The one that holds it; 0 where that is not known.
        run: u32,
    },
    /// The agent went away in the middle of the start.
    #[error("the agent stopped in the middle of the start, before the program ran")]
    Interrupted,
    /// The program's start took too long, and was undone.
    #[error(
        "cannot run {program:?}: its start took longer than {deadline_s} s and was given up; the node may be overloaded"
    )]
    TimedOut {
        /// As the command names it.
        program: String,
        /// How long was waited, rounded up.
        deadline_s: u64,
    },
    /// There is nothing that could run containers.
    #[error("cannot run a container: {reason}; start Docker or Podman on the node, or tell the agent where it listens")]
    NoEngine {
        /// What was tried.
        reason: String,
    },
    /// The engine may have done it, and does not say.
    #[error(
        "the container engine has not said whether the container of run {run} was started ({reason}): it counts as \
         running until that is known"
    )]
    Unclear {
        /// Which run.
        run: u32,
        /// What it said last.
        reason: String,
    },
    /// The image cannot be had.
    #[error("cannot get the image {image}: {failure}")]
    Image {
        /// As the spec names it.
        image: String,
        /// Why not.
        failure: ImageFailure,
    },
    /// The image is there, and what is to be run is not in it, or may not be.
    #[error(
        "cannot run a container of {image}: {reason}; change `command`, `working_dir`, `container.user` or the image"
    )]
    NotInImage {
        /// The image.
        image: String,
        /// What the engine says.
        reason: String,
    },
    /// A path of the node that may not be mounted.
    #[error("cannot mount {path} into a container: {reason}")]
    MountRefused {
        /// The path, as the spec names it.
        path: String,
        /// Why, and what would do.
        reason: String,
    },
    /// Another program has the port that was picked.
    #[error("port {port} of this node is taken by another program")]
    PortTaken {
        /// The port on the host.
        port: u16,
    },
    /// The engine has refused, or failed.
    #[error("cannot run a container of {image}: {attempted}: {reason}")]
    Engine {
        /// The image.
        image: String,
        /// What was being done.
        attempted: String,
        /// What the engine says.
        reason: String,
    },
    /// Anything else.
    #[error("cannot run {program:?}: {attempted}: {reason}")]
    Other {
        /// As the command names it.
        program: String,
        /// What was being done.
        attempted: String,
        /// What the system says.
        reason: String,
    },
}

/// Why a replica could not be signalled.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Nothing runs under this id.
    #[error("nothing to signal: replica {0} does not run on this agent")]
    NotRunning(ReplicaId),
    /// The container engine refused, or did not answer.
    #[error("cannot signal the container of replica {replica_id}: {source}")]
    Engine {
        /// Which replica.
        replica_id: ReplicaId,
        /// What the engine says.
        source: EngineError,
    },
    /// The system refused.
    #[error("cannot signal replica {replica_id}: {source}")]
    Signal {
        /// Which replica.
        replica_id: ReplicaId,
        /// What the system says.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use fogline_core::trouble::Trouble;

    use super::*;

    #[test]
    fn core_knows_by_the_first_words_what_strangers_may_be_told() {
        let (image, reason) = (|| "10.0.0.7/web:1".to_owned(), || "secret".to_owned());
        let failure = ImageFailure::DiskFull;
        for (error, trouble) in [
            (StartError::Image { image: image(), failure }, Trouble::Image),
            (StartError::NotInImage { image: image(), reason: reason() }, Trouble::Start),
            (StartError::MountRefused { path: image(), reason: reason() }, Trouble::Start),
            (StartError::PortTaken { port: 80 }, Trouble::Start),
            (StartError::NotPermitted { program: image(), reason: reason() }, Trouble::Start),
            (StartError::NoCommand, Trouble::Start),
        ] {
            assert_eq!(Trouble::of(&error.to_string()), trouble, "{error}");
        }
    }
}
