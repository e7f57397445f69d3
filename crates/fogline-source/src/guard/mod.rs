//! Where requests of this system may go when a user chose the address.
//!
//! Whoever writes a policy can have the server call a URL, from where the server stands: its own loopback, its networks,
//! the metadata service of its cloud. Decides which addresses may be called ([`class`]), sees through every notation of
//! one ([`address`]), and has the checked address be the one that is connected to. No redirect is followed. Tests: below
//! the files, and `tests/it/guard.rs`.

mod address;
mod class;
mod client;
mod names;
mod own;

pub use address::{Guard, Refused};
pub use class::{Class, Never, Private};
pub use client::{CallError, GuardedClient, Reply};
pub use names::{Lookup, Names, SystemNames};

pub(crate) use address::host_of;
