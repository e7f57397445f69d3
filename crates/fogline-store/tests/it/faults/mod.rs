//! What SQLite's file and its disk may do to us, and what PostgreSQL and the way there may.

pub mod child;
mod damaged_file;
mod damaged_log;
mod disk_full;
mod fsync_error;
mod lost_writes;
mod postgres;
mod postgres_connection;
mod postgres_lease;
mod postgres_setup;
mod power_cut;
mod second_open;
