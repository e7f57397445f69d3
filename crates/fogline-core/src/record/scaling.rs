//! What a scaling target remembers between two evaluations.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, UserId};
use crate::scaling::decision::TargetRef;
use crate::scaling::state::Memory;
use crate::time::Timestamp;

/// What has a count of replicas, and one arbiter over all the policies on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ScalingTarget {
    /// A deployment of this system, as which `deployment` and `proxy` may be given.
    Deployment(DeploymentId),
    /// Anything else: what two users call by the same name are two things.
    Outside {
        /// Whose.
        owner: UserId,
        /// As the policy says.
        target_type: String,
        /// As the policy says; empty where it says nothing.
        target_id: String,
    },
}

/// As policies name it.
impl From<&ScalingTarget> for TargetRef {
    fn from(target: &ScalingTarget) -> Self {
        let (target_type, target_id) = match target {
            ScalingTarget::Deployment(id) => ("deployment".to_owned(), id.to_string()),
            ScalingTarget::Outside { target_type, target_id, .. } => (target_type.clone(), target_id.clone()),
        };
        Self { target_type, target_id: Some(target_id).filter(|id| !id.is_empty()) }
    }
}

/// As in keys of rows: `deployment:<id>`, or `<type>:<owner>:<id or name>`.
impl fmt::Display for ScalingTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(id) => write!(f, "deployment:{id}"),
            Self::Outside { owner, target_type, target_id } => write!(f, "{target_type}:{owner}:{target_id}"),
        }
    }
}

/// A key that is none of ours: damage.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no key of a scaling target")]
pub struct BadTarget(String);

impl FromStr for ScalingTarget {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(text.to_owned());
        let (target_type, rest) = text.split_once(':').ok_or_else(bad)?;
        match rest.split_once(':') {
            None if target_type == "deployment" => Ok(Self::Deployment(rest.parse().map_err(|_| bad())?)),
            Some((owner, target_id)) => Ok(Self::Outside {
                owner: owner.parse().map_err(|_| bad())?,
                target_type: target_type.to_owned(),
                target_id: target_id.to_owned(),
            }),
            None => Err(bad()),
        }
    }
}

impl TryFrom<String> for ScalingTarget {
    type Error = BadTarget;

    fn try_from(text: String) -> Result<Self, BadTarget> {
        text.parse()
    }
}

impl From<ScalingTarget> for String {
    fn from(target: ScalingTarget) -> Self {
        target.to_string()
    }
}

/// A row of `scaling_states`: one for each target that a policy is on, once something is to be remembered of it. It goes
/// with the last policy.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct ScalingStateRecord {
    pub target: ScalingTarget,
    /// Counts the changes of this row, from 1, a policy's included: what was decided from an older one is refused.
    pub version: u64,
    /// The count that was last set or reported, of a target that is no deployment. A deployment's is in its own row.
    pub replicas: Option<u32>,
    pub memory: Arc<Memory>,
    pub updated_at: Timestamp,
}
