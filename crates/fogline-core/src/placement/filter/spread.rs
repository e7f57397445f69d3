//! `spread: required`: at most one replica of a deployment on a node.

use super::{Candidate, Judgement, Question};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    for (index, held) in &question.siblings.on_node {
        if *held > 0
            && let Some(keep) = keep.get_mut(index.at())
        {
            *keep = false;
        }
    }
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    match question.siblings.on_node.get(&node.index).copied().unwrap_or(0) {
        0 => (true, "holds no replica of this deployment".to_owned()),
        held => (false, format!("holds {held} of this deployment already, and spread is required")),
    }
}

pub(super) fn reason(one: bool) -> String {
    format!("{} a replica of it already, and spread is required", if one { "holds" } else { "hold" })
}
