//! Deployments and what belongs to one: history, replicas, explanations.

use fogline_core::id::DeploymentId;
use fogline_core::spec::DeploymentSpec;
use fogline_core::state::DeploymentStatus;
use reqwest::Method;

use super::{Client, ClientError};
use crate::http::{
    DeploymentResponse, DeploymentSummary, ExplainResponse, HistoryEntry, OperationResponse, Page, ReplicaResponse,
    ScaleRequest,
};

const ROOT: [&str; 3] = ["api", "v1", "deployments"];

/// Which deployments are listed. Nothing set: all that the caller may see.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DeploymentQuery {
    /// Only the one of this name; an administrator may see several.
    pub name: Option<String>,
    /// Only those in this status.
    pub status: Option<DeploymentStatus>,
    /// Deleted ones, too.
    pub include_deleted: Option<bool>,
    /// How many at most, up to the server's own limit.
    pub limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    pub cursor: Option<String>,
}

impl Client {
    /// Asks for a new deployment.
    ///
    /// # Errors
    /// `invalid-request`, `name-taken`, `quota-exceeded`, and those of every call.
    pub async fn deploy(&self, spec: &DeploymentSpec) -> Result<OperationResponse, ClientError> {
        self.post(&ROOT).body(spec).answer().await
    }

    /// One page of deployments.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn deployments(&self, query: &DeploymentQuery) -> Result<Page<DeploymentSummary>, ClientError> {
        self.get(&ROOT)
            .query("name", query.name.as_ref())
            .query("status", query.status)
            .query("include_deleted", query.include_deleted)
            .query("limit", query.limit)
            .query("cursor", query.cursor.as_ref())
            .answer()
            .await
    }

    /// Every deployment that `query` asks for, page after page.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn all_deployments(&self, mut query: DeploymentQuery) -> Result<Vec<DeploymentSummary>, ClientError> {
        let mut all = Vec::new();
        loop {
            let page = self.deployments(&query).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// One deployment.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn deployment(&self, id: DeploymentId) -> Result<DeploymentResponse, ClientError> {
        self.one(Method::GET, id, &[]).answer().await
    }

    /// Gives a deployment a new spec.
    ///
    /// # Errors
    /// `invalid-request`, `wrong-status`, `insufficient-nodes`, `not-found`, and those of every call.
    pub async fn update(&self, id: DeploymentId, spec: &DeploymentSpec) -> Result<OperationResponse, ClientError> {
        self.one(Method::PUT, id, &[]).body(spec).answer().await
    }

    /// Sets the number of replicas. The range is checked by the server.
    ///
    /// # Errors
    /// `invalid-request`, `wrong-status`, `insufficient-nodes`, `quota-exceeded`, `not-found`, and those of every call.
    pub async fn scale(&self, id: DeploymentId, replicas: i64) -> Result<OperationResponse, ClientError> {
        self.one(Method::POST, id, &["scale"]).body(&ScaleRequest { replicas }).answer().await
    }

    /// Stops every replica and keeps the deployment.
    ///
    /// # Errors
    /// `wrong-status`, `not-found`, and those of every call.
    pub async fn stop(&self, id: DeploymentId) -> Result<OperationResponse, ClientError> {
        self.one(Method::POST, id, &["stop"]).answer().await
    }

    /// Starts a stopped or failed deployment.
    ///
    /// # Errors
    /// `wrong-status`, `insufficient-nodes`, `not-found`, and those of every call.
    pub async fn start(&self, id: DeploymentId) -> Result<OperationResponse, ClientError> {
        self.one(Method::POST, id, &["start"]).answer().await
    }

    /// Stops every replica and forgets the deployment, except its history.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn delete(&self, id: DeploymentId) -> Result<(), ClientError> {
        self.one(Method::DELETE, id, &[]).nothing().await
    }

    /// One page of a deployment's status history, oldest first.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn history(&self, id: DeploymentId, cursor: Option<&str>) -> Result<Page<HistoryEntry>, ClientError> {
        self.one(Method::GET, id, &["history"]).query("cursor", cursor).answer().await
    }

    /// A deployment's whole status history.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn all_history(&self, id: DeploymentId) -> Result<Vec<HistoryEntry>, ClientError> {
        Self::all(|| self.one(Method::GET, id, &["history"])).await
    }

    /// All replicas of a deployment that are there, oldest first; with `include_ended`, those that are gone, too.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn replicas(&self, id: DeploymentId, include_ended: bool) -> Result<Vec<ReplicaResponse>, ClientError> {
        let call = || self.one(Method::GET, id, &["replicas"]);
        Self::all(|| call().query("include_ended", include_ended.then_some(true))).await
    }

    /// Why a deployment is where it is.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn explain(&self, id: DeploymentId) -> Result<ExplainResponse, ClientError> {
        self.one(Method::GET, id, &["explain"]).answer().await
    }

    /// Whether a spec would find its places now; nothing is created.
    ///
    /// # Errors
    /// `invalid-request`, and those of every call.
    pub async fn explain_spec(&self, spec: &DeploymentSpec) -> Result<ExplainResponse, ClientError> {
        self.post(&["api", "v1", "deployments", "explain"]).body(spec).answer().await
    }

    fn one(&self, method: Method, id: DeploymentId, rest: &[&str]) -> super::transport::Call {
        let id = id.to_string();
        let mut path = ROOT.to_vec();
        path.push(&id);
        path.extend(rest);
        self.call(method, &path)
    }
}
