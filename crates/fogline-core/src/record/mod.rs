//! The rows: what survives a restart. The store writes them as they are, the cluster holds them in memory.
//!
//! Must never hold what was only observed (last seen, usage, readiness): see [`crate::cluster::Observed`].

mod audit;
mod decision;
mod deployment;
mod history;
mod idempotency;
mod node;
mod policy;
mod replica;
mod scaling;
mod session;
mod user;

pub use audit::AuditRecord;
pub use decision::{DecisionRecord, DecisionStatus};
pub use deployment::DeploymentRecord;
pub use history::StatusHistoryRecord;
pub use idempotency::IdempotencyRecord;
pub use node::{Liveness, NodeRecord, Runtimes};
pub use policy::{PolicyRecord, PolicyVersionRecord};
pub use replica::ReplicaRecord;
pub use scaling::{BadTarget, ScalingStateRecord, ScalingTarget};
pub use session::SessionRecord;
pub use user::{PasswordHash, Role, Tier, UserRecord};
