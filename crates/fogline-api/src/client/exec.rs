//! Commands in replicas.

use std::time::Duration;

use fogline_core::id::{DeploymentId, ReplicaId};

use super::{Client, ClientError};
use crate::http::{ExecCommandRequest, ExecCommandResponse};

/// What is added to the command's own time for the way there and back.
const WAY: Duration = Duration::from_secs(10);

impl Client {
    /// Runs a command in a replica, and waits for its end. Never repeated: it may have been run though no answer came.
    ///
    /// # Errors
    /// `not-found`, `not-running`, `unavailable` when its node cannot be reached, `timed-out` when it took too
    /// long (it was killed where the agent can see its processes), and those of every call.
    pub async fn exec(
        &self,
        deployment: DeploymentId,
        replica: ReplicaId,
        request: &ExecCommandRequest,
    ) -> Result<ExecCommandResponse, ClientError> {
        let (deployment, replica) = (deployment.to_string(), replica.to_string());
        let path = ["api", "v1", "deployments", &deployment, "replicas", &replica, "exec"];
        let within = Duration::from_secs(request.timeout_s.into()) + WAY;
        Self { idempotency_key: None, ..self.clone() }.post(&path).body(request).answer_within(within).await
    }
}
