//! A state in which every table has rows and every column values of every kind that it may hold.

use std::time::Duration;

use fogline_core::cluster::{Changes, RevisionRecord};
use fogline_core::command::Outcome;
use fogline_core::quantity::CpuMillis;
use fogline_core::record::{
    AuditRecord, DecisionStatus, DeploymentRecord, IdempotencyRecord, Liveness, NodeRecord, Role, Runtimes,
    ScalingTarget, SessionRecord, Tier, UserRecord,
};
use fogline_core::scaling::policy::Mode;
use fogline_core::spec::Runtime;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_store::Store;

use crate::rows::START;
use crate::world::{World, add};

/// Texts that one backend or another might sort, escape or fold in its own way.
const TEXTS: [&str; 8] = [
    "plain",
    "Zoë «β» 日本 🦀",
    "a \"quoted\" \\ back\\slash",
    "line\nbreak\ttab\r",
    "'; DROP TABLE users; --",
    "\u{1b}[31mred\u{7f}\u{202e}",
    "",
    "[1,2]",
];

/// Fills the store. Large enough for several chunks and several statements of each table.
pub async fn fill(store: Store) -> World {
    let mut world = World::new(store).await;
    let users = users(&mut world).await;
    let nodes = nodes(&mut world).await;
    for round in 0..30 {
        deployment(&mut world, &users[round % users.len()], &nodes, round).await;
    }
    answers_and_audit(&mut world, &users).await;
    scaling(&mut world, &users).await;
    world
}

async fn scaling(world: &mut World, users: &[UserRecord]) {
    let mut changes = Changes::default();
    for (at, text) in TEXTS.iter().cycle().take(300).enumerate() {
        let user = &users[at % users.len()];
        let target = if at % 2 == 0 {
            ScalingTarget::Deployment(world.rows.ids.next(START))
        } else {
            ScalingTarget::Outside { owner: user.id, target_type: "B".repeat(at % 3), target_id: format!("{text}{at}") }
        };
        let mut policy = world.rows.policy(user, &format!("policy-{at}"), &target);
        let mut spec = (*policy.spec).clone();
        spec.target_id = (at % 3 != 0).then(|| (*text).to_owned());
        spec.enabled = at % 5 == 0;
        // Numbers that one database writes out and another does not.
        spec.max_hourly_cost = Some([0.1, 1e17, 1.7e18, 1e22, 5e-324, 3.0][at % 6]);
        spec.mode = if at % 2 == 0 { Mode::Active } else { Mode::Shadow };
        policy.spec = spec.into();
        add(&mut changes.policies, policy.id, &policy);
        let mut version = world.rows.policy_version(&policy);
        version.created_by = (at % 3 != 0).then_some(user.id);
        changes.policy_versions.push(version);
        let mut state = world.rows.scaling_state(&policy);
        state.replicas = (at % 2 == 0).then_some(u32::MAX);
        add(&mut changes.scaling_states, state.target.clone(), &state);
        let mut decision = world.rows.decision(&policy, 2, 2 + u32::try_from(at % 3).expect("small"));
        decision.dry_run = at % 4 == 0;
        decision.triggered_by = (at % 5 == 0).then_some(user.id);
        match at % 3 {
            0 => (decision.status, decision.completed_at) = (DecisionStatus::Pending, None),
            1 => (decision.status, decision.error) = (DecisionStatus::Failed, Some((*text).to_owned())),
            _ => (decision.policy_id, decision.policy_name) = (None, None),
        }
        add(&mut changes.decisions, decision.id, &decision);
    }
    world.commit(&changes).await;
}

async fn users(world: &mut World) -> Vec<UserRecord> {
    let mut changes = Changes::default();
    let mut users = vec![world.user.clone()];
    for (at, name) in ["B", "a", "_", "é", "zed"].into_iter().enumerate() {
        let mut user = world.rows.user(name);
        user.role = [Role::Admin, Role::User, Role::Viewer][at % 3];
        user.tier = [Tier::Free, Tier::Pro, Tier::Enterprise][at % 3];
        user.disabled = at % 2 == 0;
        add(&mut changes.users, user.id, &user);
        users.push(user);
    }
    for (at, user) in users.iter().cycle().take(40).enumerate() {
        let now = world.rows.now();
        let session = SessionRecord {
            id: world.rows.ids.next(now),
            user_id: user.id,
            refresh_hash: [u8::try_from(at).expect("small") | 0x80; 32],
            created_at: now,
            expires_at: now.plus(Duration::from_secs(1 << 30)),
            revoked_at: (at % 3 == 0).then_some(now),
        };
        add(&mut changes.sessions, session.id, &session);
    }
    world.commit(&changes).await;
    users
}

async fn nodes(world: &mut World) -> Vec<NodeRecord> {
    let mut changes = Changes::default();
    let mut nodes = vec![world.node.clone()];
    for at in 0..300_u32 {
        let mut node = world.rows.node(&format!("edge-{at}"));
        node.capacity.cpu_millis = CpuMillis(at * 37 + 1);
        node.capacity.gpu_units = at % 3;
        node.runtimes = if at % 5 == 0 { Runtimes::default() } else { Runtimes::of(&[Runtime::Process]) };
        let text = TEXTS[at as usize % TEXTS.len()];
        node.labels.insert(format!("z{text}"), text.to_owned());
        node.labels.insert("A".to_owned(), "sorts first".to_owned());
        node.liveness = if at % 2 == 0 { Liveness::Online } else { Liveness::Offline };
        (node.cordoned, node.draining) = (at % 2 == 0, at % 3 == 0);
        add(&mut changes.nodes, node.id, &node);
        nodes.push(node);
    }
    world.commit(&changes).await;
    nodes
}

async fn deployment(world: &mut World, user: &UserRecord, nodes: &[NodeRecord], round: usize) {
    let mut changes = Changes::default();
    let mut record: DeploymentRecord = world.rows.deployment(user, &format!("service-{round}"));
    let mut spec = (*record.spec).clone();
    spec.env.insert("TEXT".to_owned(), TEXTS[round % TEXTS.len()].to_owned());
    spec.resources.cpu_millis = CpuMillis(u32::try_from(round).expect("small") * 100 + 1);
    if round.is_multiple_of(4) {
        (spec.container_image, spec.runtime) = (None, Some(Runtime::Process));
        spec.command = vec!["sh".to_owned(), "-c".to_owned(), TEXTS[2].to_owned()];
    }
    record.spec = spec.into();
    if round.is_multiple_of(5) {
        record.status = DeploymentStatus::Deleted;
        record.deleted_at = Some(world.rows.now());
    }
    add(&mut changes.deployments, record.id, &record);
    for revision in 1..=3 {
        let digest = format!("sha256:{:064x}", round * 10 + revision as usize);
        changes.revisions.push(RevisionRecord {
            revision,
            image_digest: (revision % 2 == 0).then(|| digest.parse().expect("a digest")),
            created_by: (revision != 3).then_some(user.id),
            ..world.rows.revision(&record)
        });
        let mut line = world.rows.history(&record, revision, "none", "pending");
        line.reason = TEXTS[(round + revision as usize) % TEXTS.len()].into();
        line.changed_by = (revision != 2).then_some(user.id);
        changes.history.push(line);
    }
    let states = [
        ReplicaStatus::Pending,
        ReplicaStatus::Starting,
        ReplicaStatus::Running,
        ReplicaStatus::Stopping,
        ReplicaStatus::Stopped,
        ReplicaStatus::Failed,
    ];
    for at in 0..20 {
        let mut replica = world.rows.replica(&record, &nodes[(round + at) % nodes.len()]);
        replica.status = states[at % states.len()];
        if at % 2 == 0 {
            replica.node_id = None;
            replica.host_port = Some(u16::try_from(20_000 + at).expect("a port"));
            replica.endpoint = Some(format!("127.0.0.1:{}", 20_000 + at).into());
            replica.container_id = Some(format!("{round}-{at}").into());
            replica.restarts = u32::try_from(at).expect("small");
            replica.replaces = Some(world.replica.id);
            replica.exit_code = Some(-9);
            replica.reason = Some(TEXTS[at % TEXTS.len()].into());
            replica.started_at = Some(world.rows.now());
            replica.stopped_at = Some(world.rows.now());
        }
        add(&mut changes.replicas, replica.id, &replica);
    }
    world.commit(&changes).await;
}

async fn answers_and_audit(world: &mut World, users: &[UserRecord]) {
    let mut changes = Changes::default();
    for at in 0..400_usize {
        let now = world.rows.now();
        let user = &users[at % users.len()];
        changes.audit.push(AuditRecord {
            id: world.rows.ids.next(now),
            at: now,
            actor: (at % 3 != 0).then_some(user.id),
            actor_name: TEXTS[at % TEXTS.len()].to_owned(),
            action: "deployment.scale",
            object: world.deployment.id.to_string(),
            outcome: "ok".to_owned(),
            remote: (at % 2 == 0).then(|| "[::1]:4711".to_owned()),
            detail: TEXTS[(at + 1) % TEXTS.len()].repeat(20),
        });
        // Names that languages sort in other orders than bytes do.
        let key = format!("{}{at}", ["a", "B", "_", "é", "Z", "ß", "-"][at % 7]);
        let outcome = Outcome::Deployed { deployment_id: world.deployment.id, replicas: 3 };
        changes.idempotency.push(IdempotencyRecord {
            user_id: user.id,
            key,
            fingerprint: [7; 32],
            outcome,
            created_at: now,
        });
    }
    world.commit(&changes).await;
}
