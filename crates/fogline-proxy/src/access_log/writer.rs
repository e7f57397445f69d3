//! The thread that writes lines. It alone waits for the disk. Tests: below.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::warn;

use super::entry::Entry;
use super::target::Target;
use crate::clock::Clock;

/// How often it is looked whether the file was renamed, and said what was dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Lines written before they are flushed and anything else is looked at.
const BATCH: usize = 1_024;

/// The thread that writes.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Writer {
    pub(super) fn start(
        target: Target,
        lines: Receiver<Entry>,
        dropped: Arc<AtomicU64>,
        clock: Clock,
    ) -> Result<Self, String> {
        let work = Work { target, dropped, clock, buffer: Vec::new(), looked_us: 0 };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || work.run(&lines))
            .map(Self)
            .map_err(|error| format!("cannot start the thread of the access log: {error}"))
    }

    /// Waits until everything is written: for ever while a clone of the log is left. Blocks.
    pub fn wait(self) {
        if self.0.join().is_err() {
            warn!("the thread of the access log has panicked");
        }
    }
}

struct Work {
    target: Target,
    dropped: Arc<AtomicU64>,
    clock: Clock,
    buffer: Vec<u8>,
    looked_us: u64,
}

impl Work {
    fn run(mut self, lines: &Receiver<Entry>) {
        loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(first) => self.write(first, lines),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.say_dropped();
                    return;
                }
            }
            self.look();
        }
    }

    fn write(&mut self, first: Entry, lines: &Receiver<Entry>) {
        let mut count = 0;
        self.buffer.clear();
        for entry in std::iter::once(first).chain(lines.try_iter().take(BATCH - 1)) {
            let start = self.buffer.len();
            match serde_json::to_writer(&mut self.buffer, &entry) {
                Ok(()) => self.buffer.push(b'\n'),
                Err(_) => self.buffer.truncate(start),
            }
            count += 1;
        }
        if self.target.write_all(&self.buffer).and_then(|()| self.target.flush()).is_err() {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn look(&mut self) {
        let now_us = self.clock.now_us();
        if Duration::from_micros(now_us.saturating_sub(self.looked_us)) < LOOK_EVERY {
            return;
        }
        self.looked_us = now_us;
        self.say_dropped();
        if let Err(error) = self.target.follow_renames() {
            warn_reopen(&error);
        }
    }

    fn say_dropped(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            warn!(dropped, "lines of the access log were dropped: its target does not take them fast enough");
        }
    }
}

fn warn_reopen(error: &io::Error) {
    warn!(%error, "the access log goes on in the file that was renamed: it cannot be opened anew");
}

#[cfg(test)]
mod tests {
    use crate::access_log::entry::sample;
    use crate::access_log::{AccessLog, AccessLogTarget};
    use crate::clock::Clock;

    #[test]
    fn everything_that_was_told_is_written_in_order_before_it_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("access.log");
        let target = AccessLogTarget::File(path.clone());
        let (log, writer) = AccessLog::open(&target, Clock::system()).expect("opened");
        let copy = log.clone();
        for number in 0..1_000 {
            copy.record(sample(&format!("/{number}")));
        }
        drop((log, copy));
        writer.wait();
        let text = std::fs::read_to_string(path).expect("read");
        let paths: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["path"].to_string())
            .collect();
        assert_eq!(paths, (0..1_000).map(|number| format!("\"/{number}\"")).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_holds_nobody_up() {
        let target = AccessLogTarget::File("/dev/full".into());
        let (log, writer) = AccessLog::open(&target, Clock::system()).expect("opened");
        for _ in 0..100_000 {
            log.record(sample("/"));
        }
        drop(log);
        writer.wait();
    }
}
