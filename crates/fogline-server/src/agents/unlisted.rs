//! Replicas that run on a node and have no place in the cluster.
//!
//! One whose row has ended was told to stop before, and its agent has lost that with its disk: the order is given again.
//! One without any row is left alone, because it may be the database that is old or empty, and is told to people. Tests:
//! `tests/it/agents.rs`, and the simulation's `everything_at_once`.

use fogline_core::command::{Command, Request};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_store::Store;

use crate::writer::Desk;

/// Looks at the row of each of them. What cannot be looked up now is told again by the agent's next session.
pub(super) async fn look_up(store: &Store, desk: &Desk, node_id: NodeId, unlisted: Vec<ReplicaId>) {
    for replica_id in unlisted {
        match store.replica(replica_id).await {
            Ok(Some(row)) if row.status.is_terminal() => {
                tracing::warn!(%replica_id, %node_id, "runs though it has ended: it is told to stop again");
                let (deployment_id, revision) = (row.deployment_id, row.revision);
                let command = Command::StopUnlisted { node_id, replica_id, deployment_id, revision };
                if let Err(error) = desk.submit(Request::system(command)).await {
                    tracing::warn!(%replica_id, %error, "could not be told to stop");
                }
            }
            // Placed since, or on another node: its own list says what becomes of it.
            Ok(Some(_)) => {}
            Ok(None) => {
                tracing::warn!(%replica_id, %node_id, "runs and is in no list of this cluster; it is left running");
            }
            Err(error) => tracing::warn!(%replica_id, %error, "a replica that is in no list could not be looked up"),
        }
    }
}
