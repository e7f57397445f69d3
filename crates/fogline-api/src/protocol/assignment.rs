//! A node's whole list, on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fogline_core::assignment::{AssignedReplica, AssignedTemplate, Assignment, Authority, Want};
use fogline_core::id::NodeId;

use super::field::{self, WireError};
use super::generated as wire;

/// What one node should run, and who says so.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeAssignment {
    /// Who decided.
    pub authority: Authority,
    /// For which node.
    pub node_id: NodeId,
    /// The whole list.
    pub assignment: Assignment,
}

impl From<&Authority> for wire::Authority {
    fn from(authority: &Authority) -> Self {
        Self {
            cluster_id: authority.cluster_id.clone(),
            epoch: authority.epoch,
            holder: authority.holder.clone(),
            generation: authority.generation,
        }
    }
}

impl TryFrom<wire::Authority> for Authority {
    type Error = WireError;

    fn try_from(authority: wire::Authority) -> Result<Self, WireError> {
        Ok(Self {
            cluster_id: field::filled("authority.cluster_id", authority.cluster_id)?,
            epoch: authority.epoch,
            holder: field::filled("authority.holder", authority.holder)?,
            generation: authority.generation,
        })
    }
}

impl From<&NodeAssignment> for wire::Assignment {
    fn from(sent: &NodeAssignment) -> Self {
        let replicas = sent.assignment.replicas.iter().map(|replica| wire::AssignedReplica {
            replica_id: replica.replica_id.to_string(),
            deployment_id: replica.deployment_id.to_string(),
            revision: replica.revision,
            want: match replica.want {
                Want::Run => wire::Want::Run,
                Want::Stop => wire::Want::Stop,
            }
            .into(),
        });
        let templates =
            sent.assignment.templates.iter().map(|((deployment_id, revision), assigned)| wire::AssignedTemplate {
                deployment_id: deployment_id.to_string(),
                revision: *revision,
                deployment_name: assigned.deployment_name.clone(),
                template: Some(assigned.template.as_ref().into()),
                image_digest: assigned.image_digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            });
        Self {
            authority: Some((&sent.authority).into()),
            node_id: sent.node_id.to_string(),
            replicas: replicas.collect(),
            templates: templates.collect(),
        }
    }
}

impl TryFrom<wire::Assignment> for NodeAssignment {
    type Error = WireError;

    fn try_from(received: wire::Assignment) -> Result<Self, WireError> {
        let authority = field::required("assignment.authority", received.authority)?.try_into()?;
        let node_id = field::id("assignment.node_id", &received.node_id)?;
        let mut templates = BTreeMap::new();
        for assigned in received.templates {
            let deployment_id = field::id("assignment.templates.deployment_id", &assigned.deployment_id)?;
            let template = field::required("assignment.templates.template", assigned.template)?.try_into()?;
            let value = AssignedTemplate {
                deployment_name: assigned.deployment_name,
                template: Arc::new(template),
                image_digest: field::digest("assignment.templates.image_digest", &assigned.image_digest)?,
            };
            if templates.insert((deployment_id, assigned.revision), value).is_some() {
                let value = format!("revision {} of {deployment_id}", assigned.revision);
                return Err(WireError::Twice { field: "assignment.templates", value });
            }
        }
        let mut seen = BTreeSet::new();
        let mut replicas = Vec::with_capacity(received.replicas.len());
        for assigned in received.replicas {
            let replica = replica(assigned)?;
            if !seen.insert(replica.replica_id) {
                return Err(WireError::Twice { field: "assignment.replicas", value: replica.replica_id.to_string() });
            }
            if replica.want == Want::Run && !templates.contains_key(&(replica.deployment_id, replica.revision)) {
                return Err(WireError::NoTemplate {
                    replica_id: replica.replica_id.to_string(),
                    deployment_id: replica.deployment_id.to_string(),
                    revision: replica.revision,
                });
            }
            replicas.push(replica);
        }
        Ok(Self { authority, node_id, assignment: Assignment { replicas, templates } })
    }
}

fn replica(assigned: wire::AssignedReplica) -> Result<AssignedReplica, WireError> {
    let want = match wire::Want::try_from(assigned.want) {
        Ok(wire::Want::Run) => Want::Run,
        Ok(wire::Want::Stop) => Want::Stop,
        Ok(wire::Want::Unspecified) | Err(_) => {
            return Err(WireError::UnknownValue { field: "assignment.replicas.want", value: assigned.want });
        }
    };
    Ok(AssignedReplica {
        replica_id: field::id("assignment.replicas.replica_id", &assigned.replica_id)?,
        deployment_id: field::id("assignment.replicas.deployment_id", &assigned.deployment_id)?,
        revision: assigned.revision,
        want,
    })
}

#[cfg(test)]
mod tests {
    use fogline_core::id::{DeploymentId, IdSource};
    use fogline_core::quantity::Resources;
    use fogline_core::spec::{ReplicaTemplate, Runtime};
    use fogline_core::time::Timestamp;

    use super::*;

    fn sent() -> NodeAssignment {
        let mut ids = IdSource::new(1);
        let at = Timestamp::from_micros(1_000_000);
        let deployment_id: DeploymentId = ids.next(at);
        let template = ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: vec!["sleep".to_owned()],
            env: BTreeMap::new(),
            working_dir: None,
            resources: Resources::ZERO,
            port: None,
            host_port: None,
            container: None,
            health: None,
            warm_up: None,
            grace_s: 1,
            drain_timeout_s: 1,
        };
        let digest = format!("sha256:{}", "0a".repeat(32)).parse().expect("a digest");
        let assigned = AssignedTemplate {
            deployment_name: "web".to_owned(),
            template: Arc::new(template),
            image_digest: Some(digest),
        };
        let replica =
            |want, ids: &mut IdSource| AssignedReplica { replica_id: ids.next(at), deployment_id, revision: 2, want };
        NodeAssignment {
            authority: Authority { cluster_id: "c".to_owned(), epoch: 3, holder: "h".to_owned(), generation: 9 },
            node_id: ids.next(at),
            assignment: Assignment {
                replicas: vec![replica(Want::Run, &mut ids), replica(Want::Stop, &mut ids)],
                templates: [((deployment_id, 2), assigned)].into(),
            },
        }
    }

    #[test]
    fn a_list_comes_back_as_it_was() {
        assert_eq!(NodeAssignment::try_from(wire::Assignment::from(&sent())), Ok(sent()));
    }

    #[test]
    fn a_broken_list_is_refused_as_a_whole() {
        type Breaker = (&'static str, fn(&mut wire::Assignment));
        let breakers: [Breaker; 10] = [
            ("image_digest", |list| list.templates[0].image_digest.push('0')),
            ("assignment.authority", |list| list.authority = None),
            ("authority.holder", |list| list.authority.as_mut().expect("there").holder.clear()),
            ("node_id", |list| list.node_id = "node-1".to_owned()),
            ("replica_id", |list| list.replicas[0].replica_id.clear()),
            ("want", |list| list.replicas[1].want = 0),
            ("twice", |list| list.replicas.push(list.replicas[0].clone())),
            ("twice", |list| list.templates.push(list.templates[0].clone())),
            ("is not in the list", |list| list.replicas[0].revision = 1),
            ("template is missing", |list| list.templates[0].template = None),
        ];
        for (words, break_it) in breakers {
            let mut list = wire::Assignment::from(&sent());
            break_it(&mut list);
            let error = NodeAssignment::try_from(list).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
