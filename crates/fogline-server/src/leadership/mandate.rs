//! The right of one take-over: whose it is, and until when it may be acted on.
//!
//! Counted by the time since boot, from before the renewal was sent, and less a margin: so it is over here before the
//! database lets anybody else have it. Invariant: whoever acts asks [`Mandate::holds`] at the moment of acting. A timer may
//! fire late (the process was stopped, the machine slept, the scheduler was busy), the clock does not. Once it is over it
//! never comes back. Tests: below, `tests/it/leadership`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fogline_core::assignment::Authority;
use fogline_store::Lease;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// The share of the lease that is given up, for what the clocks of two machines differ in rate and for what is between
/// asking and acting.
const MARGIN_DIVISOR: u32 = 6;

/// An idle leader renews when this share of the lease has passed: two renewals may fail before it matters.
const RENEWAL_DIVISOR: u32 = 3;

/// No end.
const FOR_EVER: u64 = u64::MAX;

/// One take-over, for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Mandate {
    cluster_id: String,
    epoch: u64,
    holder: String,
    clock: Clock,
    /// None: for as long as the lock on the data directory is held, which is as long as the process lives.
    lease: Option<Duration>,
    /// By the time since boot, in microseconds.
    until_us: AtomicU64,
    sent_us: AtomicU64,
    over: CancellationToken,
}

impl Mandate {
    /// What a take-over gave that was sent at `sent`, by the time since boot.
    pub(crate) fn new(lease: &Lease, clock: Clock, sent: Duration) -> Self {
        let mandate = Self {
            cluster_id: lease.cluster_id.clone(),
            epoch: lease.epoch,
            holder: lease.holder.clone(),
            clock,
            lease: lease.lasts,
            until_us: AtomicU64::new(if lease.lasts.is_some() { 0 } else { FOR_EVER }),
            sent_us: AtomicU64::new(0),
            over: CancellationToken::new(),
        };
        mandate.renewed(sent);
        mandate
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether others may take over when this server says nothing.
    pub(crate) const fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// The authority of what follows from a commit.
    pub(crate) fn authority(&self, revision: u64) -> Authority {
        Authority {
            cluster_id: self.cluster_id.clone(),
            epoch: self.epoch,
            holder: self.holder.clone(),
            generation: revision,
        }
    }

    /// The time that renewals are counted by: to be taken before one is sent.
    pub(crate) fn now(&self) -> Duration {
        self.clock.since_boot()
    }

    /// The database has taken what was sent at `sent`.
    pub(crate) fn renewed(&self, sent: Duration) {
        let Some(lease) = self.lease else { return };
        self.sent_us.fetch_max(micros(sent), Ordering::SeqCst);
        self.until_us.fetch_max(micros(sent + lease - lease / MARGIN_DIVISOR), Ordering::SeqCst);
    }

    /// Whether it may be acted on now.
    pub(crate) fn holds(&self) -> bool {
        !self.over.is_cancelled() && micros(self.now()) < self.until_us.load(Ordering::SeqCst)
    }

    /// How long until it should be renewed; none where it need not be.
    pub(crate) fn renewal_in(&self) -> Option<Duration> {
        let lease = self.lease?;
        let due = Duration::from_micros(self.sent_us.load(Ordering::SeqCst)) + lease / RENEWAL_DIVISOR;
        Some(due.saturating_sub(self.now()))
    }

    /// Gives it up, for good.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    /// Waits until it is over, and sees to it that it stays so. May return late; [`Self::holds`] is never late.
    pub(crate) async fn over(&self) {
        while self.holds() {
            let until_us = self.until_us.load(Ordering::SeqCst);
            let left = Duration::from_micros(until_us).saturating_sub(self.now());
            if until_us == FOR_EVER {
                self.over.cancelled().await;
            } else {
                // Rounded up by tokio to a millisecond, so this does not spin. It may have been renewed by then.
                let _ = tokio::time::timeout(left, self.over.cancelled()).await;
            }
        }
        self.over.cancel();
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use fogline_core::time::Timestamp;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000_000);

    /// A mandate of cluster `ours` in epoch 5 of holder `me`.
    pub(crate) fn mandate(clock: &Clock, lasts: Option<Duration>) -> Mandate {
        let lease = Lease { cluster_id: "ours".to_owned(), epoch: 5, holder: "me".to_owned(), revision: 1, lasts };
        Mandate::new(&lease, clock.clone(), clock.since_boot())
    }

    #[test]
    fn it_ends_a_margin_before_the_lease_counted_from_before_the_renewal_was_sent() {
        let clock = Clock::by_hand(START);
        let mandate = mandate(&clock, Some(Duration::from_secs(6)));
        clock.advance(Duration::from_millis(4_999));
        assert!(mandate.holds());
        let sent = mandate.now();
        // The answer is three seconds on its way.
        clock.advance(Duration::from_secs(3));
        assert!(!mandate.holds(), "nobody has answered yet");
        mandate.renewed(sent);
        assert!(mandate.holds());
        clock.advance(Duration::from_millis(1_999));
        assert!(mandate.holds());
        clock.advance(Duration::from_millis(1));
        assert!(!mandate.holds());
    }

    #[test]
    fn an_idle_leader_renews_when_a_third_has_passed() {
        let clock = Clock::by_hand(START);
        let mandate = mandate(&clock, Some(Duration::from_secs(6)));
        assert_eq!(mandate.renewal_in(), Some(Duration::from_secs(2)));
        clock.advance(Duration::from_secs(5));
        assert_eq!(mandate.renewal_in(), Some(Duration::ZERO));
        mandate.renewed(mandate.now());
        assert_eq!(mandate.renewal_in(), Some(Duration::from_secs(2)));
    }

    #[tokio::test]
    async fn what_is_over_stays_over() {
        let clock = Clock::by_hand(START);
        let mandate = mandate(&clock, Some(Duration::from_secs(6)));
        clock.advance(Duration::from_secs(60));
        mandate.over().await;
        mandate.renewed(mandate.now());
        assert!(!mandate.holds(), "a late answer revives nothing");
    }

    #[tokio::test]
    async fn a_lock_needs_no_renewal_and_ends_only_by_being_given_up() {
        let clock = Clock::by_hand(START);
        let mandate = mandate(&clock, None);
        clock.advance(Duration::from_secs(3_600));
        assert!(mandate.holds() && mandate.renewal_in().is_none());
        mandate.end();
        mandate.over().await;
        assert!(!mandate.holds());
    }
}
