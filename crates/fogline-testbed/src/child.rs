//! A server's process: started so that it ends with the test process, its words in a log file.
//!
//! Linux binds the death signal to the thread that forked, so a thread of its own starts each server and lives as long.
//! That thread has the network namespace of its caller, and so has the server. Must never be a program that changes its
//! user after it was started: that clears the death signal. Tests: `tests/it/nothing_is_left.rs`.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::wait_for;
use crate::program;
use crate::user::User;

/// How much of a log is shown when its server failed, in lines.
const TAIL: usize = 40;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    name: &'static str,
    log: PathBuf,
    /// While this is there, so is the thread to which the death signal is bound.
    _keeper: mpsc::Sender<()>,
}

impl Server {
    /// Starts it; `with_death` is the signal that it gets when the test process dies (`KILL`, `QUIT`, `TERM`), `user`
    /// who it runs as, where that is another user than this one. What it says is appended to `log`.
    pub(crate) fn start(
        name: &'static str,
        with_death: &str,
        user: Option<User>,
        command: &Command,
        log: PathBuf,
    ) -> Self {
        let out = File::options().create(true).append(true).open(&log).expect("a log file can be made");
        let mut bound = program::command(&program::find("setpriv", "util-linux"));
        bound.args(["--pdeathsig", with_death, "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            bound.env(key, value.unwrap_or_default());
        }
        if let Some(user) = user {
            bound.uid(user.uid).gid(user.gid);
        }
        bound.stdin(Stdio::null()).stdout(out.try_clone().expect("a second handle")).stderr(out);
        let (started, result) = mpsc::channel();
        let (keeper, until_dropped) = mpsc::channel::<()>();
        std::thread::Builder::new()
            .name(format!("keeps {name}"))
            .spawn(move || {
                let _ = started.send(bound.spawn());
                let _ = until_dropped.recv();
            })
            .expect("a thread starts");
        let child =
            result.recv().expect("the keeper answers").unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
        Self { child, name, log, _keeper: keeper }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Sends it a signal. Nothing where it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(self.pid(), signal).expect("a child that was not waited for can be signalled");
        }
    }

    /// Sends it a signal and waits until it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub(crate) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let what = format!("the end of {}", self.name);
        wait_for(&what, || self.ended());
    }

    /// The last lines of what it said.
    pub(crate) fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log file.
pub(crate) fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// The processes that `parent` has started and not waited for.
pub(crate) fn children_of(parent: Pid) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", parent.as_raw_nonzero());
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Signals processes whose parent does not wait for them meanwhile, so that each number is still its process's.
pub(crate) fn signal_all(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended on its own.
        let _ = kill_process(*process, signal);
    }
}
