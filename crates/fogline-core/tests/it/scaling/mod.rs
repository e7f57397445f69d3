//! The scaling engine: series in, decisions out.

mod backtest;
mod forecast;
mod guards;
mod hpa;
mod load_score;
mod oscillation;
mod policies;
mod properties;
mod restart;
mod script;
mod scripts;
mod seed_cases;
mod sources;
pub mod stage;
mod time_zones;
