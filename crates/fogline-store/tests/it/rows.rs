//! Records to write, filled in full, so that a column that is lost on the way is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::IdSource;
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{
    DeploymentRecord, Liveness, NodeRecord, PasswordHash, ReplicaRecord, Role, Runtimes, StatusHistoryRecord, Tier,
    UserRecord,
};
use fogline_core::spec::{DeploymentSpec, Runtime};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_core::time::Timestamp;

/// 2025-11-25, as in the documents that the schema comes from.
pub const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

/// Makes records; each is a microsecond younger than the one before.
pub struct Rows {
    pub ids: IdSource,
    now: i64,
}

impl Rows {
    pub fn new(seed: u64) -> Self {
        Self { ids: IdSource::new(seed), now: START.as_micros() }
    }

    pub fn now(&mut self) -> Timestamp {
        self.now += 1;
        Timestamp::from_micros(self.now)
    }

    pub fn user(&mut self, name: &str) -> UserRecord {
        let now = self.now();
        UserRecord {
            id: self.ids.next(now),
            username: name.to_owned(),
            password_hash: PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${name}")),
            role: Role::User,
            tier: Tier::Pro,
            disabled: false,
            created_at: now,
            updated_at: now,
        }
    }

    pub fn node(&mut self, name: &str) -> NodeRecord {
        let now = self.now();
        NodeRecord {
            id: self.ids.next(now),
            name: name.to_owned(),
            region: "eu".to_owned(),
            zone: "eu-1".to_owned(),
            capacity: Resources { cpu_millis: CpuMillis(16_001), memory_mb: 65_536, gpu_units: 2, storage_gb: 1_000 },
            runtimes: Runtimes::of(&[Runtime::Docker, Runtime::Process]),
            labels: BTreeMap::from([("disk".to_owned(), "ssd \"fast\"".to_owned())]),
            liveness: Liveness::Online,
            cordoned: false,
            draining: true,
            created_at: now,
            updated_at: now,
        }
    }

    pub fn deployment(&mut self, user: &UserRecord, name: &str) -> DeploymentRecord {
        let now = self.now();
        let spec = serde_json::json!({
            "name": name,
            "type": "compute",
            "container_image": "nginx:latest",
            "env": { "GREETING": "hello" },
            "replicas": 3,
            "resources": { "cpu": 0.501, "memory": 2048, "gpu": 1, "storage": 20 },
            "port": 8080,
        });
        let spec: DeploymentSpec = serde_json::from_value(spec).expect("a spec");
        DeploymentRecord {
            id: self.ids.next(now),
            user_id: user.id,
            status: DeploymentStatus::Running,
            target_replicas: spec.replicas,
            revision: 1,
            history_seq: 2,
            spec: Arc::new(spec),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    pub fn revision(&mut self, deployment: &DeploymentRecord) -> RevisionRecord {
        RevisionRecord {
            deployment_id: deployment.id,
            revision: deployment.revision,
            spec: Arc::clone(&deployment.spec),
            image_digest: None,
            created_at: self.now(),
            created_by: Some(deployment.user_id),
        }
    }

    pub fn replica(&mut self, deployment: &DeploymentRecord, node: &NodeRecord) -> ReplicaRecord {
        let now = self.now();
        ReplicaRecord {
            id: self.ids.next(now),
            deployment_id: deployment.id,
            node_id: Some(node.id),
            status: ReplicaStatus::Pending,
            revision: deployment.revision,
            resources: deployment.spec.resources,
            host_port: None,
            endpoint: None,
            container_id: None,
            restarts: 0,
            replaces: None,
            exit_code: None,
            reason: None,
            created_at: now,
            updated_at: now,
            started_at: None,
            stopped_at: None,
        }
    }

    pub fn history(
        &mut self,
        deployment: &DeploymentRecord,
        seq: u32,
        old_status: &'static str,
        new_status: &'static str,
    ) -> StatusHistoryRecord {
        let now = self.now();
        StatusHistoryRecord {
            id: self.ids.next(now),
            deployment_id: deployment.id,
            seq,
            old_status,
            new_status,
            changed_by: Some(deployment.user_id),
            changed_at: now,
            reason: format!("{old_status} to {new_status}").into(),
        }
    }
}
