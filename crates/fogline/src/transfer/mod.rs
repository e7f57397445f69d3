//! What `backup`, `restore` and `db copy` share: files, keys, words.
//!
//! The format and the databases are `fogline_store`'s. Must never leave half a file under a name that somebody asked for.
//! Tests: `tests/it/backup.rs`.

pub mod file;
pub mod keys;
pub mod report;
