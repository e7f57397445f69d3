//! The states of a deployment and of a replica, and which may follow which.
//!
//! Invariant: a replica only moves forward; a new start is a new replica. Tables of every pair are tested below.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every state, in the order of a life.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in rows and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, UnknownState> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownState(text.to_owned())),
                }
            }
        }
    };
}

/// A word that names no state; in a row it means damage.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no known state")]
pub struct UnknownState(String);

states! {
    /// What has become of what the user asked for.
    DeploymentStatus {
        /// Accepted, not placed yet.
        Pending = "pending",
        /// Every replica has a node.
        Scheduled = "scheduled",
        /// Every replica has been ready once. Losing one does not revert this: see the deployment's health.
        Running = "running",
        /// Told to stop; kept with its target, to be started again.
        Stopped = "stopped",
        /// Could not be placed.
        Failed = "failed",
        /// Gone for its user; its rows are kept.
        Deleted = "deleted",
    }
}

states! {
    /// What an agent has seen of one running unit.
    ReplicaStatus {
        /// Placed; its agent has not reported it yet.
        Pending = "pending",
        /// Its agent is starting it, or waits for it to be ready.
        Starting = "starting",
        /// Has been ready.
        Running = "running",
        /// Told to stop; its room is kept until an agent has seen it gone.
        Stopping = "stopping",
        /// Gone, as asked.
        Stopped = "stopped",
        /// Gone, or never there, because something went wrong.
        Failed = "failed",
    }
}

impl DeploymentStatus {
    /// Whether replicas should run.
    #[must_use]
    pub const fn wants_replicas(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use DeploymentStatus::{Deleted, Failed, Pending, Running, Scheduled, Stopped};
        match self {
            Pending => matches!(next, Scheduled | Failed | Stopped | Deleted),
            Scheduled => matches!(next, Running | Stopped | Failed | Deleted),
            Running => matches!(next, Stopped | Failed | Deleted),
            Stopped | Failed => matches!(next, Pending | Deleted),
            Deleted => false,
        }
    }
}

impl ReplicaStatus {
    /// Whether nothing of it runs any more and its room is free.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }

    /// Whether it counts towards what was asked for: not on its way out.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Starting | Self::Running)
    }

    /// Whether `next` may follow. Only forward, steps may be skipped.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        !self.is_terminal() && (next as u8) > (self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_never_goes_back_and_never_leaves_the_end() {
        for &from in ReplicaStatus::ALL {
            for &to in ReplicaStatus::ALL {
                let forward = (to as u8) > (from as u8) && !from.is_terminal();
                assert_eq!(from.may_become(to), forward, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_deleted_deployment_stays_deleted() {
        for &next in DeploymentStatus::ALL {
            assert!(!DeploymentStatus::Deleted.may_become(next));
        }
    }

    #[test]
    fn each_word_is_its_own_inverse() {
        for &status in DeploymentStatus::ALL {
            assert_eq!(status.as_str().parse::<DeploymentStatus>().expect("a state"), status);
        }
        for &status in ReplicaStatus::ALL {
            assert_eq!(status.as_str().parse::<ReplicaStatus>().expect("a state"), status);
        }
        assert!("gone".parse::<ReplicaStatus>().is_err());
    }
}
