//! Which replica gets the next request: of two picked at random, the one with fewer open requests.
//!
//! A replica that has just become ready takes part only in a share of the picks that grows with its age, unless nobody else
//! could. Must never pick one that leaves, is full or is ejected. Invariant: where any replica may take a request, one is
//! picked. Tests: `tests/it/front/balancing.rs`.

pub(crate) mod ejection;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::random;
use crate::service::{Service, Upstream, View};

/// The least share of picks that a new replica takes part in, in percent, so that it warms up at all.
const LEAST_SHARE_PERCENT: u64 = 10;

/// What a pick goes by.
struct Pick<'a> {
    view: &'a View,
    now_us: u64,
    most_open: u32,
    /// Keys of those that have just failed this request.
    tried: &'a [u64],
    /// Whether ejection counts for nothing, because it has hit all that are left.
    spare: bool,
}

impl Service {
    /// Takes a slot of the replica that is to get the next request; nothing where none has one.
    pub(crate) fn take_slot(&self, view: &View, tried: &[u64], now_us: u64) -> Option<Arc<Upstream>> {
        let most_open = view.told.traffic.max_open_per_replica;
        let mut pick = Pick { view, now_us, most_open, tried, spare: false };
        if let Some(picked) = pick.of_two().or_else(|| pick.of_all()) {
            return Some(Arc::clone(picked));
        }
        // Those that were good when the others were ejected may have left meanwhile.
        pick.spare = view.ready.iter().all(|upstream| upstream.is_ejected(pick.now_us));
        let picked = pick.spare.then(|| pick.of_all())??;
        Some(Arc::clone(picked))
    }
}

impl<'a> Pick<'a> {
    fn of_two(&self) -> Option<&'a Arc<Upstream>> {
        let ready = &self.view.ready;
        let one = ready.get(random::below(ready.len()))?;
        let other = match ready.len() {
            1 => one,
            2 if Arc::ptr_eq(one, &ready[0]) => &ready[1],
            2 => &ready[0],
            many => &ready[random::below(many)],
        };
        let (first, second) = if self.better(other, one) { (other, one) } else { (one, other) };
        [first, second].into_iter().find(|upstream| self.may(upstream) && upstream.take(self.most_open))
    }

    /// For when both that were picked are out of the question: the best of all that remain.
    fn of_all(&self) -> Option<&'a Arc<Upstream>> {
        let may = self.view.ready.iter().filter(|upstream| self.may(upstream));
        let best = may.min_by_key(|upstream| upstream.slots())?;
        best.take(self.most_open).then_some(best)
    }

    fn may(&self, upstream: &Upstream) -> bool {
        (self.spare || !upstream.is_ejected(self.now_us))
            && !self.tried.contains(&upstream.key)
            && upstream.slots() < self.most_open
    }

    fn better(&self, one: &Upstream, other: &Upstream) -> bool {
        match (self.takes_part(one), self.takes_part(other)) {
            (true, false) => true,
            (false, true) => false,
            _ => one.slots() < other.slots(),
        }
    }

    /// Whether it takes part in this pick: always, once it is as old as `slow_start_s`.
    fn takes_part(&self, upstream: &Upstream) -> bool {
        let ready_us = upstream.load.ready_us.load(Ordering::Relaxed);
        let slow_us = u64::from(self.view.told.traffic.slow_start_s) * 1_000_000;
        let age_us = self.now_us.saturating_sub(ready_us);
        if ready_us == 0 || age_us >= slow_us {
            return true;
        }
        let share_percent = (age_us * 100 / slow_us).max(LEAST_SHARE_PERCENT);
        (random::below(100) as u64) < share_percent
    }
}
