//! What is kept on disk about one replica, and how: `order.json`, `state.json`, `exit.json`, `lock`, `cwd/`, `logs/`.
//!
//! The agent writes the order, the shim the other two. Each file names the run it is about, so a file of an earlier run
//! is never taken for the present one. Invariants: a file is whole or not there; whoever holds `lock` is the only one
//! that may begin or end a run, and a shim holds it as long as it lives. Orders and ends reach the disk before anybody
//! goes on; who runs need not, because after a power cut nobody does, and the boot in the file says so. Tests: `tests/it/driver.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::proc_stat::ProcessIdentity;
use crate::cgroup::ReplicaCgroup;
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
        Ok(())
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
        write(&self.0.join("exit.room"), &[b' '; END_ROOM_BYTES]).map(drop)
    }

    /// Keeps an order.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_order(&self, order: &Order) -> io::Result<()> {
        self.replace("order.json", &serde_json::to_vec(order)?, Reach::Disk)
    }

    /// Keeps who runs.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_state(&self, state: &State) -> io::Result<()> {
        self.replace("state.json", &serde_json::to_vec(state)?, Reach::Kernel)
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
            let mut file = OpenOptions::new().write(true).open(&room)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            return fs::rename(room, self.0.join("exit.json"));
        }
        self.replace("exit.json", &bytes, Reach::Disk)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.0.join(name)).ok()?).ok()
    }

    /// All or nothing: a crash leaves the old file or the new one.
    fn replace(&self, name: &str, bytes: &[u8], reach: Reach) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let written = write(&new, bytes)
            .and_then(|file| if reach == Reach::Disk { file.sync_data() } else { Ok(()) })
            .and_then(|()| fs::rename(&new, self.0.join(name)));
        if written.is_err() {
            // A full disk must not keep half a file.
            drop(fs::remove_file(&new));
        }
        written
    }
}

/// How far a file has to get before anybody goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// It survives the agent and the shim.
    Kernel,
    /// It survives a power cut.
    Disk,
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}
