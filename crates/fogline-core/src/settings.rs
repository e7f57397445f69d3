//! The numbers that an operator may change, as core sees them.

use std::time::Duration;

use crate::record::Tier;

/// What one user of a tier may have; nothing means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Deployments that are not deleted.
    pub deployments: Option<u32>,
    /// Replicas asked for, over all of them.
    pub replicas: Option<u32>,
    /// Scaling policies.
    pub policies: Option<u32>,
}

/// Settings of the deciding part. Changed only at a start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Quota of each tier. Administrators have none.
    pub free: Quota,
    #[expect(missing_docs, reason = "as `free`")]
    pub pro: Quota,
    #[expect(missing_docs, reason = "as `free`")]
    pub enterprise: Quota,
    /// Silence after which a node counts as lost. 15 s is the budget for noticing, so the default leaves room to act.
    pub node_timeout: Duration,
    /// Age after which a node's load says nothing any more and counts as 50 %: three heartbeats.
    pub load_max_age: Duration,
    /// How long a replica that failed on a node makes that node the last choice for its deployment.
    pub failure_memory: Duration,
    /// First pause before a failed replica is replaced; doubles with each failure in a row.
    pub replace_backoff: Duration,
    /// Longest such pause.
    pub replace_backoff_max: Duration,
    /// How often requests may wake deployments of one owner within a minute. Each wake starts replicas, and whoever knows
    /// a host may send requests.
    pub wakes_per_minute: u32,
    /// How long a new leader waits for proxies to find it before it believes that there are none. 5 s is enough where a
    /// server only ever follows itself; one that takes over has to be looked for.
    pub proxy_arrival: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            free: Quota { deployments: Some(3), replicas: Some(10), policies: Some(1) },
            pro: Quota { deployments: Some(20), replicas: Some(100), policies: Some(20) },
            enterprise: Quota { deployments: None, replicas: None, policies: None },
            node_timeout: Duration::from_secs(12),
            load_max_age: Duration::from_secs(9),
            failure_memory: Duration::from_secs(600),
            replace_backoff: Duration::from_secs(1),
            replace_backoff_max: Duration::from_secs(300),
            wakes_per_minute: 60,
            proxy_arrival: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// The quota of a tier.
    #[must_use]
    pub const fn quota(&self, tier: Tier) -> Quota {
        match tier {
            Tier::Free => self.free,
            Tier::Pro => self.pro,
            Tier::Enterprise => self.enterprise,
        }
    }
}
