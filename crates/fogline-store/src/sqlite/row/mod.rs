//! Rows back into records. Strict: what this program never writes is damage, and is said with table, row and column.

mod columns;
mod deployment;
mod node;
mod record;
mod replica;

pub(super) use columns::Columns;
pub(super) use deployment::{deployment, history, revision};
pub(super) use node::node;
pub(super) use record::{audit, idempotency, session, user};
pub(super) use replica::replica;
