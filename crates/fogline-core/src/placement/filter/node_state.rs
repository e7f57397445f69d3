//! Only a node that is online, not cordoned and not draining takes replicas. A hole in the table never does.

use super::{Candidate, Judgement, Question};
use crate::record::Liveness;

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    for (keep, placeable) in keep.iter_mut().zip(&question.nodes.placeable) {
        *keep &= *placeable;
    }
}

pub(super) fn judge(node: Candidate<'_>) -> Judgement {
    let mut against = Vec::new();
    if node.record.liveness == Liveness::Offline {
        against.push("offline");
    }
    if node.record.cordoned {
        against.push("cordoned");
    }
    if node.record.draining {
        against.push("draining");
    }
    if against.is_empty() {
        (true, "online and takes replicas".to_owned())
    } else {
        (false, format!("is {}", against.join(" and ")))
    }
}

pub(super) fn reason(one: bool) -> String {
    format!("{} offline, cordoned or draining", if one { "is" } else { "are" })
}
