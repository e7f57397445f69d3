//! The agent: what runs replicas on a machine, and tells what it sees.
//!
//! Must never reach the database, nor decide where a replica runs.

pub mod cgroup;
pub mod clock;
pub mod config;
pub mod disk;
pub mod driver;
pub mod host;
pub mod logs;
pub mod ports;
pub mod probe;
pub mod run;
pub mod session;
pub mod shim;
pub mod supervisor;
