//! A whole cluster's state as a stream of lines: out of any backend, into any backend, with a file between or without.
//!
//! One form for all: a header, files that travel along, the rows table by table, a footer with counts and checksums
//! (`docs/how-to/back-up-and-restore.md`). Must never interpret a row. Invariants: a backup is of one moment; nothing is
//! changed by one that is not whole; what was restored has the checksums of what was backed up. Tests:
//! `tests/it/transfer`.

mod catalogue;
mod enclosed;
mod epoch;
mod error;
mod export;
mod footer;
mod header;
mod import;
mod lines;
mod parser;
mod row;
mod session;
mod sink;
mod snapshot;

pub use catalogue::{Column, Kind, TABLES, Table};
pub use enclosed::Enclosed;
pub use error::TransferError;
pub use export::{Source, Taken};
pub use footer::TableSum;
pub use header::Header;
pub use import::{Backup, Restore, Restored, copy};

pub(crate) use catalogue::{KEYS_SINCE, OLDEST_SCHEMA};
pub(crate) use header::Cluster;
pub(crate) use row::{Row, bytes, document, float, hex};
