//! What `fogline backtest` reads and draws: a policy, a series, a report.
//!
//! Must never decide: the decisions are `fogline-core`'s.

mod chart;
mod html;
mod policy_file;
mod series_file;
mod table;

pub use html::page;
pub use policy_file::load as load_policy;
pub use series_file::load as load_series;
pub use table::{ROWS, cells};
