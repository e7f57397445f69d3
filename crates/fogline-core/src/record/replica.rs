//! Running units.

use std::sync::Arc;

use crate::id::{DeploymentId, NodeId, ReplicaId};
use crate::quantity::Resources;
use crate::state::ReplicaStatus;
use crate::time::Timestamp;

/// A row of `deployment_replicas`. Small and cheap to copy: thousands are written a second.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct ReplicaRecord {
    pub id: ReplicaId,
    pub deployment_id: DeploymentId,
    /// Where it runs; nothing once that node was purged.
    pub node_id: Option<NodeId>,
    pub status: ReplicaStatus,
    /// The revision of the deployment's template it is started from.
    pub revision: u32,
    /// What it reserves; the template of its revision may be gone by the time this is asked.
    pub resources: Resources,
    /// A fixed port it takes on its node.
    pub host_port: Option<u16>,
    /// `address:port` where it answers, once its agent has said so.
    pub endpoint: Option<Arc<str>>,
    /// The driver's own name for it: a container id, or a process id.
    pub container_id: Option<Arc<str>>,
    /// How often the agent has restarted it in place.
    pub restarts: u32,
    /// The replica it took over from.
    pub replaces: Option<ReplicaId>,
    pub exit_code: Option<i32>,
    /// Why it is where it is: what stopped it, or what went wrong.
    pub reason: Option<Arc<str>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
}
