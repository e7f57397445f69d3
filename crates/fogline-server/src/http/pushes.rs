//! How many samples one user may push in a minute, so that nobody's keep others' from being stored.
//!
//! Pure: the time comes in. Invariant: holds at most [`MAX_USERS`] users. Tests: below.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

use super::problem::{ApiError, ApiResult};

const MAX_USERS: usize = 10_000;

/// Samples of one minute.
const MOST: usize = 20_000;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Minute {
    began: Timestamp,
    samples: usize,
}

/// Counts by user.
#[derive(Default, Debug)]
pub struct Pushes {
    minutes: Mutex<HashMap<UserId, Minute>>,
}

impl Pushes {
    /// Lets so many samples in.
    ///
    /// # Errors
    /// 429 with the rest of the minute; none of them counts then.
    pub fn admit(&self, user: UserId, samples: usize, now: Timestamp) -> ApiResult<()> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.len() >= MAX_USERS && !minutes.contains_key(&user) {
            minutes.retain(|_, minute| now.since(minute.began) < MINUTE);
            // All are of this minute: letting each begin anew is better than growing.
            if minutes.len() >= MAX_USERS {
                minutes.clear();
            }
        }
        let minute = minutes.entry(user).or_insert(Minute { began: now, samples: 0 });
        if now.since(minute.began) >= MINUTE {
            *minute = Minute { began: now, samples: 0 };
        }
        if minute.samples + samples > MOST {
            let left = MINUTE.saturating_sub(now.since(minute.began));
            let detail = format!("more than {MOST} samples within a minute: push them less often");
            return Err(ApiError::new(ProblemKind::TooManyRequests, detail)
                .retry_after_s(left.as_secs() + u64::from(left.subsec_nanos() > 0)));
        }
        minute.samples += samples;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    #[test]
    fn a_minute_has_room_for_so_many() {
        let mut ids = IdSource::new(1);
        let (pushes, user, other) = (Pushes::default(), ids.next(START), ids.next(START));
        for _ in 0..20 {
            pushes.admit(user, 1_000, START).expect("within the budget");
        }
        let error = pushes.admit(user, 1, START.plus(Duration::from_secs(45))).expect_err("too many");
        assert_eq!((error.problem().status, error.problem().retry_after_s), (429, Some(15)));
        pushes.admit(other, 1_000, START).expect("nothing of theirs");
        pushes.admit(user, 1_000, START.plus(MINUTE)).expect("a new minute");
    }

    #[test]
    fn memory_is_bounded() {
        let (pushes, mut ids) = (Pushes::default(), IdSource::new(1));
        for _ in 0..MAX_USERS * 3 {
            pushes.admit(ids.next(START), 1, START).expect("the first");
        }
        assert!(pushes.minutes.lock().expect("whole").len() <= MAX_USERS);
    }
}
