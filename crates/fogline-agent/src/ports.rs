//! Which port of the machine each replica gets.
//!
//! Decides from what this agent has given out and from what it was told is taken; never opens a socket itself: whoever
//! starts a replica tries the port first and says when somebody else has it. Invariant: a port belongs to at most one
//! replica of this agent. Tests: below.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use fogline_core::id::ReplicaId;

/// How long a port that somebody else was found on is not tried again.
const AVOID_US: u64 = 60_000_000;

/// The golden part of a turn, in parts of 2⁶⁴: any number of such turns leaves them spread over the circle.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The ports that replicas may get, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A range that holds no port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{first}-{last} is no range of ports: give a first port from 1 and a last one that is not smaller")]
pub struct BadPortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// A range of at least one port.
    ///
    /// # Errors
    /// When `last` is smaller than `first`, or `first` is 0.
    pub const fn new(first: u16, last: u16) -> Result<Self, BadPortRange> {
        if first == 0 || last < first { Err(BadPortRange { first, last }) } else { Ok(Self { first, last }) }
    }

    /// Its ports, from the first to the last.
    #[must_use]
    pub const fn bounds(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl Default for PortRange {
    /// 20000 to 29999: below the range from which Linux takes ports for outgoing connections.
    fn default() -> Self {
        Self { first: 20_000, last: 29_999 }
    }
}

impl std::fmt::Display for PortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// What was given out.
#[derive(Debug)]
pub struct Ports {
    range: PortRange,
    owners: BTreeMap<u16, ReplicaId>,
    avoided_until_us: BTreeMap<u16, u64>,
    next: u16,
}

impl Ports {
    /// Nothing given out yet. What an earlier agent gave out last is not known, so each of them, counted from 1, begins
    /// elsewhere in the range: far from where the ones before it began.
    #[must_use]
    pub fn new(range: PortRange, incarnation: u64) -> Self {
        let turned = u128::from(incarnation.saturating_sub(1).wrapping_mul(GOLDEN));
        let ports = u128::from(range.last - range.first) + 1;
        let next = range.first + u16::try_from((turned * ports) >> 64).unwrap_or(0);
        Self { range, owners: BTreeMap::new(), avoided_until_us: BTreeMap::new(), next }
    }

    /// The range that ports are picked from.
    #[must_use]
    pub const fn range(&self) -> PortRange {
        self.range
    }

    /// A port that nobody has. Goes round the range, so that a port that has just become free is the last to be given
    /// again: callers of a replica that is gone should not reach another one.
    pub fn pick(&mut self, replica_id: ReplicaId, now_us: u64) -> Option<u16> {
        self.avoided_until_us.retain(|_, until_us| *until_us > now_us);
        let port = (self.next..=self.range.last)
            .chain(self.range.first..self.next)
            .find(|port| !self.owners.contains_key(port) && !self.avoided_until_us.contains_key(port))?;
        self.owners.insert(port, replica_id);
        self.next = if port == self.range.last { self.range.first } else { port + 1 };
        Some(port)
    }

    /// Takes a certain port, inside the range or not.
    ///
    /// # Errors
    /// The replica that has it.
    pub fn claim(&mut self, port: u16, replica_id: ReplicaId) -> Result<(), ReplicaId> {
        match self.owners.get(&port) {
            Some(owner) if *owner != replica_id => Err(*owner),
            Some(_) => Ok(()),
            None => {
                self.owners.insert(port, replica_id);
                Ok(())
            }
        }
    }

    /// Gives a port back. Does nothing when it is another replica's.
    pub fn release(&mut self, port: u16, replica_id: ReplicaId) {
        if self.owners.get(&port) == Some(&replica_id) {
            self.owners.remove(&port);
        }
    }

    /// Remembers that a program outside of Fogline has the port.
    pub fn avoid(&mut self, port: u16, now_us: u64) {
        self.avoided_until_us.insert(port, now_us.saturating_add(AVOID_US));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    fn ids() -> impl FnMut() -> ReplicaId {
        let mut ids = IdSource::new(1);
        move || ids.next(Timestamp::from_micros(1_000_000))
    }

    #[test]
    fn every_port_once_then_none_then_the_one_that_was_given_back() {
        let mut id = ids();
        let mut ports = Ports::new(PortRange::new(100, 103).expect("a range"), 1);
        let owners: Vec<ReplicaId> = (0..4).map(|_| id()).collect();
        let given: Vec<u16> = owners.iter().filter_map(|owner| ports.pick(*owner, 0)).collect();
        assert_eq!(given, [100, 101, 102, 103]);
        assert_eq!(ports.pick(id(), 0), None);
        ports.release(101, owners[0]);
        assert_eq!(ports.pick(id(), 0), None, "only its owner gives a port back");
        ports.release(101, owners[1]);
        assert_eq!(ports.pick(id(), 0), Some(101));
    }

    #[test]
    fn a_port_that_became_free_is_the_last_to_be_given_again() {
        let mut id = ids();
        let mut ports = Ports::new(PortRange::new(100, 102).expect("a range"), 1);
        let first = id();
        assert_eq!(ports.pick(first, 0), Some(100));
        ports.release(100, first);
        assert_eq!([ports.pick(id(), 0), ports.pick(id(), 0), ports.pick(id(), 0)], [Some(101), Some(102), Some(100)]);
    }

    #[test]
    fn a_later_agent_does_not_begin_where_an_earlier_one_did() {
        let mut id = ids();
        let mut first = |incarnation: u64| {
            let mut ports = Ports::new(PortRange::default(), incarnation);
            (0..300).filter_map(|_| ports.pick(id(), 0)).collect::<Vec<u16>>()
        };
        let given: BTreeSet<u16> = (1..=20).flat_map(&mut first).collect();
        assert_eq!(given.len(), 20 * 300, "none of twenty gives out what another one did");
        assert!((20_000..=29_999).contains(&first(u64::MAX)[0]));
    }

    #[test]
    fn a_port_of_somebody_else_is_left_alone_for_a_while() {
        let mut id = ids();
        let mut ports = Ports::new(PortRange::new(100, 101).expect("a range"), 1);
        ports.avoid(100, 5);
        let replica = id();
        assert_eq!(ports.pick(replica, 5), Some(101));
        assert_eq!(ports.pick(id(), 5), None);
        assert_eq!(ports.pick(id(), 5 + AVOID_US), Some(100));
    }

    #[test]
    fn a_fixed_port_has_one_owner() {
        let mut id = ids();
        let (one, other) = (id(), id());
        let mut ports = Ports::new(PortRange::default(), 1);
        assert_eq!(ports.claim(8_080, one), Ok(()));
        assert_eq!(ports.claim(8_080, one), Ok(()));
        assert_eq!(ports.claim(8_080, other), Err(one));
    }

    #[test]
    fn ranges_that_hold_nothing_are_refused() {
        assert!(PortRange::new(0, 10).is_err());
        assert!(PortRange::new(10, 9).is_err());
        assert!(PortRange::new(10, 10).is_ok());
    }
}
