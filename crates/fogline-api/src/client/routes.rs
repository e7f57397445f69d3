//! Routes, proxies, and what comes in by them.

use super::{Client, ClientError};
use crate::http::{ProxyResponse, RouteResponse, TrafficResponse};

impl Client {
    /// All routes that the caller may see.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn routes(&self) -> Result<Vec<RouteResponse>, ClientError> {
        Self::all(|| self.get(&["api", "v1", "routes"]).query("limit", Some(200))).await
    }

    /// All proxies that are attached. For administrators.
    ///
    /// # Errors
    /// `forbidden`, and those of every call.
    pub async fn proxies(&self) -> Result<Vec<ProxyResponse>, ClientError> {
        Self::all(|| self.get(&["api", "v1", "proxies"]).query("limit", Some(200))).await
    }

    /// The last seconds of a deployment's requests. `id` is an id, or the caller's own name for it.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn traffic(&self, id: &str) -> Result<TrafficResponse, ClientError> {
        self.get(&["api", "v1", "deployments", id, "traffic"]).answer().await
    }
}
