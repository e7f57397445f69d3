//! Scaling policies, and what they looked like before.

use std::sync::Arc;

use super::ScalingTarget;
use crate::id::{PolicyId, UserId};
use crate::scaling::PolicySpec;
use crate::time::Timestamp;

/// A row of `scaling_policies`.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct PolicyRecord {
    pub id: PolicyId,
    /// Its owner.
    pub user_id: UserId,
    /// Counts the changes of the spec, from 1.
    pub version: u32,
    /// What the spec's target was found to be.
    pub target: ScalingTarget,
    pub spec: Arc<PolicySpec>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A row of `scaling_policy_versions`: what the policy said then. One for each version, the present one included.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct PolicyVersionRecord {
    pub policy_id: PolicyId,
    pub version: u32,
    pub spec: Arc<PolicySpec>,
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
}
