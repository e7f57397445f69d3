//! A fixed port can be taken once on a node. Ports that the agent picks are its own affair.

use super::super::Demand;
use super::{Candidate, Judgement, Question, have};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    let Some(port) = question.demand.host_port else { return };
    for (keep, taken) in keep.iter_mut().zip(&question.nodes.host_ports) {
        *keep = *keep && !taken.contains(&port);
    }
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let Some(port) = question.demand.host_port else { return (true, "needs no fixed port".to_owned()) };
    let free = !question.nodes.host_ports[node.index.at()].contains(&port);
    (free, format!("needs port {port}, which is {}", if free { "free" } else { "taken" }))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    let port = demand.host_port.map_or_else(String::new, |port| format!(" {port}"));
    format!("{} port{port} taken", have(one))
}
