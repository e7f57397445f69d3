//! Places for work that takes long or asks others: so many in all, and so many a user.
//!
//! Invariant: whoever leaves gives the place back; nobody waits for one. Tests: below.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fogline_api::http::ProblemKind;
use fogline_core::id::UserId;

use super::problem::{ApiError, ApiResult};

/// The places of one kind of work.
#[derive(Debug)]
pub struct Turns {
    what: &'static str,
    in_all: usize,
    of_one: usize,
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub struct Turn {
    user: UserId,
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Turns {
    /// So many places, and so many of them for one user. `what` is several of the work, as errors call it.
    #[must_use]
    pub fn new(what: &'static str, in_all: usize, of_one: usize) -> Self {
        Self { what, in_all, of_one, taken: Arc::default() }
    }

    /// A place for this user.
    ///
    /// # Errors
    /// 429 where the user has as many as one may have, 503 where all are taken.
    pub fn take(&self, user: UserId) -> ApiResult<Turn> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, of_one) = (self.what, self.of_one);
        if taken.get(&user).is_some_and(|own| *own >= of_one) {
            let detail = format!("no more than {of_one} of a user's {what} at a time: wait until one has ended");
            return Err(ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(1));
        }
        if taken.values().sum::<usize>() >= self.in_all {
            let detail = format!("the server does as many {what} as it takes on at once: try again in a second");
            return Err(ApiError::new(ProblemKind::Busy, detail).retry_after_s(1));
        }
        *taken.entry(user).or_default() += 1;
        Ok(Turn { user, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    #[test]
    fn places_are_bounded_in_all_and_by_user_and_are_given_back() {
        let (turns, mut ids) = (Turns::new("tries", 2, 1), IdSource::new(1));
        let users: [UserId; 3] = std::array::from_fn(|_| ids.next(Timestamp::EPOCH));
        let status = |user: UserId| turns.take(user).map(drop).map_err(|error| error.problem().status);
        let first = turns.take(users[0]).expect("a place");
        assert_eq!(status(users[0]), Err(429));
        let second = turns.take(users[1]).expect("a place");
        assert_eq!(status(users[2]), Err(503));
        drop(first);
        assert_eq!((status(users[0]), status(users[2])), (Ok(()), Ok(())));
        drop(second);
        assert!(turns.taken.lock().expect("whole").is_empty());
    }
}
