//! What SQLite's file and its disk may do to us.

mod child;
mod damaged_file;
mod damaged_log;
mod disk_full;
mod fsync_error;
mod lost_writes;
mod power_cut;
mod second_open;
