//! Reads, one family a file, once for every backend: for people, and what a leader starts from.
//!
//! A text of SQL is the same for all where the dialects allow it. Must never write. Rows become records in `row`.

mod audit;
mod counts;
mod decisions;
mod deployments;
mod history;
mod idempotency;
mod load;
mod nodes;
mod policies;
mod query;
mod replicas;
mod revisions;
mod sessions;
mod users;

pub(crate) use audit::audit;
pub(crate) use counts::counts;
pub(crate) use decisions::{decision, decision_counts, decisions};
pub(crate) use deployments::{deployment, deployment_count, deployments};
pub(crate) use history::{history, last_history};
pub(crate) use idempotency::answered;
pub(crate) use load::load;
pub(crate) use nodes::{node, nodes};
pub(crate) use policies::{policies, policy, policy_versions};
pub(crate) use query::{Parameter, Query};
pub(crate) use replicas::{live_replicas, replica, replicas};
pub(crate) use revisions::{revision, revisions};
pub(crate) use sessions::session;
pub(crate) use users::{user, user_by_name, users};

use crate::error::StoreError;
use crate::row::Columns;

/// Makes something of a row.
pub(crate) type Decode<T> = fn(&Columns<'_>) -> Result<T, StoreError>;

/// A connection that reads.
pub(crate) trait Reader {
    /// Every row that the query gives, each made into something.
    async fn all<T: Send>(
        &mut self,
        query: Query,
        table: &'static str,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError>;

    /// At most one row.
    async fn one<T: Send>(
        &mut self,
        query: Query,
        table: &'static str,
        decode: Decode<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(query, table, decode).await?.pop())
    }
}
