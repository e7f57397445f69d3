//! How often one user may be refused a change in a minute. What somebody was not allowed to do is a line of the audit log,
//! and a line costs a write to the disk: who makes thousands of them has to wait.
//!
//! Pure: the time comes in. Honest callers are refused now and then, when an object has gone in between. Invariant: holds at
//! most [`MAX_USERS`] users. Tests: below, and `tests/it/http/access.rs`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

use super::problem::{ApiError, ApiResult};

const MAX_USERS: usize = 10_000;

/// Refusals of one minute that cost nothing.
const FREE: u32 = 60;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Minute {
    began: Timestamp,
    refusals: u32,
}

/// Counts by user.
#[derive(Default, Debug)]
pub struct Refusals {
    minutes: Mutex<HashMap<UserId, Minute>>,
}

impl Refusals {
    /// Lets a change be tried.
    ///
    /// # Errors
    /// 429 with the rest of the minute.
    pub fn admit(&self, user: UserId, now: Timestamp) -> ApiResult<()> {
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(minute) = minutes.get(&user).filter(|minute| minute.refusals >= FREE) else { return Ok(()) };
        let left = MINUTE.saturating_sub(now.since(minute.began));
        if left.is_zero() {
            return Ok(());
        }
        let detail = format!("{FREE} changes within a minute were refused: look at why, then try again");
        Err(ApiError::new(ProblemKind::TooManyRequests, detail)
            .retry_after_s(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
    }

    /// A change was refused, and that was written down.
    pub fn count(&self, user: UserId, now: Timestamp) {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.len() >= MAX_USERS && !minutes.contains_key(&user) {
            minutes.retain(|_, minute| now.since(minute.began) < MINUTE);
            // All are of this minute: letting each begin anew is better than growing.
            if minutes.len() >= MAX_USERS {
                minutes.clear();
            }
        }
        let minute = minutes.entry(user).or_insert(Minute { began: now, refusals: 0 });
        if now.since(minute.began) >= MINUTE {
            *minute = Minute { began: now, refusals: 0 };
        }
        minute.refusals = minute.refusals.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    #[test]
    fn after_sixty_the_rest_of_the_minute_is_closed() {
        let mut ids = IdSource::new(1);
        let (refusals, user, other) = (Refusals::default(), ids.next(START), ids.next(START));
        for n in 0..FREE {
            let now = START.plus(Duration::from_millis(500) * n);
            refusals.admit(user, now).expect("free");
            refusals.count(user, now);
        }
        let error = refusals.admit(user, START.plus(Duration::from_secs(40))).expect_err("too many");
        assert_eq!((error.problem().status, error.problem().retry_after_s), (429, Some(20)));
        refusals.admit(other, START).expect("nothing of theirs");
        let later = START.plus(MINUTE);
        refusals.admit(user, later).expect("a new minute");
        refusals.count(user, later);
        refusals.admit(user, later).expect("counted anew");
    }

    #[test]
    fn memory_is_bounded() {
        let (refusals, mut ids) = (Refusals::default(), IdSource::new(1));
        for _ in 0..MAX_USERS * 3 {
            refusals.count(ids.next(START), START);
        }
        assert!(refusals.minutes.lock().expect("whole").len() <= MAX_USERS);
    }
}
