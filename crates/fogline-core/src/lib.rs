//! The deciding part of Fogline.
//!
//! Pure: no clock, no randomness, no I/O, no async. Two questions are answered here. [`Cluster::apply`]: may this be,
//! and what does it change? [`planner::plan`]: what must change so that what runs is what was asked for?

pub mod assignment;
pub mod causes;
pub mod cluster;
pub mod command;
pub mod id;
pub mod image_digest;
pub mod observation;
pub mod placement;
pub mod planner;
pub mod quantity;
pub mod record;
pub mod scaling;
pub mod settings;
mod shorten;
pub mod spec;
pub mod state;
pub mod time;
pub mod traffic;
pub mod trouble;

pub use cluster::Cluster;
pub use shorten::shorten;
