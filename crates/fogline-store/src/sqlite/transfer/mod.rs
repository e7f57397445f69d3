//! SQLite's part of backup and restore.
//!
//! Reading never disturbs a server: it goes past the directory's lock, and the log's own locks keep the two apart.
//! Writing never touches the database that is there: a new one is filled beside it and takes its place whole.

mod filling;
mod place;
mod reading;
mod rows;

pub(crate) use filling::SqliteFilling;
pub(crate) use reading::SqliteReading;
