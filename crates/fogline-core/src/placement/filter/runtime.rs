//! A node needs the runtime that the replica is run by.

use super::super::Demand;
use super::{Candidate, Judgement, Question};
use crate::record::Runtimes;

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    let need = Runtimes::of(&[question.demand.runtime]).bits();
    for (keep, has) in keep.iter_mut().zip(&question.nodes.runtime_bits) {
        *keep &= has & need == need;
    }
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let need = question.demand.runtime;
    if node.record.runtimes.has(need) {
        return (true, format!("has runtime {need}"));
    }
    let has: Vec<&str> = node.record.runtimes.iter().map(|runtime| runtime.as_str()).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    (false, format!("needs runtime {need}, has {has}"))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} runtime {}", if one { "lacks" } else { "lack" }, demand.runtime)
}
