//! How many watch: so many of one user, and so many of all.
//!
//! Invariant: a [`Place`] gives itself back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fogline_core::id::UserId;

/// Watches of all users together.
const MAX_WATCHES: usize = 512;

/// Watches of one user.
pub(crate) const MAX_WATCHES_OF_ONE: usize = 32;

/// The counters. One for each server.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: Mutex<HashMap<UserId, usize>>,
}

/// The right to watch. Ends with its drop.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    user: UserId,
}

/// Why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// This user has as many as one may have.
    OfYours,
    /// All are taken.
    AtAll,
}

impl Places {
    /// A place for one more.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn take(self: &Arc<Self>, user: UserId) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&user).is_some_and(|count| *count >= MAX_WATCHES_OF_ONE) {
            return Err(NoPlace::OfYours);
        }
        if taken.values().sum::<usize>() >= MAX_WATCHES {
            return Err(NoPlace::AtAll);
        }
        *taken.entry(user).or_default() += 1;
        drop(taken);
        Ok(Place { places: Arc::clone(self), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> UserId {
        format!("0192f0c1-2d3e-7a4b-8c5d-{number:012}").parse().expect("an id")
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let places = Arc::new(Places::default());
        let mut mine: Vec<_> = (0..MAX_WATCHES_OF_ONE).map(|_| places.take(user(0)).expect("free")).collect();
        assert_eq!(places.take(user(0)).err(), Some(NoPlace::OfYours));
        let others: Vec<_> = (MAX_WATCHES_OF_ONE..MAX_WATCHES).map(|n| places.take(user(n)).expect("free")).collect();
        assert_eq!(places.take(user(9_999)).err(), Some(NoPlace::AtAll));
        mine.pop();
        assert!(places.take(user(0)).is_ok());
        drop((mine, others));
        assert!(places.taken.lock().expect("whole").is_empty());
    }
}
