//! What a simulation is to play, and how it went.

use crate::bug::Bug;
use crate::network::Network;

/// What is played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Machines, each with an agent.
    pub agents: usize,
    /// Nodes that each agent presents.
    pub nodes_per_agent: usize,
    /// People at work.
    pub people: usize,
    /// How long they work, in seconds.
    pub seconds: u64,
    /// How bad the wire is meanwhile.
    pub network: Network,
    /// Mean seconds between two faults of each of these kinds; 0 for never.
    pub server_dies_every_s: u64,
    #[expect(missing_docs, reason = "as above")]
    pub agent_dies_every_s: u64,
    #[expect(missing_docs, reason = "as above")]
    pub disk_fails_every_s: u64,
    #[expect(missing_docs, reason = "as above")]
    pub agent_disk_fills_every_s: u64,
    /// How many of a hundred processes crash within seconds.
    pub crashing_percent: u64,
    /// Agents' clocks run by up to this many parts in a thousand too fast or too slow.
    pub clock_drift_permille: u64,
    /// A mistake put in on purpose.
    pub bug: Option<Bug>,
}

/// How it went.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "counts of what the names say")]
pub struct Report {
    pub commits: u64,
    pub acknowledged: u64,
    pub starts: u64,
    pub server_deaths: u64,
    pub agent_deaths: u64,
    /// Commits that a full, broken or silent disk did not confirm.
    pub failed_commits: u64,
    /// Starts and lists that a full disk of an agent refused.
    pub refused_writes: u64,
    pub lost_messages: u64,
    pub doubled_messages: u64,
    /// A number that follows from everything that happened, in order.
    pub fingerprint: u64,
}
