//! The seeds' own doors: other paths and shapes, the same functions. Nothing is decided here.

pub mod delete;
pub mod deploy;
pub mod list;
pub mod login;
pub mod proxy_scaling;
pub mod scale;
pub mod status;
