//! How often one user, or one address without a login, may ask: a bucket each, which fills evenly.
//!
//! Pure: the time comes in. Meant against runaway scripts, not against honest load: a user's bucket is larger than what
//! the whole server is built for in writes. Invariant: holds at most [`MAX_ASKERS`] buckets. Tests: below.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

use super::problem::{ApiError, ApiResult};

const MAX_ASKERS: usize = 20_000;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    /// Somebody who has logged in.
    User(UserId),
    /// Somebody whose token was refused.
    Stranger(IpAddr),
}

impl Asker {
    /// Requests a second, and how many at once.
    const fn pace(self) -> (u32, u32) {
        match self {
            Self::User(_) => (2_000, 4_000),
            Self::Stranger(_) => (20, 200),
        }
    }
}

/// The buckets. Each is kept as the time at which it will be full again (GCRA).
#[derive(Default, Debug)]
pub struct Limits {
    full_at: Mutex<HashMap<Asker, Timestamp>>,
}

impl Limits {
    /// Lets a request through.
    ///
    /// # Errors
    /// 429 with the time after which another one makes sense.
    pub fn admit(&self, asker: Asker, now: Timestamp) -> ApiResult<()> {
        let (per_second, burst) = asker.pace();
        let cost = Duration::from_secs(1) / per_second;
        let most = cost * burst;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MAX_ASKERS && !full_at.contains_key(&asker) {
            full_at.retain(|_, at| *at > now);
            // None is full again: forgetting all of them costs each a burst, which is better than growing.
            if full_at.len() >= MAX_ASKERS {
                full_at.clear();
            }
        }
        let bucket = full_at.entry(asker).or_insert(now);
        let next = (*bucket).max(now).plus(cost);
        if next.since(now) > most {
            let wait_s = (next.since(now) - most).as_secs() + 1;
            let detail = format!("more than {per_second} requests a second: slow down");
            return Err(ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(wait_s));
        }
        *bucket = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    fn stranger(n: u32) -> Asker {
        Asker::Stranger(IpAddr::V4(n.into()))
    }

    #[test]
    fn a_burst_passes_then_the_pace_holds() {
        let limits = Limits::default();
        let passed = (0..1_000).filter(|_| limits.admit(stranger(1), START).is_ok()).count();
        assert_eq!(passed, 200);
        let later = START.plus(Duration::from_secs(1));
        let passed = (0..1_000).filter(|_| limits.admit(stranger(1), later).is_ok()).count();
        assert_eq!(passed, 20);
        assert!(limits.admit(stranger(2), later).is_ok());
        let error = limits.admit(stranger(1), later).expect_err("empty");
        assert_eq!((error.problem().status, error.problem().retry_after_s), (429, Some(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits::default();
        for n in 0..100_000 {
            let _ = limits.admit(stranger(n), START);
        }
        assert!(limits.full_at.lock().expect("whole").len() <= MAX_ASKERS);
    }
}
