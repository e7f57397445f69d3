//! A node's list and its authority as they are on disk: JSON, so that a person can read what an agent obeys.

use std::sync::Arc;

use fogline_api::protocol::NodeAssignment;
use fogline_core::assignment::{AssignedReplica, AssignedTemplate, Assignment, Authority, Want};
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::spec::ReplicaTemplate;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredAuthority {
    cluster_id: String,
    epoch: u64,
    holder: String,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredList {
    authority: StoredAuthority,
    node_id: NodeId,
    replicas: Vec<StoredReplica>,
    templates: Vec<StoredTemplate>,
}

#[derive(Serialize, Deserialize)]
struct StoredReplica {
    replica_id: ReplicaId,
    deployment_id: DeploymentId,
    revision: u32,
    want: StoredWant,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredWant {
    Run,
    Stop,
}

#[derive(Serialize, Deserialize)]
struct StoredTemplate {
    deployment_id: DeploymentId,
    revision: u32,
    deployment_name: String,
    template: Arc<ReplicaTemplate>,
    #[serde(default)]
    image_digest: Option<ImageDigest>,
}

impl From<&Authority> for StoredAuthority {
    fn from(authority: &Authority) -> Self {
        Self {
            cluster_id: authority.cluster_id.clone(),
            epoch: authority.epoch,
            holder: authority.holder.clone(),
            generation: authority.generation,
        }
    }
}

impl From<StoredAuthority> for Authority {
    fn from(stored: StoredAuthority) -> Self {
        Self {
            cluster_id: stored.cluster_id,
            epoch: stored.epoch,
            holder: stored.holder,
            generation: stored.generation,
        }
    }
}

impl From<&NodeAssignment> for StoredList {
    fn from(list: &NodeAssignment) -> Self {
        let replicas = list.assignment.replicas.iter().map(|replica| StoredReplica {
            replica_id: replica.replica_id,
            deployment_id: replica.deployment_id,
            revision: replica.revision,
            want: match replica.want {
                Want::Run => StoredWant::Run,
                Want::Stop => StoredWant::Stop,
            },
        });
        let templates = list.assignment.templates.iter().map(|((deployment_id, revision), assigned)| StoredTemplate {
            deployment_id: *deployment_id,
            revision: *revision,
            deployment_name: assigned.deployment_name.clone(),
            template: Arc::clone(&assigned.template),
            image_digest: assigned.image_digest.clone(),
        });
        Self {
            authority: (&list.authority).into(),
            node_id: list.node_id,
            replicas: replicas.collect(),
            templates: templates.collect(),
        }
    }
}

impl From<StoredList> for NodeAssignment {
    fn from(stored: StoredList) -> Self {
        let replicas = stored.replicas.into_iter().map(|replica| AssignedReplica {
            replica_id: replica.replica_id,
            deployment_id: replica.deployment_id,
            revision: replica.revision,
            want: match replica.want {
                StoredWant::Run => Want::Run,
                StoredWant::Stop => Want::Stop,
            },
        });
        let templates = stored.templates.into_iter().map(|stored| {
            let assigned = AssignedTemplate {
                deployment_name: stored.deployment_name,
                template: stored.template,
                image_digest: stored.image_digest,
            };
            ((stored.deployment_id, stored.revision), assigned)
        });
        Self {
            authority: stored.authority.into(),
            node_id: stored.node_id,
            assignment: Assignment { replicas: replicas.collect(), templates: templates.collect() },
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::quantity::{CpuMillis, Resources};
    use fogline_core::spec::{HealthSpec, Runtime};

    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        let deployment_id: DeploymentId = "00000000-0000-7000-8000-000000000001".parse().expect("an id");
        let template = ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: vec!["sleep".to_owned()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            working_dir: None,
            resources: Resources { cpu_millis: CpuMillis(1_001), memory_mb: 512, gpu_units: 0, storage_gb: 10 },
            port: Some(80),
            host_port: None,
            container: None,
            health: Some(HealthSpec::default()),
            warm_up: None,
            grace_s: 1,
            drain_timeout_s: 1,
        };
        let replica = |text: &str, want| AssignedReplica {
            replica_id: text.parse().expect("an id"),
            deployment_id,
            revision: 2,
            want,
        };
        let digest = format!("sha256:{}", "0a".repeat(32)).parse().expect("a digest");
        let assigned = AssignedTemplate {
            deployment_name: "web".to_owned(),
            template: Arc::new(template),
            image_digest: Some(digest),
        };
        let list = NodeAssignment {
            authority: Authority { cluster_id: "c".to_owned(), epoch: 3, holder: "h".to_owned(), generation: 9 },
            node_id: "00000000-0000-7000-8000-000000000002".parse().expect("an id"),
            assignment: Assignment {
                replicas: vec![
                    replica("00000000-0000-7000-8000-000000000003", Want::Run),
                    replica("00000000-0000-7000-8000-000000000004", Want::Stop),
                ],
                templates: [((deployment_id, 2), assigned)].into(),
            },
        };
        let text = serde_json::to_string(&StoredList::from(&list)).expect("serialises");
        let back: StoredList = serde_json::from_str(&text).expect("parses");
        assert_eq!(NodeAssignment::from(back), list);
    }
}
