//! `/api/v1/scaling`: policies, the history of changes, and policies tried on a series.

pub mod backtest;
pub mod history;
pub mod policies;
