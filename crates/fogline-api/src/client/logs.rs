//! What a replica has written, as it comes.

use bytes::Bytes;
use fogline_core::id::{DeploymentId, ReplicaId};

use super::{Client, ClientError};

/// Which part of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogQuery {
    /// Lines from the end, at most 10,000.
    pub tail: u32,
    /// Whether to wait for more.
    pub follow: bool,
}

/// A log that is being read. Ends when there is nothing more, or, followed, when the replica is gone.
#[derive(Debug)]
pub struct LogStream {
    response: reqwest::Response,
    server: String,
}

impl LogStream {
    /// The next piece, at any boundary of bytes; nothing at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let server = &self.server;
        self.response.chunk().await.map_err(|source| ClientError::Interrupted { server: server.clone(), source })
    }
}

impl Client {
    /// Opens the log of a replica.
    ///
    /// # Errors
    /// `not-found`, `unavailable` when its node cannot be reached, and those of every call.
    pub async fn logs(
        &self,
        deployment: DeploymentId,
        replica: ReplicaId,
        query: LogQuery,
    ) -> Result<LogStream, ClientError> {
        let (deployment, replica) = (deployment.to_string(), replica.to_string());
        let path = ["api", "v1", "deployments", &deployment, "replicas", &replica, "logs"];
        let response =
            self.get(&path).query("tail", Some(query.tail)).query("follow", Some(query.follow)).stream().await?;
        Ok(LogStream { response, server: self.server().to_owned() })
    }
}
