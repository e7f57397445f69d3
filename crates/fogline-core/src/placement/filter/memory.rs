//! Free memory: capacity less everything that is reserved, used or not.

use super::super::Demand;
use super::{Candidate, Judgement, Question, at_least, have};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    at_least(&question.nodes.free_memory_mb, question.demand.resources.memory_mb, keep);
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let need = question.demand.resources.memory_mb;
    let free = question.nodes.free_memory_mb[node.index.at()];
    (free >= need, format!("needs {need} MB memory, {free} of {} free", node.record.capacity.memory_mb))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} less than {} MB memory free", have(one), demand.resources.memory_mb)
}
