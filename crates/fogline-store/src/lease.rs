//! The right to write: who leads, and since which take-over.

use std::time::Duration;

/// Who wants to lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// A nonce: it must differ with each take-over.
    pub holder: String,
    /// Where the other servers reach this one for people. Empty where it is never asked for.
    pub http_address: String,
    /// Where agents reach this one. Empty where it is never asked for.
    pub agent_address: String,
    /// How long the right holds without a commit, by the database's clock. Of no effect where the lock of the data
    /// directory is the right.
    pub lease: Duration,
    /// The highest epoch that the candidate has heard of: the one it gets is higher. 0 where it has heard of none.
    pub known_epoch: u64,
}

impl Candidate {
    /// A candidate whom nobody has to reach.
    #[must_use]
    pub fn new(holder: impl Into<String>, lease: Duration) -> Self {
        let (http_address, agent_address) = (String::new(), String::new());
        Self { holder: holder.into(), http_address, agent_address, lease, known_epoch: 0 }
    }
}

/// What became of a take-over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TakeOver {
    /// The candidate leads.
    Won(Lease),
    /// Somebody else does, and their lease is not over.
    Held(Incumbent),
}

impl TakeOver {
    /// The lease, where it was won.
    #[must_use]
    pub fn won(self) -> Option<Lease> {
        match self {
            Self::Won(lease) => Some(lease),
            Self::Held(_) => None,
        }
    }
}

/// What a take-over gave. Every commit shows it; once somebody else has taken over, it is worth nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Names the cluster for ever; made with the first take-over of an empty database. A UUID as text.
    pub cluster_id: String,
    /// Counts the take-overs, from 1. On PostgreSQL its upper half counts the promotions of copies.
    pub epoch: u64,
    /// The nonce that the holder gave.
    pub holder: String,
    /// The revision that the take-over itself committed.
    pub revision: u64,
    /// How long it holds from the last commit on; nothing where it holds until the store is closed.
    pub lasts: Option<Duration>,
}

/// Who has taken over last, and whether anybody else may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incumbent {
    /// As in [`Lease`].
    pub epoch: u64,
    /// As in [`Lease`].
    pub holder: String,
    /// As in [`Candidate`].
    pub http_address: String,
    /// As in [`Candidate`].
    pub agent_address: String,
    /// The last commit.
    pub revision: u64,
    /// How much is left of the lease, by the database's clock. Zero: it is over, was released, or never ran.
    pub expires_in: Duration,
}

/// Whether the servers of a cluster have the same keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeysPinned {
    /// The given fingerprint is the cluster's, perhaps since just now.
    Same,
    /// The cluster has another one, and keeps it.
    Other,
}
