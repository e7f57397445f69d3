//! `/api/v1/metrics`: what somebody measured, and what is known of a target.

pub mod latest;
pub mod push;
