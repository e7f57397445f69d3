//! A cluster with a clock that the test moves, one administrator, and agents that do as they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::assignment::Want;
use fogline_core::cluster::{Changes, Cluster, Durable, Edits, RevisionRecord};
use fogline_core::command::{Actor, Command, Outcome, Rejection, Request};
use fogline_core::id::{DecisionId, DeploymentId, IdSource, NodeId, PolicyId, ReplicaId, UserId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::{NodeDeclaration, ReplicaReport, ReportedState};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{
    DecisionRecord, DecisionStatus, PasswordHash, PolicyRecord, Role, Runtimes, ScalingStateRecord, ScalingTarget, Tier,
};
use fogline_core::settings::Settings;
use fogline_core::spec::{DeploymentSpec, Runtime};
use fogline_core::time::Timestamp;

pub struct World {
    pub cluster: Cluster,
    pub now: Timestamp,
    pub admin: UserId,
    /// Reports are numbered as an agent numbers them: upwards.
    seq: u64,
    /// What a database would hold beside what is in memory.
    revisions: BTreeMap<(DeploymentId, u32), RevisionRecord>,
    policies: BTreeMap<PolicyId, PolicyRecord>,
    states: BTreeMap<ScalingTarget, ScalingStateRecord>,
    /// Every decision's row, ended ones too.
    pub decisions: BTreeMap<DecisionId, DecisionRecord>,
    /// What each replica was last said to be made of.
    pub images: BTreeMap<ReplicaId, ImageDigest>,
}

impl World {
    pub fn new() -> Self {
        let now = Timestamp::from_micros(1_764_064_800_000_000);
        let cluster =
            Cluster::load(Durable::default(), Settings::default(), IdSource::new(1), now).expect("nothing contradicts");
        let mut world = Self {
            cluster,
            now,
            admin: UserId::from_uuid(uuid::Uuid::nil()),
            seq: 0,
            revisions: BTreeMap::new(),
            policies: BTreeMap::new(),
            states: BTreeMap::new(),
            decisions: BTreeMap::new(),
            images: BTreeMap::new(),
        };
        let command = Command::CreateUser {
            username: "admin".to_owned(),
            password_hash: PasswordHash::new(String::new()),
            role: Role::Admin,
            tier: Tier::Enterprise,
        };
        let Ok((Outcome::UserCreated { user_id }, _)) = world.request(&Request::system(command)) else {
            panic!("the first user can be created")
        };
        world.admin = user_id;
        world
    }

    /// One command as a batch of its own: applied, planned, committed.
    pub fn request(&mut self, request: &Request) -> Result<(Outcome, Changes), Rejection> {
        let mut changes = Changes::default();
        let outcome = self.cluster.apply(request, self.now, &mut changes);
        self.finish(&mut changes);
        outcome.map(|outcome| (outcome, changes))
    }

    pub fn finish(&mut self, changes: &mut Changes) {
        assert!(self.cluster.settle(self.now, changes, &mut || true));
        self.commit(changes);
    }

    fn commit(&mut self, changes: &Changes) {
        for revision in &changes.revisions {
            self.revisions.insert((revision.deployment_id, revision.revision), revision.clone());
        }
        for (key, edit) in changes.image_digests.iter() {
            if let (Some(row), Some(digest)) = (self.revisions.get_mut(&key), &edit.after) {
                assert_eq!(row.image_digest, edit.before, "the row was as the change says");
                row.image_digest = Some(digest.clone());
            }
        }
        keep(&mut self.policies, &changes.policies);
        keep(&mut self.states, &changes.scaling_states);
        keep(&mut self.decisions, &changes.decisions);
        for version in &changes.policy_versions {
            assert!(self.policies.contains_key(&version.policy_id), "a version hangs on its policy");
        }
        self.cluster.committed(changes);
        assert!(self.cluster.policies().all(|policy| self.policies.get(&policy.id) == Some(policy)));
        assert_eq!(self.cluster.policies().count(), self.policies.len());
        assert!(self.cluster.scaling_states().all(|state| self.states.get(&state.target) == Some(state)));
        assert_eq!(self.cluster.scaling_states().count(), self.states.len());
        for policy in self.policies.values() {
            assert!(self.cluster.user(policy.user_id).is_some(), "{} has no owner", policy.spec.name);
        }
        let pending = self.decisions.values().filter(|decision| decision.status == DecisionStatus::Pending);
        assert_eq!(self.cluster.pending_decisions().count(), pending.count());
    }

    /// Another server takes over.
    pub fn reload(&mut self) {
        self.reload_with(Settings::default());
    }

    /// The same, with other settings.
    pub fn reload_with(&mut self, settings: Settings) {
        let durable = Durable {
            users: self.cluster.users().cloned().collect(),
            sessions: Vec::new(),
            nodes: self.cluster.nodes().iter().map(|(_, node)| node.clone()).collect(),
            deployments: self.cluster.deployments().map(|deployment| deployment.record.clone()).collect(),
            revisions: self.revisions.values().cloned().collect(),
            replicas: self.cluster.replicas().cloned().collect(),
            policies: self.policies.values().cloned().collect(),
            scaling_states: self.states.values().cloned().collect(),
            decisions: self
                .decisions
                .values()
                .filter(|decision| decision.status == DecisionStatus::Pending)
                .cloned()
                .collect(),
        };
        self.cluster =
            Cluster::load(durable, settings, IdSource::new(self.seq + 2), self.now).expect("nothing contradicts");
    }

    /// A user who may do what users may.
    pub fn add_user(&mut self, name: &str, tier: Tier) -> Actor {
        let command = Command::CreateUser {
            username: name.to_owned(),
            password_hash: PasswordHash::new(String::new()),
            role: Role::User,
            tier,
        };
        let Ok((Outcome::UserCreated { user_id }, _)) = self.as_admin(command) else { panic!("{name} can be created") };
        Actor::User { id: user_id, name: name.to_owned(), role: Role::User }
    }

    /// One command of somebody's, as a batch of its own.
    pub fn ask(&mut self, actor: &Actor, command: Command) -> Result<Outcome, Rejection> {
        let request = Request { actor: actor.clone(), command, idempotency: None, remote: None };
        self.request(&request).map(|(outcome, _)| outcome)
    }

    pub fn as_admin(&mut self, command: Command) -> Result<(Outcome, Changes), Rejection> {
        let actor = Actor::User { id: self.admin, name: "admin".to_owned(), role: Role::Admin };
        self.request(&Request { actor, command, idempotency: None, remote: None })
    }

    pub fn add_node(
        &mut self,
        name: &str,
        region: &str,
        zone: &str,
        capacity: Resources,
        runtimes: &[Runtime],
    ) -> Changes {
        let declaration = NodeDeclaration {
            name: name.to_owned(),
            region: region.to_owned(),
            zone: zone.to_owned(),
            capacity,
            runtimes: Runtimes::of(runtimes),
            labels: BTreeMap::new(),
        };
        let command = Command::DeclareNodes { nodes: vec![declaration] };
        self.request(&Request::agent(command)).expect("a node can be declared").1
    }

    pub fn node(&self, name: &str) -> NodeId {
        let index = self.cluster.nodes().index_named(name).unwrap_or_else(|| panic!("no node {name}"));
        self.cluster.nodes().record(index).expect("it has a name").id
    }

    pub fn deployment(&self, name: &str) -> DeploymentId {
        self.cluster.deployment_named(self.admin, name).unwrap_or_else(|| panic!("no deployment {name}")).record.id
    }

    /// Time passes. Nodes in `seen` send signs of life, the others are silent.
    pub fn advance(&mut self, by: Duration, seen: &[NodeId]) -> Changes {
        let mut changes = Changes::default();
        let end = self.now.plus(by);
        while self.now < end {
            self.now = end.min(self.now.plus(Duration::from_secs(1)));
            for node in seen {
                let command = Command::Observe { node_id: *node, reports: Vec::new() };
                let _ = self.cluster.apply(&Request::agent(command), self.now, &mut changes);
            }
            self.cluster.tick(self.now, &mut changes);
            assert!(self.cluster.settle(self.now, &mut changes, &mut || true));
        }
        self.commit(&changes);
        changes
    }

    pub fn report(
        &mut self,
        node: NodeId,
        replica: ReplicaId,
        state: ReportedState,
        ready: bool,
        message: &str,
    ) -> Changes {
        self.report_image(node, replica, state, ready, message, None)
    }

    pub fn report_image(
        &mut self,
        node: NodeId,
        replica: ReplicaId,
        state: ReportedState,
        ready: bool,
        message: &str,
        image_digest: Option<ImageDigest>,
    ) -> Changes {
        self.images.extend(image_digest.clone().map(|digest| (replica, digest)));
        let report = self.next_report(replica, state, ready);
        let message = (!message.is_empty()).then(|| message.to_owned());
        self.tell(node, ReplicaReport { image_digest, message, ..report })
    }

    /// An agent has started a replica again in place, so often by now, and it is not ready.
    pub fn restarted(&mut self, node: NodeId, replica: ReplicaId, restarts: u32) -> Changes {
        let report = self.next_report(replica, ReportedState::Starting, false);
        self.tell(node, ReplicaReport { restarts, ..report })
    }

    /// Nothing of a replica runs, and it will be started again in place.
    pub fn ended_for_now(&mut self, node: NodeId, replica: ReplicaId) -> Changes {
        let report = self.next_report(replica, ReportedState::Running, false);
        self.tell(node, ReplicaReport { endpoint: None, ..report })
    }

    /// A replica is seen in this state, and nothing is said of it.
    pub fn seen(&mut self, node: NodeId, replica: ReplicaId, state: ReportedState, ready: bool) -> Changes {
        let report = self.next_report(replica, state, ready);
        self.tell(node, report)
    }

    /// What an agent tells of one that has ended.
    pub fn end_of(&mut self, replica: ReplicaId) -> Request {
        let report = self.next_report(replica, ReportedState::Failed, false);
        let node_id = self.cluster.replica(replica).and_then(|replica| replica.node_id).expect("it is on a node");
        Request::agent(Command::Observe { node_id, reports: vec![report] })
    }

    fn next_report(&mut self, replica: ReplicaId, state: ReportedState, ready: bool) -> ReplicaReport {
        self.seq += 1;
        ReplicaReport {
            replica_id: replica,
            seq: self.seq,
            state,
            ready,
            restarts: 0,
            endpoint: Some(format!("10.0.0.1:{}", replica.as_uuid().as_u128() % 10_000 + 10_000)),
            container_id: None,
            image_digest: None,
            exit_code: None,
            message: None,
        }
    }

    fn tell(&mut self, node: NodeId, report: ReplicaReport) -> Changes {
        let command = Command::Observe { node_id: node, reports: vec![report] };
        self.request(&Request::agent(command)).expect("the node is known").1
    }

    /// The agents of `nodes` do one thing each for everything they are assigned. False when there was nothing to do.
    pub fn agents_obey_once(&mut self, nodes: &[NodeId]) -> bool {
        let mut busy = false;
        for node in nodes {
            for assigned in self.cluster.assignment(*node).replicas {
                let replica = self.cluster.replica(assigned.replica_id).expect("it is assigned").clone();
                let serves = self.cluster.is_ready(&replica);
                match assigned.want {
                    // What is drained runs on and says nothing new.
                    Want::Run if serves || !replica.status.is_live() => continue,
                    Want::Run => self.report(*node, replica.id, ReportedState::Running, true, ""),
                    Want::Stop => self.report(*node, replica.id, ReportedState::Stopped, false, ""),
                };
                busy = true;
            }
        }
        busy
    }

    pub fn online_nodes(&self) -> Vec<NodeId> {
        use fogline_core::record::Liveness;
        self.cluster.nodes().iter().filter(|(_, n)| n.liveness == Liveness::Online).map(|(_, n)| n.id).collect()
    }
}

/// What a database does with the edits of one table.
fn keep<K: Ord + Clone + Eq + std::hash::Hash, T: Clone + PartialEq + std::fmt::Debug>(
    rows: &mut BTreeMap<K, T>,
    edits: &Edits<K, T>,
) {
    for (key, edit) in edits.iter() {
        assert_eq!(rows.get(&key), edit.before.as_ref(), "the row was as the change says");
        match &edit.after {
            Some(row) => rows.insert(key, row.clone()),
            None => rows.remove(&key),
        };
    }
}

pub fn resources(cores: f64, memory_mb: u32) -> Resources {
    Resources {
        cpu_millis: CpuMillis::from_cores(cores).expect("a number of cores"),
        memory_mb,
        gpu_units: 0,
        storage_gb: 10,
    }
}

pub fn spec(name: &str, replicas: u32, resources: Resources) -> DeploymentSpec {
    let text = serde_json::json!({
        "name": name, "replicas": replicas, "command": ["service"],
        "resources": {"cpu": resources.cpu_millis.as_cores(), "memory": resources.memory_mb},
    });
    serde_json::from_value(text).expect("a spec")
}

pub fn deploy(spec: DeploymentSpec) -> Command {
    Command::Deploy { spec: Arc::new(spec) }
}
