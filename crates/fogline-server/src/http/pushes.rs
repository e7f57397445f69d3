//! How many samples one user may push in a minute, so that nobody's keep others' from being stored. Tests: below.

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

use super::minutes::Minutes;
use super::problem::{ApiError, ApiResult};

/// Samples of one minute.
const MOST: usize = 20_000;

/// Counts by user.
#[derive(Default, Debug)]
pub struct Pushes(Minutes);

impl Pushes {
    /// Lets so many samples in.
    ///
    /// # Errors
    /// 429 with the rest of the minute; none of them counts then.
    pub fn admit(&self, user: UserId, samples: usize, now: Timestamp) -> ApiResult<()> {
        self.0.spend(user, samples, MOST, now).map_err(|wait_s| {
            let detail = format!("more than {MOST} samples within a minute: push them less often");
            ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(wait_s)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        pushes.admit(user, 1_000, START.plus(Duration::from_secs(60))).expect("a new minute");
    }
}
