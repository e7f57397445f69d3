//! The immutable trail of a deployment's status.

use std::borrow::Cow;

use crate::id::{DeploymentId, HistoryId, UserId};
use crate::time::Timestamp;

/// A row of `deployment_status_history`. Statuses are words here, because the first line starts from `none`.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct StatusHistoryRecord {
    pub id: HistoryId,
    pub deployment_id: DeploymentId,
    /// Position within the deployment's history, from 1, without gaps.
    pub seq: u32,
    pub old_status: &'static str,
    pub new_status: &'static str,
    /// Nobody: the system itself.
    pub changed_by: Option<UserId>,
    pub changed_at: Timestamp,
    pub reason: Cow<'static, str>,
}
