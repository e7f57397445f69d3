//! What may wait at the same time, of one user and of all: counted before a request joins a line, given back when it
//! leaves it, however it leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::limits::FrontLimits;

/// Requests that wait, of all users.
#[derive(Debug)]
pub(crate) struct Total {
    limits: FrontLimits,
    held: AtomicU32,
}

/// Requests that wait, of one user: shared by the user's services.
#[derive(Debug)]
pub(crate) struct Budget {
    total: Arc<Total>,
    held: AtomicU32,
    bytes: AtomicU64,
}

/// One request's part, given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Total {
    pub fn new(limits: FrontLimits) -> Arc<Self> {
        Arc::new(Self { limits, held: AtomicU32::new(0) })
    }
}

impl Budget {
    pub fn new(total: &Arc<Total>) -> Arc<Self> {
        Arc::new(Self { total: Arc::clone(total), held: AtomicU32::new(0), bytes: AtomicU64::new(0) })
    }

    /// Room for one more request with a head of so many bytes, if there is any.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let limits = &self.total.limits;
        // Made first, so that what has been counted is given back on every way out.
        let share = Share { budget: Arc::clone(self), bytes };
        let total = self.total.held.fetch_add(1, Ordering::Relaxed);
        let own = self.held.fetch_add(1, Ordering::Relaxed);
        let own_bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // No user takes more than what is left to the others: two users cannot take the room of all.
        let free = limits.held.saturating_sub(total);
        let fits =
            own < free.min(limits.held_per_owner) && own_bytes.saturating_add(bytes) <= limits.held_bytes_per_owner;
        fits.then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.total.held.fetch_sub(1, Ordering::Relaxed);
        self.budget.held.fetch_sub(1, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_the_room_of_all_and_gets_back_what_it_gives_back() {
        let total = Total::new(FrontLimits { held: 3, held_per_owner: 2, held_bytes_per_owner: 100 });
        let (ann, ben) = (Budget::new(&total), Budget::new(&total));
        let first = ann.take(10).expect("room for one");
        let second = ann.take(10).expect("room for two");
        assert!(ann.take(10).is_none(), "her own bound is two");
        let other = ben.take(10).expect("his is not touched");
        assert!(ben.take(10).is_none(), "the bound of all is three");
        drop((first, second, other));
        assert!(ben.take(101).is_none(), "too many bytes");
        assert!(ben.take(100).is_some());
    }

    #[test]
    fn two_users_who_take_all_they_can_leave_room_for_a_third() {
        let total = Total::new(FrontLimits { held: 100, held_per_owner: 50, held_bytes_per_owner: 100 });
        let held = |budget: &Arc<Budget>| std::iter::from_fn(|| budget.take(1)).collect::<Vec<_>>();
        let [one, another, third] = [(); 3].map(|()| held(&Budget::new(&total)));
        assert_eq!([one.len(), another.len(), third.len()], [50, 25, 13]);
    }
}
