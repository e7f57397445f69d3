//! Scaling policies, decisions and metrics.

use fogline_core::id::{DeploymentId, PolicyId};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::PolicySpec;
use reqwest::Method;

use super::transport::Call;
use super::{Client, ClientError};
use crate::http::{
    BacktestRequest, BacktestResponse, DecisionResponse, EvaluationResponse, MetricsResponse, Page, PausePolicyRequest,
    PolicyResponse, PushMetricsRequest, PushMetricsResponse, ScalingHistoryEntry, ScheduleResponse,
};

const POLICIES: [&str; 4] = ["api", "v1", "scaling", "policies"];

impl Client {
    /// Every policy that the caller may see; with `name`, only the one of this name, of which an administrator may see
    /// several.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn all_policies(&self, name: Option<&str>) -> Result<Vec<PolicyResponse>, ClientError> {
        Self::all(|| self.get(&POLICIES).query("name", name)).await
    }

    /// One policy.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn policy(&self, id: PolicyId) -> Result<PolicyResponse, ClientError> {
        self.of_policy(Method::GET, id, &[]).answer().await
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// `invalid-request`, `name-taken`, `quota-exceeded`, and those of every call.
    pub async fn create_policy(&self, spec: &PolicySpec) -> Result<PolicyResponse, ClientError> {
        self.post(&POLICIES).body(spec).answer().await
    }

    /// Gives a policy a whole new spec.
    ///
    /// # Errors
    /// `invalid-request`, `name-taken`, `not-found`, and those of every call.
    pub async fn replace_policy(&self, id: PolicyId, spec: &PolicySpec) -> Result<PolicyResponse, ClientError> {
        self.of_policy(Method::PUT, id, &[]).body(spec).answer().await
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn delete_policy(&self, id: PolicyId) -> Result<(), ClientError> {
        self.of_policy(Method::DELETE, id, &[]).nothing().await
    }

    /// What a policy's target would be decided to have now, or with `draft` in the policy's place. Changes nothing.
    ///
    /// # Errors
    /// `invalid-request`, `not-found`, and those of every call.
    pub async fn evaluate_policy(
        &self,
        id: PolicyId,
        draft: Option<&PolicySpec>,
    ) -> Result<EvaluationResponse, ClientError> {
        let call = self.of_policy(Method::POST, id, &["evaluate"]);
        match draft {
            Some(draft) => call.body(draft).answer().await,
            None => call.answer().await,
        }
    }

    /// The next `count` transitions of a policy's schedules.
    ///
    /// # Errors
    /// `invalid-request`, `not-found`, and those of every call.
    pub async fn policy_schedule(&self, id: PolicyId, count: u32) -> Result<ScheduleResponse, ClientError> {
        self.of_policy(Method::GET, id, &["schedule"]).query("n", Some(count)).answer().await
    }

    /// Has a policy neither vote nor bound for a while.
    ///
    /// # Errors
    /// `invalid-request`, `not-found`, and those of every call.
    pub async fn pause_policy(
        &self,
        id: PolicyId,
        request: &PausePolicyRequest,
    ) -> Result<PolicyResponse, ClientError> {
        self.of_policy(Method::POST, id, &["pause"]).body(request).answer().await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn resume_policy(&self, id: PolicyId) -> Result<PolicyResponse, ClientError> {
        self.of_policy(Method::DELETE, id, &["pause"]).answer().await
    }

    /// The latest decisions about a deployment, newest first.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn decisions(&self, id: DeploymentId, limit: u32) -> Result<Page<DecisionResponse>, ClientError> {
        let id = id.to_string();
        self.get(&["api", "v1", "deployments", &id, "decisions"]).query("limit", Some(limit)).answer().await
    }

    /// The latest changes of a deployment's count, newest first, those of dry runs and shadows included.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn scaling_history(
        &self,
        id: DeploymentId,
        limit: u32,
    ) -> Result<Page<ScalingHistoryEntry>, ClientError> {
        let target = ScalingTarget::Deployment(id);
        let call = self.get(&["api", "v1", "scaling", "history"]);
        call.query("target", Some(target)).query("limit", Some(limit)).answer().await
    }

    /// How a policy would have done on a series.
    ///
    /// # Errors
    /// `invalid-request`, `not-found`, and those of every call.
    pub async fn backtest(&self, request: &BacktestRequest) -> Result<BacktestResponse, ClientError> {
        self.post(&["api", "v1", "scaling", "backtest"]).body(request).answer().await
    }

    /// Tells what was measured.
    ///
    /// # Errors
    /// `invalid-request`, and those of every call.
    pub async fn push_metrics(&self, request: &PushMetricsRequest) -> Result<PushMetricsResponse, ClientError> {
        self.post(&["api", "v1", "metrics"]).body(request).answer().await
    }

    /// What is known of a deployment's metrics at this moment.
    ///
    /// # Errors
    /// `not-found`, and those of every call.
    pub async fn metrics(&self, id: DeploymentId) -> Result<MetricsResponse, ClientError> {
        self.get(&["api", "v1", "metrics"]).query("target", Some(format!("deployment:{id}"))).answer().await
    }

    fn of_policy(&self, method: Method, id: PolicyId, rest: &[&str]) -> Call {
        let id = id.to_string();
        let mut path = POLICIES.to_vec();
        path.push(&id);
        path.extend(rest);
        self.call(method, &path)
    }
}
