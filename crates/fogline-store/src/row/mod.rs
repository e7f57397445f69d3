//! Rows back into records, whatever backend they come from. Strict: what this program never writes is damage, and is
//! said with table, row and column.

mod cells;
mod columns;
mod deployment;
mod node;
mod record;
mod replica;
mod scaling;

pub(crate) use cells::Cells;
pub(crate) use columns::Columns;
pub(crate) use deployment::{deployment, history, revision};
pub(crate) use node::node;
pub(crate) use record::{audit, idempotency, session, user};
pub(crate) use replica::replica;
pub(crate) use scaling::{decision, decision_count, policy, policy_version, scaling_state};
