//! Sources against real servers, and against one that means harm.

mod contract;
mod guard;
mod hostile;
mod http_json;
mod postgresql;
mod prometheus;
mod redis;
mod secrets;
mod setup;
