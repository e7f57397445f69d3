//! Machines that run replicas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::NodeId;
use crate::quantity::Resources;
use crate::spec::Runtime;
use crate::time::Timestamp;

/// Whether a node's agent is heard from. Changes only when a time-out passes or an agent is back, so it is a row's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// Heard from within the time-out.
    Online,
    /// Silent for longer than the time-out.
    Offline,
}

impl Liveness {
    /// The word in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// The runtimes that a node has, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runtimes(u8);

impl Runtimes {
    /// A set of these.
    #[must_use]
    pub fn of(runtimes: &[Runtime]) -> Self {
        Self(runtimes.iter().fold(0, |bits, runtime| bits | Self::bit(*runtime)))
    }

    /// Whether `runtime` is among them.
    #[must_use]
    pub const fn has(self, runtime: Runtime) -> bool {
        self.0 & Self::bit(runtime) != 0
    }

    /// Those that it has.
    pub fn iter(self) -> impl Iterator<Item = Runtime> {
        Runtime::ALL.into_iter().filter(move |runtime| self.has(*runtime))
    }

    /// The set as bits, for a column.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    const fn bit(runtime: Runtime) -> u8 {
        match runtime {
            Runtime::Docker => 1,
            Runtime::Process => 2,
        }
    }
}

/// A row of `nodes`.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct NodeRecord {
    pub id: NodeId,
    /// The name people know it by, unique; the seeds' `nodes.node_id`.
    pub name: String,
    pub region: String,
    pub zone: String,
    pub capacity: Resources,
    pub runtimes: Runtimes,
    pub labels: BTreeMap<String, String>,
    pub liveness: Liveness,
    /// Gets no new replicas.
    pub cordoned: bool,
    /// Gets no new replicas, and those it has move elsewhere.
    pub draining: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
