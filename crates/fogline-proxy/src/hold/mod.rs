//! Requests that no replica can take yet: who may wait, for how long, and what is done for them meanwhile.

mod admit;
mod attend;
mod line;
mod probe;
mod refusal;

pub(crate) use attend::attend;
pub(crate) use line::Line;
pub(crate) use refusal::Refusal;
