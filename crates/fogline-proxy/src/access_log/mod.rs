//! One line of JSON for each request that has ended, where somebody asked for it.
//!
//! Off unless a target is given. Must never slow a request down: lines go through a bounded channel to a thread of their
//! own, and what does not fit is dropped, counted and said. Must never show secrets: of the URL only the path is logged,
//! because queries hold tokens, and of the headers only `User-Agent`. Tests: in each file.

mod entry;
mod target;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::clock::Clock;
use target::Target;

pub use entry::Entry;
pub(crate) use entry::shortened;
pub use target::AccessLogTarget;
pub use writer::Writer;

/// Lines that may wait to be written.
const WAITING: usize = 4_096;

/// Where ended requests are told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    lines: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Opens the target and starts the thread that writes. It ends once every clone of the log is gone; [`Writer::wait`]
    /// then returns with everything written.
    ///
    /// # Errors
    /// When the target cannot be opened or no thread be started.
    pub fn open(target: &AccessLogTarget, clock: Clock) -> Result<(Self, Writer), String> {
        let target = Target::open(target)?;
        let (lines, written) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer::start(target, written, Arc::clone(&dropped), clock)?;
        Ok((Self { lines, dropped }, writer))
    }

    /// Tells of a request that has ended. Never waits.
    pub fn record(&self, entry: Entry) {
        if self.lines.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
