//! Identifiers: UUIDv7, one type for each thing, so that a node's id cannot be passed for a replica's.
//!
//! Must never read a clock or the system's entropy: [`IdSource`] is given its seed and the time, so a simulation that
//! is started twice with the same seed makes the same ids. Invariant: one source never gives the same id twice, and its
//! ids sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an id that already exists, for example one read from a row.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl NewId for $name {
            fn from_new(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )+};
}

ids! {
    /// A person or a program that may log in.
    UserId,
    /// A machine that runs replicas.
    NodeId,
    /// A service that somebody asked for.
    DeploymentId,
    /// One running unit of a deployment.
    ReplicaId,
    /// A line of a deployment's status history.
    HistoryId,
    /// A line of the audit log.
    AuditId,
    /// A scaling policy.
    PolicyId,
    /// A scaling decision that is kept.
    DecisionId,
    /// A login, which lives as long as its refresh token.
    SessionId,
}

/// The id that this is the text of, in lower or upper case. Only what is written as ids are, with its hyphens: 32
/// hexadecimal digits are a name like any other.
#[must_use]
pub fn canonical_id<T: FromStr + fmt::Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|id| id.to_string().eq_ignore_ascii_case(text))
}

/// An id that [`IdSource`] can make.
pub trait NewId {
    /// Wraps a UUID that was never used before.
    fn from_new(uuid: Uuid) -> Self;
}

/// Makes UUIDv7s (RFC 9562, section 5.7): 48 bits of milliseconds, a counter that keeps the ids of one millisecond in
/// order, and pseudo-random bits from the seed.
#[derive(Clone, Debug)]
pub struct IdSource {
    state: u64,
    last_ms: u64,
    counter: u16,
}

/// `rand_a` of RFC 9562 is 12 bits wide; the counter starts in its lower half, so that it has room to grow.
const COUNTER_START_MASK: u16 = 0x07ff;
const COUNTER_MAX: u16 = 0x0fff;

impl IdSource {
    /// A source whose random bits follow from `seed`. In production the seed comes from the system's entropy.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, last_ms: 0, counter: 0 }
    }

    /// The next id. A clock that went back does not bring an old id back: the last millisecond is kept instead.
    pub fn next<T: NewId>(&mut self, now: Timestamp) -> T {
        let now_ms = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.counter = (self.random() as u16) & COUNTER_START_MASK;
        } else if self.counter == COUNTER_MAX {
            self.last_ms += 1;
            self.counter = (self.random() as u16) & COUNTER_START_MASK;
        } else {
            self.counter += 1;
        }
        let mut tail = [0u8; 10];
        tail[..2].copy_from_slice(&self.counter.to_be_bytes());
        tail[2..].copy_from_slice(&self.random().to_be_bytes());
        T::from_new(uuid::Builder::from_unix_timestamp_millis(self.last_ms, &tail).into_uuid())
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014): small, and good enough where nobody may gain by guessing.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_even_when_the_clock_goes_back() {
        let mut ids = IdSource::new(7);
        let mut made: Vec<ReplicaId> = Vec::new();
        for ms in [5, 5, 5, 9, 3, 9, 10] {
            made.push(ids.next(Timestamp::from_micros(ms * 1_000)));
        }
        for _ in 0..10_000 {
            made.push(ids.next(Timestamp::from_micros(10_000)));
        }
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| id.as_uuid().get_version_num() == 7));
    }

    #[test]
    fn the_same_seed_makes_the_same_ids() {
        let at = Timestamp::from_micros(1_000_000);
        let (mut one, mut other) = (IdSource::new(1), IdSource::new(1));
        assert_eq!(one.next::<NodeId>(at), other.next::<NodeId>(at));
        assert_ne!(IdSource::new(2).next::<NodeId>(at), IdSource::new(3).next::<NodeId>(at));
    }
}
