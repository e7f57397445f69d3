//! Services that somebody asked for.

use std::sync::Arc;

use crate::id::{DeploymentId, UserId};
use crate::spec::DeploymentSpec;
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

/// A row of `deployments`, with its row of `deployment_resources` (one to one) inside `spec`.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct DeploymentRecord {
    pub id: DeploymentId,
    pub user_id: UserId,
    pub status: DeploymentStatus,
    /// How many replicas are asked for. `spec.replicas` always says the same.
    pub target_replicas: u32,
    /// Counts the changes of the replica template, from 1.
    pub revision: u32,
    /// Counts the lines of the status history, so that lines of one instant keep their order.
    pub history_seq: u32,
    pub spec: Arc<DeploymentSpec>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}
