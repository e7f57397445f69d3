//! Nodes.

use fogline_core::id::{NodeId, ReplicaId};
use reqwest::Method;

use super::{Client, ClientError};
use crate::http::{NodeResponse, Page, PatchNodeRequest};

impl Client {
    /// All nodes, by name.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn nodes(&self) -> Result<Vec<NodeResponse>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page: Page<NodeResponse> =
                self.get(&["api", "v1", "nodes"]).query("cursor", cursor.as_ref()).answer().await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                all.sort_by(|a, b| a.name.cmp(&b.name));
                return Ok(all);
            }
        }
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
