//! All SQL of Fogline: one file of SQLite today, PostgreSQL behind the same contract suite next.
//!
//! Writes what core decided and reads what people ask for. Must never decide: a row goes in as it is given, and what a
//! row means is core's. Invariant: what [`Store::commit`] answered is on the disk, all of it or none. The contract suite
//! that every backend passes is in `tests/it/contract`, SQLite's own faults are in `tests/it/faults`.

mod audit_entry;
mod config;
mod counts;
mod error;
mod filter;
mod lease;
mod migration;
mod page;
mod sqlite;
mod store;

pub use audit_entry::AuditEntry;
pub use config::StoreConfig;
pub use counts::{Counts, Pruned};
pub use error::{CommitError, OpenError, StoreError};
pub use filter::DeploymentFilter;
pub use lease::Lease;
pub use migration::MigrationStatus;
pub use page::{MAX_PAGE, Page, PageRequest};
pub use store::Store;
