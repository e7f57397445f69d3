//! The scaling engine, on a real server: what is measured goes in, counts and decisions come out.

mod counts;
mod executors;
mod manual;
mod outage;
mod readings;
mod restart;
mod sources;
mod stranger;
mod together;
pub mod world;
