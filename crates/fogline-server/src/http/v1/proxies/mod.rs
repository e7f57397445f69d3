//! `/api/v1/proxies`, for administrators.

pub mod list;
