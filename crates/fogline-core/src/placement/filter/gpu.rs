//! Free GPU units, where any are needed.

use super::super::Demand;
use super::{Candidate, Judgement, Question, at_least, have};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    at_least(&question.nodes.free_gpu_units, question.demand.resources.gpu_units, keep);
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let need = question.demand.resources.gpu_units;
    let free = question.nodes.free_gpu_units[node.index.at()];
    (free >= need, format!("needs {need} GPU, {free} of {} free", node.record.capacity.gpu_units))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} less than {} GPU free", have(one), demand.resources.gpu_units)
}
