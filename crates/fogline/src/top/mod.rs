//! What `fogline top` shows: deployments with their load, and of one of them the replicas and the last decisions.
//!
//! `snapshot` is what is known at a moment, `view` what of it a person looks at and what keys change about that, `draw`
//! what that looks like, `screen` the terminal. Must never change anything on a server. Invariants: the terminal is left
//! as it was found, also after a panic or a signal; what servers say is cleaned before it is drawn.

mod column;
mod draw;
mod screen;
mod snapshot;
mod view;

pub use column::Column;
pub use screen::show;
pub use snapshot::Snapshot;
