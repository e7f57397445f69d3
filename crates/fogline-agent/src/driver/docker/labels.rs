//! What a container says of itself, for people who list containers and for an agent that has lost its record.
//!
//! Must never hold the environment: labels are shown to everybody who may list containers. Invariant: what is found by
//! the agent's label is the agent's. Tests: in `create.rs`, and `tests/it/driver/docker/closed.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use fogline_core::id::ReplicaId;

use super::super::StartOrder;

const AGENT: &str = "fogline.agent";
const REPLICA: &str = "fogline.replica";
const RUN: &str = "fogline.run";
const ORDER: &str = "fogline.order";

/// The labels of a container of this agent.
pub(super) fn of(agent_id: &str, order: &StartOrder) -> HashMap<String, String> {
    let mut shown = order.clone();
    Arc::make_mut(&mut shown.template).env.clear();
    let mut labels = vec![
        (AGENT, agent_id.to_owned()),
        (REPLICA, order.replica_id.to_string()),
        (RUN, order.run.to_string()),
        ("fogline.deployment", order.deployment_name.clone()),
        ("fogline.deployment_id", order.deployment_id.to_string()),
        ("fogline.node", order.node_name.clone()),
        ("fogline.revision", order.revision.to_string()),
        (ORDER, serde_json::to_string(&shown).unwrap_or_default()),
    ];
    labels.extend(order.port.map(|port| ("fogline.port", port.to_string())));
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the engine is to list: what this agent has made.
pub(super) fn filter(agent_id: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{AGENT}={agent_id}")])])
}

/// Which run a container of this agent is of.
pub(super) fn run_of(agent_id: &str, labels: &HashMap<String, String>) -> Option<(ReplicaId, u32)> {
    if labels.get(AGENT).is_none_or(|agent| agent != agent_id) {
        return None;
    }
    Some((labels.get(REPLICA)?.parse().ok()?, labels.get(RUN)?.parse().ok()?))
}

/// What it was started from, but for its environment.
pub(super) fn order_of(labels: &HashMap<String, String>) -> Option<StartOrder> {
    crate::disk::lenient::from_slice(labels.get(ORDER)?.as_bytes()).ok()
}
