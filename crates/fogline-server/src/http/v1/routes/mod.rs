//! `/api/v1/routes`: everybody sees their own, administrators all.

pub mod list;
