//! The rows: what survives a restart. The store writes them as they are, the cluster holds them in memory.
//!
//! Must never hold what was only observed (last seen, usage, readiness): see [`crate::cluster::Observed`].

mod audit;
mod deployment;
mod history;
mod idempotency;
mod node;
mod replica;
mod session;
mod user;

pub use audit::AuditRecord;
pub use deployment::DeploymentRecord;
pub use history::StatusHistoryRecord;
pub use idempotency::IdempotencyRecord;
pub use node::{Liveness, NodeRecord, Runtimes};
pub use replica::ReplicaRecord;
pub use session::SessionRecord;
pub use user::{PasswordHash, Role, Tier, UserRecord};
