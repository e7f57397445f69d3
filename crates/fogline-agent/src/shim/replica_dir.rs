//! What is kept on disk about one replica, and how: `order.json`, `state.json`, `exit.json`, `lock`, `cwd/`, `logs/`.
//!
//! The agent writes the order, the shim the other two. Each file names the run it is about, so a file of an earlier run
//! is never taken for the present one. Invariants: a file is whole or not there; whoever holds `lock` is the only one
//! that may begin or end a run, and a shim holds it as long as it lives. Orders and ends reach the disk before anybody
//! goes on; who runs need not, because after a power cut nobody does, and the boot in the file says so. Tests: `tests/it/driver.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::proc_stat::ProcessIdentity;
use crate::cgroup::ReplicaCgroup;
use crate::disk::lenient;
use crate::disk::write::{self, Flush};
use crate::driver::{Exit, StartOrder};
use crate::logs::LogLimits;

/// What the shim is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What the agent was asked for, for the agent that adopts it.
    pub start: StartOrder,
    /// What follows from it on this machine.
    pub launch: Launch,
}

/// How to start the program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// A path, or a name that is looked for in the environment's `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub working_dir: PathBuf,
    /// What limits it, where the machine lets it.
    pub cgroup: Option<ReplicaCgroup>,
    /// How much of its output is kept.
    pub logs: LogLimits,
}

/// Who runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    /// Which run.
    pub run: u32,
    /// The boot in which the processes below mean something.
    pub boot_id: String,
    /// The shim.
    pub shim: ProcessIdentity,
    /// The program, once it runs.
    pub child: Option<ProcessIdentity>,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// Which run.
    pub run: u32,
    /// Microseconds since boot.
    pub boot_us: u64,
    /// How.
    pub exit: Exit,
}

/// What is on disk of an order.
#[derive(Clone, PartialEq, Debug)]
pub enum Recorded {
    /// Nothing: no run was ever begun here.
    Nothing,
    /// All of it.
    Whole(Box<Order>),
    /// Something that is no order, and why not.
    Damaged(String),
    /// The system does not give it out just now, and why.
    Unreadable(String),
}

/// Room that is taken in advance for `exit.json`, so that an end can be told on a full disk.
const END_ROOM_BYTES: usize = 4_096;

const LOCK_ROUND: Duration = Duration::from_millis(5);
const LOCK_ROUNDS: u32 = 200;

/// One replica's directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaDir(PathBuf);

impl ReplicaDir {
    /// The directory at `path`, which need not be there yet.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The replica's own working directory.
    #[must_use]
    pub fn cwd(&self) -> PathBuf {
        self.0.join("cwd")
    }

    /// Its output.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// What the shim itself had to complain about.
    #[must_use]
    pub fn shim_errors(&self) -> PathBuf {
        self.0.join("shim.err")
    }

    /// Makes the directory and what belongs into it. Only the agent's user may look inside: orders hold secrets.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(&self) -> io::Result<()> {
        for dir in [self.0.clone(), self.cwd(), self.logs()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        // An order that is on disk is worth nothing in a directory that is not.
        write::sync_name(&self.0)
    }

    /// Takes the lock, or nothing when somebody has it. Let go when the file is dropped.
    ///
    /// # Errors
    /// What the file system says.
    pub fn try_lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the lock, or nothing when somebody keeps it for a second: a shim that has told the end needs a moment to go,
    /// and a process that is between fork and exec has a copy of every descriptor.
    ///
    /// # Errors
    /// What the file system says.
    pub fn lock(&self) -> io::Result<Option<File>> {
        for _ in 0..LOCK_ROUNDS {
            if let Some(lock) = self.try_lock()? {
                return Ok(Some(lock));
            }
            sleep(LOCK_ROUND);
        }
        Ok(None)
    }

    /// The last order, if there is a whole one.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        self.read("order.json")
    }

    /// The last order, or why there is none.
    #[must_use]
    pub fn read_order(&self) -> Recorded {
        match fs::read(self.0.join("order.json")) {
            Ok(text) => match lenient::from_slice::<Order>(&text) {
                Ok(order) => Recorded::Whole(Box::new(order)),
                Err(error) => Recorded::Damaged(error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Recorded::Nothing,
            Err(error) => Recorded::Unreadable(error.to_string()),
        }
    }

    /// What limits the replica, out of an order that may be unreadable otherwise.
    #[must_use]
    pub fn cgroup(&self) -> Option<ReplicaCgroup> {
        let mut order: Value = self.read("order.json")?;
        lenient::from_value(order.get_mut("launch")?.get_mut("cgroup")?.take()).ok()
    }

    /// Who ran last, whichever run that was.
    #[must_use]
    pub fn last_state(&self) -> Option<State> {
        self.read("state.json")
    }

    /// Takes a damaged order, and what was told of its run, out of the way; its text stays for people.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_order_aside(&self) -> io::Result<()> {
        for name in ["state.json", "exit.json"] {
            match fs::remove_file(self.0.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        write::put_in_place(&self.0.join("order.json"), &self.0.join("order.damaged"))
    }

    /// Who runs or ran as this run.
    #[must_use]
    pub fn state(&self, run: u32) -> Option<State> {
        self.read::<State>("state.json").filter(|state| state.run == run)
    }

    /// How this run ended.
    #[must_use]
    pub fn ended(&self, run: u32) -> Option<Ended> {
        self.read::<Ended>("exit.json").filter(|ended| ended.run == run)
    }

    /// Takes the room for the end of a run.
    ///
    /// # Errors
    /// What the file system says.
    pub fn reserve_end(&self) -> io::Result<()> {
        write::replace(&self.0.join("exit.room"), &[b' '; END_ROOM_BYTES], Flush::No)
    }

    /// Keeps an order.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_order(&self, order: &Order) -> io::Result<()> {
        self.replace("order.json", order, Flush::Yes)
    }

    /// Keeps who runs.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_state(&self, state: &State) -> io::Result<()> {
        self.replace("state.json", state, Flush::No)
    }

    /// Keeps how a run ended, in the room that was taken for it, so it works on a full disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(ended)?;
        let room = self.0.join("exit.room");
        if bytes.len() <= END_ROOM_BYTES && room.exists() {
            bytes.resize(END_ROOM_BYTES, b' ');
            write::over(&room, &bytes)?;
            return write::put_in_place(&room, &self.0.join("exit.json"));
        }
        write::replace(&self.0.join("exit.json"), &bytes, Flush::Yes)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        lenient::from_slice(&fs::read(self.0.join(name)).ok()?).ok()
    }

    fn replace(&self, name: &str, content: &impl Serialize, flush: Flush) -> io::Result<()> {
        write::replace(&self.0.join(name), &serde_json::to_vec(content)?, flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = ReplicaDir::at(root.path().join("replica"));
        dir.create().expect("made");
        assert!(matches!(dir.read_order(), Recorded::Nothing));
        fs::write(dir.path().join("order.json"), "{\"start\":").expect("written");
        assert!(matches!(dir.read_order(), Recorded::Damaged(_)));
        dir.set_order_aside().expect("set aside");
        assert!(matches!(dir.read_order(), Recorded::Nothing));
        fs::create_dir(dir.path().join("order.json")).expect("made");
        assert!(matches!(dir.read_order(), Recorded::Unreadable(_)));
    }
}
