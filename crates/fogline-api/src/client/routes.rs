//! Routes, proxies, and what comes in by them.

use super::{Client, ClientError};
use crate::http::{Page, ProxyResponse, RouteResponse, TrafficResponse};

impl Client {
    /// All routes that the caller may see.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn routes(&self) -> Result<Vec<RouteResponse>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page: Page<RouteResponse> =
                self.get(&["api", "v1", "routes"]).query("limit", Some(200)).query("cursor", cursor).answer().await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// All proxies that are attached. For administrators.
    ///
    /// # Errors
    /// `forbidden`, and those of every call.
    pub async fn proxies(&self) -> Result<Vec<ProxyResponse>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page: Page<ProxyResponse> =
                self.get(&["api", "v1", "proxies"]).query("limit", Some(200)).query("cursor", cursor).answer().await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// The last seconds of a deployment's requests. `id` is an id, or the caller's own name for it.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn traffic(&self, id: &str) -> Result<TrafficResponse, ClientError> {
        self.get(&["api", "v1", "deployments", id, "traffic"]).answer().await
    }
}
