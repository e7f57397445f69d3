//! What `GET /api/v1/events` streams: that something has changed, and what a list would say of it now. Whoever needs more
//! asks for the object.

use fogline_core::id::{DeploymentId, NodeId, ReplicaId, UserId};
use fogline_core::record::Liveness;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The `data` of a server-sent event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventResponse {
    /// The commit that it came with. Those of one commit come together.
    pub revision: u64,
    /// What became of it.
    pub change: ChangeKind,
    /// What it is about, as it is after the change; as it was before, where it was removed.
    #[serde(flatten)]
    pub object: ChangedObject,
}

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another than before.
    Changed,
    /// Its row is gone. A deployment that is deleted has changed: its status says so.
    Removed,
}

/// An object that has changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChangedObject {
    /// A deployment.
    Deployment {
        /// Its id.
        id: DeploymentId,
        /// Its name.
        name: String,
        /// Whose it is.
        user_id: UserId,
        /// Its status.
        status: DeploymentStatus,
        /// How many replicas are asked for.
        target_replicas: u32,
    },
    /// A replica.
    Replica {
        /// Its id.
        id: ReplicaId,
        /// Whose replica it is.
        deployment_id: DeploymentId,
        /// Where it runs; absent once that node was removed.
        #[serde(default)]
        node_id: Option<NodeId>,
        /// Its status.
        status: ReplicaStatus,
        /// How often it was restarted in place.
        restarts: u32,
    },
    /// A node.
    Node {
        /// Its id.
        id: NodeId,
        /// Its name.
        name: String,
        /// Whether its agent is heard from.
        liveness: Liveness,
        /// Gets no new replicas.
        cordoned: bool,
        /// Its replicas move elsewhere.
        draining: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let event = EventResponse {
            revision: 7,
            change: ChangeKind::Changed,
            object: ChangedObject::Node {
                id: "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3".parse().expect("an id"),
                name: "node-01".to_owned(),
                liveness: Liveness::Offline,
                cordoned: true,
                draining: false,
            },
        };
        let json = serde_json::to_string(&event).expect("serialises");
        assert_eq!(
            json,
            "{\"revision\":7,\"change\":\"changed\",\"kind\":\"node\",\"id\":\"0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3\",\
             \"name\":\"node-01\",\"liveness\":\"offline\",\"cordoned\":true,\"draining\":false}"
        );
        assert_eq!(serde_json::from_str::<EventResponse>(&json).expect("parses"), event);
    }
}
