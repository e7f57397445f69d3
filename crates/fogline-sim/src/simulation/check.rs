//! The invariants: of the rows after every commit, of everything at the end.

use std::collections::{BTreeMap, BTreeSet};

use fogline_core::quantity::Resources;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};

use super::Simulation;
use crate::server::Server;

impl Simulation {
    pub(super) fn check_rows(&self) -> Result<(), String> {
        let mut reserved: BTreeMap<_, Resources> = BTreeMap::new();
        let mut live: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for replica in self.store.replicas() {
            if !replica.status.is_terminal()
                && let Some(node) = replica.node_id
            {
                let on = reserved.entry(node).or_default();
                *on = on.plus(replica.resources);
            }
            if replica.status.is_live() {
                live.entry(replica.deployment_id).or_default().push(replica.id.to_string());
            }
        }
        for node in self.store.nodes() {
            let taken = reserved.get(&node.id).copied().unwrap_or_default();
            if !node.capacity.covers(taken) {
                return Err(format!("I3: {} has {}, and {taken} is reserved there", node.name, node.capacity));
            }
        }
        for deployment in self.store.deployments() {
            let there = live.remove(&deployment.id).unwrap_or_default();
            let most = if deployment.status.wants_replicas() { deployment.target_replicas + 1 } else { 0 };
            if there.len() > most as usize {
                let (name, status) = (&deployment.spec.name, deployment.status);
                return Err(format!("I5: {name} ({status}) has {there:?}, at most {most} are right"));
            }
        }
        Ok(())
    }

    /// Left alone, what runs is exactly what was asked for.
    pub(super) fn check_end(&self) -> Result<(), String> {
        self.people.check(&self.store)?;
        let mut expected = BTreeSet::new();
        for deployment in self.store.deployments() {
            let rows: Vec<_> =
                self.store.replicas().filter(|r| r.deployment_id == deployment.id && !r.status.is_terminal()).collect();
            let wanted = if deployment.status.wants_replicas() { deployment.target_replicas as usize } else { 0 };
            let settled =
                rows.iter().all(|row| row.status == ReplicaStatus::Running && row.revision == deployment.revision);
            if rows.len() != wanted || !settled || deployment.status == DeploymentStatus::Pending {
                let rows: Vec<String> =
                    rows.iter().map(|row| format!("{} {} v{}", row.id, row.status, row.revision)).collect();
                return Err(format!(
                    "I4: {} ({}) wants {wanted} of v{} and has {rows:?}",
                    deployment.spec.name, deployment.status, deployment.revision
                ));
            }
            expected.extend(rows.iter().map(|row| row.id));
        }
        let mut running = BTreeSet::new();
        for agent in &self.agents {
            for (id, pid) in agent.machine.running() {
                if !running.insert(id) {
                    return Err(format!("I4: {id} runs twice, once as {pid}"));
                }
            }
        }
        if running != expected {
            let orphans: Vec<_> = running.difference(&expected).collect();
            let missing: Vec<_> = expected.difference(&running).collect();
            return Err(format!("I4: orphans {orphans:?}, missing {missing:?}"));
        }
        let backlog = self.server.as_ref().map_or(0, Server::backlog);
        if backlog > 1_000 {
            return Err(format!("I8: {backlog} commands wait though nobody asks for anything"));
        }
        Ok(())
    }

    /// The rows of the replicas that a message names: what one wants to see first.
    pub(super) fn rows_named_in(&self, message: &str) -> String {
        let named = self.store.replicas().filter(|row| message.contains(&row.id.to_string()));
        let lines = named.map(|row| {
            let reason = row.reason.as_deref().unwrap_or_default();
            let agents =
                self.agents.iter().enumerate().filter_map(|(number, agent)| Some((number, agent.knows(row.id)?)));
            let agents: String = agents.map(|(number, knows)| format!("\n    agent {number}: {knows}")).collect();
            format!("\n  {} {} v{}, since {}, {reason}{agents}", row.id, row.status, row.revision, row.updated_at)
        });
        lines.collect()
    }
}
