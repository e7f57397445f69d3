//! Slows down those who guess: after a few failures, each further one doubles the pause.
//!
//! Pure: the time comes in. Counts by user name and by address, so that neither many guesses at one user nor one guess
//! at many is cheap. An attempt counts as failed from its start and is taken back when it succeeds: a thousand guesses
//! at once gain nothing. Invariant: holds at most [`MAX_KEYS`] of each kind. The pause of a user name is short at most,
//! because somebody else can cause it. Tests: below.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fogline_core::time::Timestamp;

/// Names and addresses that are remembered.
const MAX_KEYS: usize = 10_000;

/// Failures are forgotten after this long without another one.
const MEMORY: Duration = Duration::from_secs(3_600);

/// How one kind of key is slowed down.
#[derive(Clone, Copy)]
struct Pace {
    /// Failures that cost nothing.
    free: u32,
    /// The first pause; doubles with each further failure.
    first: Duration,
    /// The longest.
    most: Duration,
}

const BY_NAME: Pace = Pace { free: 5, first: Duration::from_secs(1), most: Duration::from_secs(60) };
const BY_ADDRESS: Pace = Pace { free: 30, first: Duration::from_secs(1), most: Duration::from_secs(900) };

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    last: Timestamp,
}

#[derive(Default)]
struct Counters {
    names: HashMap<String, Record>,
    addresses: HashMap<IpAddr, Record>,
}

/// Remembers failed attempts.
#[derive(Default)]
pub struct Throttle {
    counters: Mutex<Counters>,
}

/// An attempt that was let through and counts as failed until it is said to have succeeded.
#[must_use]
pub struct Attempt {
    name: String,
    address: Option<IpAddr>,
}

impl Throttle {
    /// Lets an attempt through, or says how long to wait.
    ///
    /// # Errors
    /// The time until another attempt makes sense.
    pub fn begin(&self, name: &str, address: Option<IpAddr>, now: Timestamp) -> Result<Attempt, Duration> {
        let attempt = Attempt { name: name.chars().take(64).collect(), address: address.map(network) };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let name_wait = wait(counters.names.get(&attempt.name), BY_NAME, now);
        let address_wait = attempt.address.and_then(|address| wait(counters.addresses.get(&address), BY_ADDRESS, now));
        if let Some(wait) = name_wait.max(address_wait) {
            return Err(wait);
        }
        count(&mut counters.names, attempt.name.clone(), now);
        if let Some(address) = attempt.address {
            count(&mut counters.addresses, address, now);
        }
        Ok(attempt)
    }

    /// The attempt was a good one: its user starts afresh, and its address has one failure less.
    pub fn succeeded(&self, attempt: Attempt) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.names.remove(&attempt.name);
        forgive(attempt.address.and_then(|address| counters.addresses.get_mut(&address)));
    }

    /// The attempt was not looked at, for a reason of the server's own: it is no failure, and no success.
    /// A pause that was over begins anew, since that cannot be told apart from a guess that came in between.
    pub fn withdrawn(&self, attempt: Attempt) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        forgive(counters.names.get_mut(&attempt.name));
        forgive(attempt.address.and_then(|address| counters.addresses.get_mut(&address)));
    }
}

fn forgive(record: Option<&mut Record>) {
    if let Some(record) = record {
        record.failures = record.failures.saturating_sub(1);
    }
}

/// What one subscriber holds: an IPv4 address, or the /64 network of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

fn wait(record: Option<&Record>, pace: Pace, now: Timestamp) -> Option<Duration> {
    let record = record?;
    let doublings = record.failures.checked_sub(pace.free)?;
    let pause = pace.first.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(pace.most);
    let left = pause.saturating_sub(now.since(record.last));
    (!left.is_zero()).then_some(left)
}

fn count<K: std::hash::Hash + Eq + Clone>(records: &mut HashMap<K, Record>, key: K, now: Timestamp) {
    if records.len() >= MAX_KEYS && !records.contains_key(&key) {
        records.retain(|_, record| now.since(record.last) < MEMORY);
        // All of them are fresh: the mildest offenders make room, so that a flood of names frees nobody who is paused.
        if records.len() >= MAX_KEYS {
            let mut ages: Vec<_> =
                records.iter().map(|(key, record)| (record.failures, record.last, key.clone())).collect();
            ages.sort_unstable_by_key(|(failures, last, _)| (*failures, *last));
            for (_, _, key) in ages.into_iter().take(MAX_KEYS / 10) {
                records.remove(&key);
            }
        }
    }
    let record = records.entry(key).or_insert(Record { failures: 0, last: now });
    if now.since(record.last) >= MEMORY {
        record.failures = 0;
    }
    record.failures = record.failures.saturating_add(1);
    record.last = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);
    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn at(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn the_pause_doubles_up_to_its_most() {
        let throttle = Throttle::default();
        let mut now = START;
        for _ in 0..5 {
            drop(throttle.begin("ann", None, now).expect("free"));
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = throttle.begin("ann", None, now).err().expect("paused");
            assert_eq!(wait, Duration::from_secs(expected));
            now = now.plus(wait);
            drop(throttle.begin("ann", None, now).expect("the pause is over"));
        }
        assert!(throttle.begin("bob", None, now).is_ok(), "another user is not paused");
    }

    #[test]
    fn a_success_starts_afresh() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            drop(throttle.begin("ann", HOME, START).expect("free"));
        }
        let attempt = throttle.begin("ann", HOME, at(1)).expect("the pause is over");
        throttle.succeeded(attempt);
        assert!(throttle.begin("ann", HOME, at(1)).is_ok());
    }

    #[test]
    fn what_was_not_looked_at_is_neither_failure_nor_success() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            drop(throttle.begin("ann", HOME, START).expect("free"));
        }
        for seconds in [60, 61, 62] {
            throttle.withdrawn(throttle.begin("ann", HOME, at(seconds)).expect("the pause is still one second"));
        }
        drop(throttle.begin("ann", HOME, at(63)).expect("still five failures"));
        let wait = throttle.begin("ann", HOME, at(63)).err().expect("the five were not forgotten");
        assert_eq!(wait, Duration::from_secs(2));
    }

    #[test]
    fn guesses_at_once_count_before_they_are_answered() {
        let throttle = Throttle::default();
        let let_through = (0..1_000).filter(|_| throttle.begin("ann", None, START).is_ok()).count();
        assert_eq!(let_through, 5);
    }

    #[test]
    fn one_address_cannot_try_every_user() {
        let throttle = Throttle::default();
        let let_through = (0..1_000).filter(|n| throttle.begin(&format!("user{n}"), HOME, START).is_ok()).count();
        assert_eq!(let_through, 30);
        let neighbour = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));
        assert!(throttle.begin("ann", neighbour, START).is_ok());
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let v6 = |host: u16| Some(IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host)));
        let throttle = Throttle::default();
        let let_through = (0..100).filter(|n| throttle.begin(&format!("u{n}"), v6(*n), START).is_ok()).count();
        assert_eq!(let_through, 30);
    }

    #[test]
    fn memory_is_bounded_and_a_flood_frees_nobody() {
        let throttle = Throttle::default();
        for _ in 0..6 {
            let _ = throttle.begin("ann", None, START);
        }
        for n in 0..3 * MAX_KEYS {
            let _ = throttle.begin(&format!("user{n}"), None, START);
        }
        assert!(throttle.counters.lock().expect("whole").names.len() <= MAX_KEYS);
        assert!(throttle.begin("ann", None, START).is_err());
    }
}
