//! Free storage: capacity less everything that is reserved.

use super::super::Demand;
use super::{Candidate, Judgement, Question, at_least, have};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    at_least(&question.nodes.free_storage_gb, question.demand.resources.storage_gb, keep);
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let need = question.demand.resources.storage_gb;
    let free = question.nodes.free_storage_gb[node.index.at()];
    (free >= need, format!("needs {need} GB storage, {free} of {} free", node.record.capacity.storage_gb))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} less than {} GB storage free", have(one), demand.resources.storage_gb)
}
