//! The right to write: who leads, and since which take-over.

/// What a take-over gave. Every commit shows it; once somebody else has taken over, it is worth nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Names the cluster for ever; made with the first take-over of an empty database. A UUID as text.
    pub cluster_id: String,
    /// Counts the take-overs, from 1.
    pub epoch: u64,
    /// The nonce that the holder gave.
    pub holder: String,
    /// The revision that the take-over itself committed.
    pub revision: u64,
}
