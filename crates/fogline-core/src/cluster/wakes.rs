//! How often requests may wake what sleeps: an owner's share of each minute.
//!
//! Observed, and never taken back: a wake whose commit failed counts. Invariant: memory is bounded by the owners that
//! had a wake within the last minute. Tests: `tests/it/front/wake.rs`.

use std::collections::HashMap;
use std::time::Duration;

use crate::id::UserId;
use crate::time::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);

/// The wakes of the present minute of each owner, which begins with its first wake.
#[derive(Clone, Debug, Default)]
pub struct WakeBudget {
    windows: HashMap<UserId, (Timestamp, u32)>,
}

impl WakeBudget {
    /// How long an owner has to wait for the next wake; nothing where it may be now.
    pub(crate) fn wait(&self, owner: UserId, most: u32, now: Timestamp) -> Option<Duration> {
        let (since, spent) = self.windows.get(&owner).filter(|(since, _)| now.since(*since) < WINDOW)?;
        (*spent >= most).then(|| WINDOW.saturating_sub(now.since(*since)))
    }

    pub(crate) fn spend(&mut self, owner: UserId, now: Timestamp) {
        self.windows.retain(|_, (since, _)| now.since(*since) < WINDOW);
        self.windows.entry(owner).or_insert((now, 0)).1 += 1;
    }
}
