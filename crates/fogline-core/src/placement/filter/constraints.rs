//! Demands on a node's labels; `region`, `zone` and `node` are labels that every node has.
//!
//! The fast path marks the nodes that the label index lists and never compares texts node by node.

use std::fmt::Write as _;

use super::super::Demand;
use super::{Candidate, Judgement, Question};
use crate::cluster::{NODE_LABEL, NodeIndex, NodeTable, label};
use crate::record::NodeRecord;
use crate::spec::{Constraint, ConstraintOperator};

pub(super) fn narrow(question: &Question<'_>, keep: &mut [bool]) {
    let mut marked = vec![false; keep.len()];
    for constraint in &question.demand.placement.constraints {
        marked.fill(false);
        mark(question.nodes, constraint, |index| marked[index.at()] = true);
        let wanted = matches!(constraint.operator, ConstraintOperator::In | ConstraintOperator::Exists);
        for (keep, marked) in keep.iter_mut().zip(&marked) {
            *keep &= *marked == wanted;
        }
    }
}

/// Names the nodes that carry the label with one of the values, or with any value where presence is what is asked.
fn mark(nodes: &NodeTable, constraint: &Constraint, mut found: impl FnMut(NodeIndex)) {
    let any_value = matches!(constraint.operator, ConstraintOperator::Exists | ConstraintOperator::NotExists);
    if constraint.label == NODE_LABEL {
        if any_value {
            nodes.iter().for_each(|(index, _)| found(index));
        } else {
            constraint.values.iter().filter_map(|name| nodes.index_named(name)).for_each(found);
        }
        return;
    }
    let Some(values) = nodes.labels().values_of(&constraint.label) else { return };
    if any_value {
        values.values().flatten().copied().for_each(found);
    } else {
        constraint.values.iter().filter_map(|value| values.get(value)).flatten().copied().for_each(found);
    }
}

pub(super) fn judge(question: &Question<'_>, node: Candidate<'_>) -> Judgement {
    let constraints = &question.demand.placement.constraints;
    let unmet: Vec<String> = constraints.iter().filter_map(|constraint| complaint(constraint, node.record)).collect();
    if unmet.is_empty() { (true, format!("matches {}", list(constraints))) } else { (false, unmet.join("; ")) }
}

/// What the node lacks to meet a constraint; nothing where it meets it.
fn complaint(constraint: &Constraint, record: &NodeRecord) -> Option<String> {
    let value = label(record, &constraint.label);
    let listed = value.is_some_and(|value| constraint.values.iter().any(|wanted| wanted == value));
    let met = match constraint.operator {
        ConstraintOperator::In => listed,
        ConstraintOperator::NotIn => !listed,
        ConstraintOperator::Exists => value.is_some(),
        ConstraintOperator::NotExists => value.is_none(),
    };
    if met {
        return None;
    }
    let has = value.map_or_else(|| "has no such label".to_owned(), |value| format!("has {value:?}"));
    Some(format!("needs {}, {has}", words(constraint)))
}

pub(super) fn reason(demand: &Demand<'_>, one: bool) -> String {
    format!("{} not match {}", if one { "does" } else { "do" }, list(&demand.placement.constraints))
}

fn list(constraints: &[Constraint]) -> String {
    constraints.iter().map(words).collect::<Vec<_>>().join(" and ")
}

fn words(constraint: &Constraint) -> String {
    let label = &constraint.label;
    let mut words = match constraint.operator {
        ConstraintOperator::In => format!("label {label} in "),
        ConstraintOperator::NotIn => format!("label {label} not in "),
        ConstraintOperator::Exists => return format!("label {label}"),
        ConstraintOperator::NotExists => return format!("no label {label}"),
    };
    // Writing to a `String` cannot fail.
    let _ = write!(words, "[{}]", constraint.values.join(", "));
    words
}
