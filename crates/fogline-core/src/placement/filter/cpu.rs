//! Free processor time: capacity less everything that is reserved, used or not.

use super::super::Demand;
use super::{Candidate, Judgement, Question, at_least, have};
use crate::quantity::CpuMillis;

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    at_least(&question.nodes.free_cpu_millis, question.demand.resources.cpu_millis.0, keep);
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let need = question.demand.resources.cpu_millis;
    let free = CpuMillis(question.nodes.free_cpu_millis[node.index.at()]);
    (free >= need, format!("needs {need} CPU, {free} of {} free", node.record.capacity.cpu_millis))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} less than {} CPU free", have(one), demand.resources.cpu_millis)
}
