//! Several servers in one process on one real PostgreSQL: who leads, what the others do, and what becomes of a term.
//!
//! Each server reaches the database by a relay of its own, so that a test can cut off one and not the other. What needs
//! whole processes (SIGKILL, SIGSTOP) is in `crates/fogline/tests/it/leadership.rs`.

mod away;
pub mod cluster;
mod copies;
mod handover;
mod refused;
mod roles;
