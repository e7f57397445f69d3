//! Who a process is: its id together with the moment it started, because the kernel gives ids out again.
//!
//! Must never signal by a bare id that something else may have by now: [`kill_if`] holds on to the process first, looks
//! again, and only then signals. Tests are below.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for another one of the same boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its id.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// Who has this id now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        ProcStat::read(pid).map(|stat| stat.identity())
    }

    /// Whether that very process is still there and not only waits to be reaped.
    #[must_use]
    pub fn is_alive(self) -> bool {
        ProcStat::read(self.pid).is_some_and(|stat| stat.identity() == self && !stat.is_dead())
    }
}

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in proc_pid_stat(5)")]
pub struct ProcStat {
    pub pid: i32,
    pub state: u8,
    pub ppid: i32,
    pub pgrp: i32,
    pub session: i32,
    pub cpu_ticks: u64,
    pub start_ticks: u64,
    pub rss_pages: u64,
}

impl ProcStat {
    /// Reads it; nothing where there is no such process.
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in brackets may itself hold brackets and spaces, so fields count from the last bracket.
    fn parse(text: &str) -> Option<Self> {
        let pid = text.split(' ').next()?.parse().ok()?;
        let rest = text.get(text.rfind(')')? + 1..)?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let id = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            ppid: id(1)?,
            pgrp: id(2)?,
            session: id(3)?,
            cpu_ticks: number(11)?.saturating_add(number(12)?),
            start_ticks: number(19)?,
            rss_pages: number(21)?,
        })
    }

    /// The process that this is about.
    #[must_use]
    pub const fn identity(&self) -> ProcessIdentity {
        ProcessIdentity { pid: self.pid, start_ticks: self.start_ticks }
    }

    /// Ended, and only waits to be reaped.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Every process of the machine.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn all() -> io::Result<Vec<ProcStat>> {
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(ProcStat::read)
        .collect())
}

/// Signals `pid` if, while it is held and cannot be exchanged, `is_meant` still says yes. Whether it was signalled.
pub fn kill_if(pid: i32, signal: Signal, is_meant: impl FnOnce(&ProcStat) -> bool) -> bool {
    let Some(raw) = Pid::from_raw(pid) else { return false };
    let Ok(held) = pidfd_open(raw, PidfdFlags::empty()) else { return false };
    ProcStat::read(pid).is_some_and(|stat| is_meant(&stat)) && pidfd_send_signal(&held, signal).is_ok()
}

/// Names this boot: ids and start times mean nothing in another one.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_shifts_no_field() {
        let line = "42 (a) b) (c) S 1 40 39 0 -1 4194304 1 2 3 4 5 7 0 0 20 0 1 0 987654 1000 250 18446744073709551615";
        let stat = ProcStat::parse(line).expect("parses");
        assert_eq!((stat.pid, stat.state, stat.ppid, stat.pgrp, stat.session), (42, b'S', 1, 40, 39));
        assert_eq!((stat.cpu_ticks, stat.start_ticks, stat.rss_pages), (12, 987_654, 250));
    }

    #[test]
    fn a_process_is_told_from_another_with_its_id() {
        let me = ProcessIdentity::of(i32::try_from(std::process::id()).expect("fits")).expect("I am");
        assert!(me.is_alive());
        assert!(!ProcessIdentity { start_ticks: me.start_ticks + 1, ..me }.is_alive());
        assert!(!kill_if(me.pid, Signal::KILL, |stat| stat.identity() != me), "another is meant, nobody is killed");
    }
}
