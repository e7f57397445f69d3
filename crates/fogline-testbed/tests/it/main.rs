//! The bed itself: its servers start, break as told, and leave nothing behind.

mod engine;
mod nothing_is_left;
mod postgres;
mod prometheus;
mod proxies;
mod redis;
mod relay;
