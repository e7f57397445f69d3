//! All SQL of Fogline: one file of SQLite, or a PostgreSQL database that several servers share.
//!
//! Writes what core decided and reads what people ask for. Must never decide: a row goes in as it is given, and what a
//! row means is core's. Invariant: what [`Store::commit`] answered is on the disk, all of it or none. The contract suite
//! that every backend passes is in `tests/it/contract`, SQLite's own faults are in `tests/it/faults`.

mod audit_entry;
mod config;
mod counts;
mod error;
mod filter;
mod keep;
mod lease;
mod migration;
mod page;
mod postgres;
mod read;
mod row;
mod samples;
mod schema;
mod sqlite;
mod store;
mod table;
mod transfer;

pub use audit_entry::AuditEntry;
pub use config::{BadUrl, StoreConfig};
pub use counts::{Counts, DecisionCount, Pruned};
pub use error::{CommitError, OpenError, StoreError};
pub use filter::{DecisionFilter, DecisionsOf, DeploymentFilter, PolicyFilter};
pub use lease::{Candidate, Incumbent, KeysPinned, Lease, TakeOver};
pub use migration::MigrationStatus;
pub use page::{MAX_PAGE, Page, PageRequest};
pub use postgres::PostgresConfig;
pub use samples::{Bucket, Compacted, FINE_FOR, KEPT_FOR, SampleStore, SamplesConfig, SeriesKey};
pub use store::Store;
pub use transfer::{
    Backup, Column, Enclosed, Header, Kind, Restore, Restored, Source, TABLES, Table, TableSum, Taken, TransferError,
    copy,
};
