//! What one proxy keeps at most for requests that wait, over all deployments, and how long its clients may take.

use std::time::Duration;

/// The bounds over all deployments. Each deployment has its own beside them (`traffic.hold`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrontLimits {
    /// Requests that wait, of all users.
    pub held: u32,
    /// Requests that wait, of one user: never more than what it leaves to the others of `held`.
    pub held_per_owner: u32,
    /// Bytes of heads of requests that wait, of one user.
    pub held_bytes_per_owner: u64,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self { held: 10_000, held_per_owner: 5_000, held_bytes_per_owner: 64 << 20 }
    }
}

/// How long clients may take before their connections are ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte, and for the first byte of a connection. Looked at four times a second,
    /// or four times in this time where that is more often: by so much it may become longer.
    pub head: Duration,
    /// Between two requests.
    pub rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), rest: Duration::from_secs(75) }
    }
}
