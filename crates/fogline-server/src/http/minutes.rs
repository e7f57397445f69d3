//! What each user has spent of something within a minute.
//!
//! Pure: the time comes in. A user's minute begins with what is spent first. Invariant: holds at most [`MAX_USERS`] users.
//! Tests: below, and of what is spent where it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::id::UserId;
use fogline_core::time::Timestamp;

const MAX_USERS: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Minute {
    began: Timestamp,
    spent: usize,
}

/// The minutes of all users.
#[derive(Default, Debug)]
pub struct Minutes(Mutex<HashMap<UserId, Minute>>);

impl Minutes {
    /// For how many seconds a user has to wait before so much is within `most`; nothing where it is already.
    pub fn wait_s(&self, user: UserId, amount: usize, most: usize, now: Timestamp) -> Option<u64> {
        self.lock().get(&user)?.wait_s(amount, most, now)
    }

    /// Spends so much, if that is within `most`.
    ///
    /// # Errors
    /// For how many seconds the user has to wait; nothing is spent then.
    pub fn spend(&self, user: UserId, amount: usize, most: usize, now: Timestamp) -> Result<(), u64> {
        let mut minutes = self.lock();
        if minutes.len() >= MAX_USERS && !minutes.contains_key(&user) {
            minutes.retain(|_, minute| now.since(minute.began) < MINUTE);
            // All are of this minute: letting each begin anew is better than growing.
            if minutes.len() >= MAX_USERS {
                minutes.clear();
            }
        }
        let new = Minute { began: now, spent: 0 };
        let minute = minutes.entry(user).or_insert(new);
        if now.since(minute.began) >= MINUTE {
            *minute = new;
        }
        if let Some(wait_s) = minute.wait_s(amount, most, now) {
            return Err(wait_s);
        }
        minute.spent = minute.spent.saturating_add(amount);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Minute>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minute {
    fn wait_s(&self, amount: usize, most: usize, now: Timestamp) -> Option<u64> {
        let left = MINUTE.saturating_sub(now.since(self.began));
        let over = !left.is_zero() && self.spent.saturating_add(amount) > most;
        over.then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;

    #[test]
    fn memory_is_bounded() {
        let (minutes, mut ids) = (Minutes::default(), IdSource::new(1));
        for _ in 0..MAX_USERS * 3 {
            minutes.spend(ids.next(Timestamp::EPOCH), 1, 1, Timestamp::EPOCH).expect("the first");
        }
        assert!(minutes.lock().len() <= MAX_USERS);
    }

    #[test]
    fn what_does_not_fit_is_not_spent() {
        let (minutes, mut ids) = (Minutes::default(), IdSource::new(1));
        let user = ids.next(Timestamp::EPOCH);
        let later = Timestamp::EPOCH.plus(Duration::from_millis(59_500));
        assert_eq!(minutes.spend(user, 6, 10, Timestamp::EPOCH), Ok(()));
        assert_eq!(minutes.spend(user, 5, 10, later), Err(1));
        assert_eq!((minutes.wait_s(user, 5, 10, later), minutes.wait_s(user, 4, 10, later)), (Some(1), None));
        assert_eq!(minutes.spend(user, 4, 10, later), Ok(()));
        assert_eq!(minutes.wait_s(user, 1, 10, Timestamp::EPOCH.plus(MINUTE)), None);
    }
}
