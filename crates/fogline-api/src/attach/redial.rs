//! Which server is called next, and when.
//!
//! Decides without a clock and without randomness: both are arguments. Invariant: no server is called twice without a
//! pause, except where one names another as the leader, and that at most [`HOPS`] times. Pauses are random within a
//! doubling bound, so that a thousand that lose their server do not come back at once. Tests: below.

/// Bound of the first pause.
const FIRST_BOUND_US: u64 = 500_000;
/// Bound of the longest pause: with it an agent is back well before its nodes count as lost.
const LONGEST_BOUND_US: u64 = 5_000_000;
/// Shortest pause.
const SHORTEST_US: u64 = 50_000;
/// Being attached for so long makes the next pause a first one again.
const STABLE_AFTER_US: u64 = 5_000_000;
/// How often in a row a server may send a caller to another one without a pause.
const HOPS: u32 = 3;

/// Where to call.
#[derive(Clone, Debug)]
pub struct Redial {
    servers: Vec<String>,
    next: usize,
    failures: u32,
    hops: u32,
    leader: Option<String>,
}

impl Redial {
    /// One that begins with the first of `servers`, each `address:port`.
    #[must_use]
    pub const fn new(servers: Vec<String>) -> Self {
        Self { servers, next: 0, failures: 0, hops: 0, leader: None }
    }

    /// The server to call now: the one that was said to lead, else the next of the list.
    pub fn target(&mut self) -> Option<String> {
        if let Some(leader) = self.leader.take() {
            return Some(leader);
        }
        let server = self.servers.get(self.next % self.servers.len().max(1))?;
        self.next = self.next.wrapping_add(1);
        Some(server.clone())
    }

    /// A server says who leads.
    pub fn follow(&mut self, leader: Option<String>) {
        self.leader = leader;
    }

    /// The call is over after so long of being attached: how long to wait before the next.
    pub fn pause_us(&mut self, attached_us: Option<u64>, random: u64) -> u64 {
        if attached_us.is_some_and(|attached_us| attached_us >= STABLE_AFTER_US) {
            self.failures = 0;
            self.hops = 0;
        }
        if self.leader.is_some() && self.hops < HOPS {
            self.hops += 1;
            return 0;
        }
        self.hops = 0;
        let bound_us = FIRST_BOUND_US.checked_shl(self.failures.min(16)).unwrap_or(LONGEST_BOUND_US);
        self.failures = self.failures.saturating_add(1);
        SHORTEST_US + random % (bound_us.min(LONGEST_BOUND_US) - SHORTEST_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redial() -> Redial {
        Redial::new(vec!["a".to_owned(), "b".to_owned()])
    }

    #[test]
    fn servers_take_turns_and_a_named_leader_goes_first() {
        let mut redial = redial();
        assert_eq!(redial.target().as_deref(), Some("a"));
        assert_eq!(redial.target().as_deref(), Some("b"));
        redial.follow(Some("c".to_owned()));
        assert_eq!(redial.target().as_deref(), Some("c"));
        assert_eq!(redial.target().as_deref(), Some("a"));
        assert_eq!(Redial::new(Vec::new()).target(), None);
    }

    #[test]
    fn pauses_are_spread_below_a_bound_that_doubles_and_start_anew_after_a_stable_time() {
        let mut redial = redial();
        for bound_us in [500_000, 1_000_000, 2_000_000, 4_000_000, 5_000_000, 5_000_000] {
            // 9973 is a prime, so these fall all over the range.
            let pauses = (0..1_000).map(|number| redial.clone().pause_us(None, number * 9_973));
            let (low, high) = pauses.fold((u64::MAX, 0), |(low, high), one| (low.min(one), high.max(one)));
            assert!(low >= SHORTEST_US && high < bound_us && high > bound_us / 2, "{low} to {high}, bound {bound_us}");
            redial.pause_us(None, 0);
        }
        let pause_us = redial.clone().pause_us(Some(STABLE_AFTER_US - 1), u64::MAX);
        assert!(pause_us < LONGEST_BOUND_US);
        assert!(redial.pause_us(Some(STABLE_AFTER_US), 4_999_999) < FIRST_BOUND_US);
    }

    #[test]
    fn a_named_leader_that_is_dead_costs_one_call_a_round() {
        let mut redial = redial();
        let mut called = Vec::new();
        // The standby `b` names the dead `a` until it leads itself.
        for _ in 0..6 {
            let server = redial.target().expect("a server");
            redial.follow((server == "b").then(|| "a".to_owned()));
            let pause_us = redial.pause_us(None, 4_999_999);
            called.push((server, pause_us == 0));
        }
        let called: Vec<(&str, bool)> = called.iter().map(|(server, at_once)| (server.as_str(), *at_once)).collect();
        assert_eq!(called, [("a", false), ("b", true), ("a", false), ("a", false), ("b", true), ("a", false)]);
    }

    #[test]
    fn two_servers_that_name_each_other_are_not_called_without_end() {
        let mut redial = redial();
        let mut pauses = Vec::new();
        for _ in 0..=HOPS {
            redial.follow(Some("b".to_owned()));
            pauses.push(redial.pause_us(None, 0));
            redial.target();
        }
        assert_eq!(pauses, [0, 0, 0, SHORTEST_US]);
    }
}
