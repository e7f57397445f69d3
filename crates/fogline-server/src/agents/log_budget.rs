//! What readers of logs may hold of this server: so many at once, of one user and of all, and so many bytes.
//!
//! Each log has [`OWN_BYTES`] for itself. What an agent sends faster than it is read goes beyond that and comes out of one
//! pool for all, so that the end of a long log gets through and a crowd of slow readers still costs little. Invariant: at
//! most `MAX_LOGS * OWN_BYTES + POOL_BYTES` wait, and a [`LogPlace`] gives back all that it took. Tests: below.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fogline_core::id::UserId;

use super::logs::LogError;

/// Logs that all users may read at once.
const MAX_LOGS: usize = 64;

/// Logs that one user may read at once.
pub(super) const MAX_LOGS_OF_ONE: usize = 8;

/// What may always wait for the reader of one log.
pub(super) const OWN_BYTES: usize = 256 * 1024;

/// What may wait beyond that, for all readers together.
pub(super) const POOL_BYTES: usize = 16 * 1024 * 1024;

/// What of the pool one log may take. Ten thousand lines of some hundred bytes fit.
pub(super) const MAX_POOL_BYTES_OF_ONE: usize = 8 * 1024 * 1024 - OWN_BYTES;

/// The counters. One for each server.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    logs: usize,
    by_reader: HashMap<UserId, usize>,
    pool_bytes: usize,
}

/// The right to read one log, and what is held for it. Ends with its drop.
#[derive(Debug)]
pub(super) struct LogPlace {
    budget: Arc<LogBudget>,
    reader: UserId,
    waiting_bytes: usize,
}

impl LogBudget {
    /// A place for one more log.
    ///
    /// # Errors
    /// When this reader, or all together, read as many as they may.
    pub(super) fn place(self: &Arc<Self>, reader: UserId) -> Result<LogPlace, LogError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.by_reader.get(&reader).is_some_and(|logs| *logs >= MAX_LOGS_OF_ONE) {
            return Err(LogError::TooManyOfYours);
        }
        if taken.logs >= MAX_LOGS {
            return Err(LogError::TooMany);
        }
        taken.logs += 1;
        *taken.by_reader.entry(reader).or_default() += 1;
        drop(taken);
        Ok(LogPlace { budget: Arc::clone(self), reader, waiting_bytes: 0 })
    }
}

impl LogPlace {
    /// Counts bytes that wait from now on; false, and nothing counted, when there is no room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let (before, after) = (pool_share(self.waiting_bytes), pool_share(self.waiting_bytes + bytes));
        if after > before {
            let mut taken = self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner);
            if after > MAX_POOL_BYTES_OF_ONE || taken.pool_bytes + (after - before) > POOL_BYTES {
                return false;
            }
            taken.pool_bytes += after - before;
        }
        self.waiting_bytes += bytes;
        true
    }

    /// Counts bytes that do not wait any more.
    pub(super) fn release(&mut self, bytes: usize) {
        let left = self.waiting_bytes.saturating_sub(bytes);
        let freed = pool_share(self.waiting_bytes) - pool_share(left);
        self.waiting_bytes = left;
        if freed > 0 {
            self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner).pool_bytes -= freed;
        }
    }
}

impl Drop for LogPlace {
    fn drop(&mut self) {
        self.release(self.waiting_bytes);
        let mut taken = self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.logs -= 1;
        if let Some(logs) = taken.by_reader.get_mut(&self.reader) {
            *logs -= 1;
            if *logs == 0 {
                taken.by_reader.remove(&self.reader);
            }
        }
    }
}

/// What of the bytes that wait for one reader is the pool's.
const fn pool_share(waiting_bytes: usize) -> usize {
    waiting_bytes.saturating_sub(OWN_BYTES)
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    fn readers() -> impl Iterator<Item = UserId> {
        let mut ids = IdSource::new(1);
        std::iter::repeat_with(move || ids.next(Timestamp::from_micros(1)))
    }

    #[test]
    fn places_have_limits_and_come_back() {
        let (budget, mut readers) = (Arc::new(LogBudget::default()), readers());
        let greedy = readers.next().expect("endless");
        let mut places: Vec<_> = (0..MAX_LOGS_OF_ONE).map(|_| budget.place(greedy).expect("room")).collect();
        assert_eq!(budget.place(greedy).err(), Some(LogError::TooManyOfYours));
        places.extend(
            readers.by_ref().take(MAX_LOGS - MAX_LOGS_OF_ONE).map(|reader| budget.place(reader).expect("room")),
        );
        assert_eq!(budget.place(readers.next().expect("endless")).err(), Some(LogError::TooMany));
        places.remove(0);
        places.push(budget.place(greedy).expect("room again"));
        drop(places);
        let taken = budget.taken.lock().expect("whole");
        assert_eq!((taken.logs, taken.by_reader.len(), taken.pool_bytes), (0, 0, 0));
    }

    #[test]
    fn bytes_have_limits_and_come_back() {
        let (budget, readers) = (Arc::new(LogBudget::default()), readers());
        let mut places: Vec<_> = readers.take(3).map(|reader| budget.place(reader).expect("room")).collect();
        assert!(places[0].hold(OWN_BYTES + MAX_POOL_BYTES_OF_ONE));
        assert!(!places[0].hold(1), "no reader gets the whole pool");
        assert!(places[1].hold(OWN_BYTES + MAX_POOL_BYTES_OF_ONE));
        assert!(places[2].hold(OWN_BYTES), "one's own is always there");
        assert!(!places[2].hold(POOL_BYTES - 2 * MAX_POOL_BYTES_OF_ONE + 1), "the pool is empty");
        places[0].release(MAX_POOL_BYTES_OF_ONE);
        assert!(places[2].hold(MAX_POOL_BYTES_OF_ONE));
        drop(places);
        assert_eq!(budget.taken.lock().expect("whole").pool_bytes, 0);
    }
}
