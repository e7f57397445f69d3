//! Starts the program, or says in a user's words why it cannot be started.
//!
//! Must never give it anything of the agent's: its environment is the order's, its descriptors are `/dev/null` and the
//! output pipe. Tests: `tests/it/driver.rs`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::Pid;

use super::replica_dir::{Launch, ReplicaDir};
use super::sys;
use crate::driver::StartError;

/// Room for output while the disk is slow. Only a wish: the system has a limit a user.
const PIPE_BYTES: usize = 256 * 1_024;

/// The program, in a process group of its own, and the pipe with its output.
pub(super) fn spawn(launch: &Launch) -> Result<(Pid, OwnedFd), StartError> {
    let unusual = |attempted: &str, error: io::Error| StartError::Other {
        program: launch.program.clone(),
        attempted: attempted.to_owned(),
        reason: error.to_string(),
    };
    check_working_dir(launch)?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| unusual("making a pipe", error.into()))?;
    let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
    let also_write = write.try_clone().map_err(|error| unusual("copying a pipe", error))?;
    let cgroup_procs = launch.cgroup.iter().flat_map(|cgroup| cgroup.open_procs()).map(OwnedFd::from).collect();

    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.working_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::from(write))
        .stderr(Stdio::from(also_write))
        .process_group(0);
    sys::prepare_program(&mut command, cgroup_procs);
    let child = command.spawn().map_err(|error| explain(launch, &error))?;
    // Children are waited for by the shim's own means, all of them alike.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.map(|pid| (pid, read)).ok_or_else(|| unusual("starting it", io::Error::other("it has no process id")))
}

fn check_working_dir(launch: &Launch) -> Result<(), StartError> {
    let path = &launch.working_dir;
    let entered = fs::metadata(path).and_then(|metadata| {
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(access(path, Access::EXEC_OK)?)
    });
    entered.map_err(|error| StartError::BadWorkingDir {
        program: launch.program.clone(),
        path: path.clone(),
        reason: error.to_string(),
    })
}

fn explain(launch: &Launch, error: &io::Error) -> StartError {
    let program = launch.program.clone();
    let reason = error.to_string();
    match error.raw_os_error() {
        Some(libc::ENOENT) if program.contains('/') && launch.working_dir.join(&program).exists() => {
            StartError::NotPermitted {
                program,
                reason: "the interpreter that its first line names, or its loader, is not on this node".to_owned(),
            }
        }
        Some(libc::ENOENT | libc::ENOTDIR) => {
            let searched = if program.contains('/') {
                launch.working_dir.join(&program).display().to_string()
            } else {
                launch.env.get("PATH").cloned().unwrap_or_default()
            };
            StartError::NoProgram { program, searched }
        }
        Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::EISDIR | libc::ELIBBAD | libc::ETXTBSY) => {
            StartError::NotPermitted { program, reason }
        }
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => StartError::NoResources { program, reason },
        _ => StartError::Other { program, attempted: "starting it".to_owned(), reason },
    }
}

/// Who runs could not be written down, so it must not run.
pub(super) fn cannot_keep_state(launch: &Launch, dir: &ReplicaDir, error: &io::Error) -> StartError {
    keep_error(&launch.program, dir.path(), "keeping its state", error)
}

/// Something that has to be on disk before a start could not be written to `path`.
pub(crate) fn keep_error(program: &str, path: &Path, attempted: &str, error: &io::Error) -> StartError {
    let program = program.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StartError::DiskFull { program, path: path.to_owned() }
        }
        _ => StartError::Other {
            program,
            attempted: format!("{attempted} in {}", path.display()),
            reason: error.to_string(),
        },
    }
}
