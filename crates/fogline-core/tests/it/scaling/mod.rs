//! The scaling engine: series in, decisions out.

mod backtest;
mod hpa;
mod load_score;
mod policies;
mod properties;
mod restart;
mod script;
mod scripts;
mod seed_cases;
mod stage;
mod time_zones;
