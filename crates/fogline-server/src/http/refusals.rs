//! How often one user may be refused a change in a minute. What somebody was not allowed to do is a line of the audit log,
//! and a line costs a write to the disk: who makes thousands of them has to wait.
//!
//! Honest callers are refused now and then, when an object has gone in between. Tests: below, and
//! `tests/it/http/access.rs`.

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

use super::minutes::Minutes;
use super::problem::{ApiError, ApiResult};

/// Refusals of one minute that cost nothing.
const FREE: usize = 60;

/// Counts by user.
#[derive(Default, Debug)]
pub struct Refusals(Minutes);

impl Refusals {
    /// Lets a change be tried.
    ///
    /// # Errors
    /// 429 with the rest of the minute.
    pub fn admit(&self, user: UserId, now: Timestamp) -> ApiResult<()> {
        let Some(wait_s) = self.0.wait_s(user, 1, FREE, now) else { return Ok(()) };
        let detail = format!("{FREE} changes within a minute were refused: look at why, then try again");
        Err(ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(wait_s))
    }

    /// A change was refused, and that was written down.
    pub fn count(&self, user: UserId, now: Timestamp) {
        // Several that were let in together may all be refused: each counts, so there is no most.
        let _ = self.0.spend(user, 1, usize::MAX, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use fogline_core::id::IdSource;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    #[test]
    fn after_sixty_the_rest_of_the_minute_is_closed() {
        let mut ids = IdSource::new(1);
        let (refusals, user, other) = (Refusals::default(), ids.next(START), ids.next(START));
        for n in 0..60 {
            let now = START.plus(Duration::from_millis(500) * n);
            refusals.admit(user, now).expect("free");
            refusals.count(user, now);
        }
        let error = refusals.admit(user, START.plus(Duration::from_secs(40))).expect_err("too many");
        assert_eq!((error.problem().status, error.problem().retry_after_s), (429, Some(20)));
        refusals.admit(other, START).expect("nothing of theirs");
        let later = START.plus(Duration::from_secs(60));
        refusals.admit(user, later).expect("a new minute");
        refusals.count(user, later);
        refusals.admit(user, later).expect("counted anew");
    }
}
