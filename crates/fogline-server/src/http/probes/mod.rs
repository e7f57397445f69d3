//! Probes and figures, for machines that watch this one. Open to everybody who reaches the port: no object is named.

pub mod health;
pub mod metrics;
pub mod ready;
