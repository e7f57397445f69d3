//! Nodes: presented by their agents, cordoned, drained and removed by administrators.

use std::collections::BTreeMap;

use super::{Actor, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::NodeId;
use crate::observation::NodeDeclaration;
use crate::record::{Liveness, NodeRecord, ReplicaRecord};
use crate::spec::FieldError;
use crate::state::ReplicaStatus;
use crate::time::Timestamp;

impl Cluster {
    pub(super) fn declare_nodes(
        &mut self,
        actor: &Actor,
        declarations: &[NodeDeclaration],
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_agent("presenting nodes")?;
        let errors: Vec<FieldError> = declarations.iter().filter_map(refusal).collect();
        if !errors.is_empty() {
            return Err(Rejection::Invalid(errors));
        }
        let node_ids = declarations.iter().map(|declaration| self.declare_node(declaration, now, changes)).collect();
        Ok(Outcome::NodesDeclared { node_ids })
    }

    fn declare_node(&mut self, declared: &NodeDeclaration, now: Timestamp, changes: &mut Changes) -> NodeId {
        let known = self.nodes().index_named(&declared.name).and_then(|index| self.nodes().record(index)).cloned();
        let record = match known {
            Some(known) => {
                // What an administrator has added to the labels stays; what the agent declares is up to date.
                let mut labels = known.labels.clone();
                labels.extend(declared.labels.clone());
                NodeRecord {
                    region: declared.region.clone(),
                    zone: declared.zone.clone(),
                    capacity: declared.capacity,
                    runtimes: declared.runtimes,
                    labels,
                    ..known
                }
            }
            None => NodeRecord {
                id: self.new_id(now),
                name: declared.name.clone(),
                region: declared.region.clone(),
                zone: declared.zone.clone(),
                capacity: declared.capacity,
                runtimes: declared.runtimes,
                labels: declared.labels.clone(),
                liveness: Liveness::Online,
                cordoned: false,
                draining: false,
                created_at: now,
                updated_at: now,
            },
        };
        let id = record.id;
        if self.nodes().get(id) != Some(&record) {
            self.put_node(changes, NodeRecord { updated_at: now, ..record });
        }
        self.saw_node(id, now, changes);
        self.forget_report_numbers(id);
        id
    }

    #[expect(clippy::too_many_arguments, reason = "what may change of a node")]
    pub(super) fn update_node(
        &mut self,
        actor: &Actor,
        node_id: NodeId,
        cordoned: Option<bool>,
        draining: Option<bool>,
        labels: Option<&BTreeMap<String, String>>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("changing nodes")?;
        let known = self.known_node(node_id)?;
        if let Some(error) = labels.and_then(labels_refusal) {
            return Err(Rejection::field(error));
        }
        let record = NodeRecord {
            cordoned: cordoned.unwrap_or(known.cordoned),
            draining: draining.unwrap_or(known.draining),
            labels: labels.unwrap_or(&known.labels).clone(),
            ..known.clone()
        };
        if record != *known {
            self.put_node(changes, NodeRecord { updated_at: now, ..record });
            self.replan_node(node_id);
        }
        Ok(Outcome::NodeUpdated { node_id })
    }

    pub(super) fn delete_node(
        &mut self,
        actor: &Actor,
        node_id: NodeId,
        force: bool,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("deleting nodes")?;
        let node = self.known_node(node_id)?;
        let held: Vec<ReplicaRecord> = self.replicas_on(node_id).cloned().collect();
        if !held.is_empty() && !force {
            let replicas = u32::try_from(held.len()).unwrap_or(u32::MAX);
            return Err(Rejection::StillInUse { kind: "node", name: node.name.clone(), replicas });
        }
        self.replan_node(node_id);
        for replica in held {
            let status =
                if replica.status == ReplicaStatus::Stopping { ReplicaStatus::Stopped } else { ReplicaStatus::Failed };
            let reason = Some("Its node was removed".into());
            self.put_replica(
                changes,
                ReplicaRecord { status, node_id: None, reason, updated_at: now, stopped_at: Some(now), ..replica },
            );
        }
        self.remove_node(changes, node_id);
        Ok(Outcome::NodeDeleted { node_id })
    }
}

fn refusal(declared: &NodeDeclaration) -> Option<FieldError> {
    let names = [("name", &declared.name), ("region", &declared.region), ("zone", &declared.zone)];
    let bad = names.into_iter().find(|(_, name)| {
        !(1..=100).contains(&name.len())
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    });
    match bad {
        Some((field, name)) => Some(FieldError::new(
            format!("node.{field}"),
            format!("{name:?} is no name"),
            "1 to 100 letters, digits, - _ and .",
        )),
        None => labels_refusal(&declared.labels),
    }
}

fn labels_refusal(labels: &BTreeMap<String, String>) -> Option<FieldError> {
    let fits = labels.len() <= 64
        && labels.iter().all(|(name, value)| (1..=100).contains(&name.len()) && value.len() <= 256)
        && !["node", "region", "zone"].iter().any(|name| labels.contains_key(*name));
    (!fits).then(|| {
        FieldError::new(
            "labels",
            "some label is too long, reserved, or there are too many",
            "at most 64 labels of 1 to 100 bytes with values of at most 256; node, region and zone are set by themselves",
        )
    })
}
