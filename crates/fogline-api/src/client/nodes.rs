//! Nodes.

use fogline_core::id::{NodeId, ReplicaId};
use reqwest::Method;

use super::{Client, ClientError};
use crate::http::{NodeResponse, PatchNodeRequest};

impl Client {
    /// All nodes, by name.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn nodes(&self) -> Result<Vec<NodeResponse>, ClientError> {
        let mut all: Vec<NodeResponse> = Self::all(|| self.get(&["api", "v1", "nodes"])).await?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Changes what is set in `change`. For administrators.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, and those of every call.
    pub async fn patch_node(&self, id: NodeId, change: &PatchNodeRequest) -> Result<NodeResponse, ClientError> {
        self.call(Method::PATCH, &["api", "v1", "nodes", &id.to_string()]).body(change).answer().await
    }

    /// Removes a node; with `force`, one that will not come back, whatever it still held.
    ///
    /// # Errors
    /// `forbidden`, `still-in-use`, `not-found`, and those of every call.
    pub async fn delete_node(&self, id: NodeId, force: bool) -> Result<(), ClientError> {
        let path = ["api", "v1", "nodes", &id.to_string()];
        self.call(Method::DELETE, &path).query("force", force.then_some(true)).nothing().await
    }

    /// Has a node stop a replica that the cluster has no row of.
    ///
    /// # Errors
    /// `forbidden`, `not-found` when no such replica runs there, and those of every call.
    pub async fn stop_unlisted(&self, id: NodeId, replica: ReplicaId) -> Result<NodeResponse, ClientError> {
        let path = ["api", "v1", "nodes", &id.to_string(), "unlisted", &replica.to_string()];
        self.call(Method::DELETE, &path).answer().await
    }
}
