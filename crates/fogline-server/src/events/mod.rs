//! Changes as they happen, for those who watch the cluster.
//!
//! [`change`] says what a commit changed and who may see it, [`feed`] keeps the latest changes of a term in one ring for
//! all watchers. Must never wait for a watcher, nor keep anything for one: who falls behind the ring loses their place and
//! lists again. Invariant: only what is durable comes here, in the order of the commits. Tests: in the files, and
//! `tests/it/http/events.rs`.

mod change;
mod feed;

pub(crate) use feed::{Feed, Lost, Position};
