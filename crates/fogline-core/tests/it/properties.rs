//! What holds whatever people and agents do, in whatever order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::assignment::AssignedReplica;
use fogline_core::cluster::{Changes, Cluster};
use fogline_core::command::{Actor, ByHand, Command, Decided, Request};
use fogline_core::id::{DeploymentId, PolicyId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::planner;
use fogline_core::quantity::Resources;
use fogline_core::record::{Role, ScalingTarget};
use fogline_core::scaling::PolicySpec;
use fogline_core::scaling::policy::Mode;
use fogline_core::spec::{DeploymentSpec, RouteSpec, Runtime};
use fogline_core::state::DeploymentStatus;
use fogline_core::traffic::Upstream;
use proptest::prelude::*;

use crate::scaling_commands::decided;
use crate::world::{self, World};

#[derive(Clone, Debug)]
enum Step {
    Deploy { name: u8, replicas: u32, half_cores: u32, wait: bool },
    Scale { name: u8, replicas: i64 },
    Update { name: u8, version: u8, replicas: u32, half_cores: u32 },
    Stop { name: u8 },
    Start { name: u8 },
    Delete { name: u8 },
    Govern { policy: u8, name: u8, shape: u8 },
    Release { policy: u8 },
    Pause { policy: u8, seconds: u64 },
    Decide { name: u8, replicas: u32, keep: bool },
    ScaleTarget { name: u8, replicas: i64 },
    Complete { failed: bool },
    Drain { node: u8, on: bool },
    Remove { node: u8 },
    Report { pick: usize, state: u8, ready: bool, image: Option<u8> },
    Obey,
    Wait { seconds: u64, silent: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, 1..8u32, 1..6u32, any::<bool>()).prop_map(|(name, replicas, half_cores, wait)| Step::Deploy {
            name,
            replicas,
            half_cores,
            wait
        }),
        (0..4u8, -1..12i64).prop_map(|(name, replicas)| Step::Scale { name, replicas }),
        (0..4u8, any::<u8>(), 1..8u32, 1..6u32).prop_map(|(name, version, replicas, half_cores)| Step::Update {
            name,
            version,
            replicas,
            half_cores
        }),
        (0..4u8).prop_map(|name| Step::Stop { name }),
        (0..4u8).prop_map(|name| Step::Start { name }),
        (0..4u8).prop_map(|name| Step::Delete { name }),
        (0..6u8, 0..6u8, any::<u8>()).prop_map(|(policy, name, shape)| Step::Govern { policy, name, shape }),
        (0..6u8).prop_map(|policy| Step::Release { policy }),
        (0..6u8, 0..60u64).prop_map(|(policy, seconds)| Step::Pause { policy, seconds }),
        (0..6u8, 0..12u32, any::<bool>()).prop_map(|(name, replicas, keep)| Step::Decide { name, replicas, keep }),
        (0..6u8, 0..12i64).prop_map(|(name, replicas)| Step::ScaleTarget { name, replicas }),
        any::<bool>().prop_map(|failed| Step::Complete { failed }),
        (0..5u8, any::<bool>()).prop_map(|(node, on)| Step::Drain { node, on }),
        (0..5u8).prop_map(|node| Step::Remove { node }),
        (any::<usize>(), 0..4u8, any::<bool>(), proptest::option::of(0..3u8))
            .prop_map(|(pick, state, ready, image)| Step::Report { pick, state, ready, image }),
        Just(Step::Obey),
        Just(Step::Obey),
        (1..30u64, any::<u8>()).prop_map(|(seconds, silent)| Step::Wait { seconds, silent }),
    ]
}

fn command(world: &World, step: &Step) -> Option<Command> {
    let id = |name: u8| {
        let deployment = world.cluster.deployment_named(world.admin, &format!("d{name}"))?;
        Some(deployment.record.id)
    };
    let node = |number: u8| {
        let index = world.cluster.nodes().index_named(&format!("n{number}"))?;
        Some(world.cluster.nodes().record(index)?.id)
    };
    let room = |half_cores: u32| world::resources(f64::from(half_cores) / 2.0, 512);
    Some(match *step {
        Step::Deploy { name, replicas, half_cores, wait } => {
            let mut spec = world::spec(&format!("d{name}"), replicas, room(half_cores));
            if name % 2 == 1 {
                spec.container_image = Some("web:v1".to_owned());
                spec.runtime = Some(Runtime::Docker);
            }
            if name % 3 == 2 {
                spec.port = Some(8_080);
                spec.drain_timeout_s = 7;
                spec.routes = vec![RouteSpec { host: Some(format!("d{name}.test")), ..RouteSpec::default() }];
            }
            if wait {
                spec.placement.when_full = fogline_core::spec::WhenFull::Wait;
            }
            world::deploy(spec)
        }
        Step::Scale { name, replicas } => Command::ScaleDeployment { deployment_id: id(name)?, replicas },
        Step::Update { name, version, replicas, half_cores } => {
            let deployment_id = id(name)?;
            let known = world.cluster.deployment(deployment_id)?.record.spec.clone();
            let spec = DeploymentSpec {
                command: vec![format!("v{version}")],
                replicas,
                resources: Resources { storage_gb: 10, ..room(half_cores) },
                ..(*known).clone()
            };
            Command::UpdateDeployment { deployment_id, spec: Arc::new(spec), based_on: Some(known) }
        }
        Step::Stop { name } => Command::StopDeployment { deployment_id: id(name)? },
        Step::Start { name } => Command::StartDeployment { deployment_id: id(name)? },
        Step::Delete { name } => Command::DeleteDeployment { deployment_id: id(name)? },
        Step::Govern { policy, name, shape } => govern(world, policy, name, shape),
        Step::Release { policy } => Command::DeletePolicy { policy_id: policy_id(world, policy)? },
        Step::Pause { policy, seconds } => {
            let until = (seconds > 0).then(|| world.now.plus(Duration::from_secs(seconds)));
            Command::PausePolicy { policy_id: policy_id(world, policy)?, until }
        }
        Step::Decide { name, replicas, keep } => {
            let target = target(world, name);
            world.cluster.scaling_target(&target)?;
            Command::Decide(Box::new(Decided { keep, ..decided(world, &target, replicas) }))
        }
        Step::ScaleTarget { name, replicas } => {
            Command::ScaleTarget { target: target(world, name), count: ByHand { replicas, ..ByHand::default() } }
        }
        Step::Complete { failed } => {
            let decision_id = world.cluster.pending_decisions().map(|decision| decision.id).min()?;
            Command::CompleteDecision { decision_id, error: failed.then(|| "it went wrong".to_owned()) }
        }
        Step::Drain { node: number, on } => {
            Command::UpdateNode { node_id: node(number)?, cordoned: None, draining: Some(on), labels: None }
        }
        Step::Remove { node: number } => Command::DeleteNode { node_id: node(number)?, force: true },
        Step::Report { .. } | Step::Obey | Step::Wait { .. } => return None,
    })
}

/// A deployment of that name where there is one, else something outside.
fn target(world: &World, name: u8) -> ScalingTarget {
    let actor = Actor::User { id: world.admin, name: "admin".to_owned(), role: Role::Admin };
    world.cluster.resolve_target(&actor, "proxy", Some(&format!("d{name}"))).expect("any name is something")
}

fn policy_id(world: &World, policy: u8) -> Option<PolicyId> {
    world.cluster.policy_named(world.admin, &format!("p{policy}")).map(|policy| policy.id)
}

/// Writes a policy, or writes it anew.
fn govern(world: &World, policy: u8, name: u8, shape: u8) -> Command {
    let bit = |bit: u8| shape & (1 << bit) != 0;
    let mut spec = PolicySpec::new(format!("p{policy}"), "proxy");
    spec.target_id = Some(format!("d{name}"));
    spec.enabled = !bit(0) || bit(1);
    spec.mode = if bit(2) && bit(3) { Mode::Shadow } else { Mode::Active };
    spec.dry_run = bit(4) && bit(5);
    spec.scale_to_zero = bit(6);
    spec.max_replicas = if bit(7) { 3 } else { 10 };
    let spec = Arc::new(spec);
    match policy_id(world, policy) {
        Some(policy_id) => Command::UpdatePolicy { policy_id, spec, based_on: None },
        None => Command::CreatePolicy { spec },
    }
}

/// People ask for everything but what the engine decides.
fn request(world: &World, command: Command) -> Request {
    match command {
        Command::Decide(_) => Request::system(command),
        command => {
            let actor = Actor::User { id: world.admin, name: "admin".to_owned(), role: Role::Admin };
            Request { actor, command, idempotency: None, remote: None }
        }
    }
}

/// Everything durable and everything reserved, in a fixed order.
fn rows(cluster: &Cluster) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(cluster.users().map(|user| format!("{user:?}")));
    lines
        .extend(cluster.nodes().iter().map(|(index, node)| format!("{node:?} free {:?}", cluster.nodes().free(index))));
    lines.extend(cluster.deployments().map(|deployment| format!("{deployment:?}")));
    lines.extend(cluster.deployments().map(|deployment| {
        let record = &deployment.record;
        let named = cluster.deployment_named(record.user_id, &record.spec.name).map(|found| found.record.id);
        format!("{} is found as {named:?}", record.id)
    }));
    lines.extend(cluster.replicas().map(|replica| format!("{} ready: {}", replica.id, cluster.is_ready(replica))));
    lines.extend(
        cluster
            .nodes()
            .iter()
            .map(|(_, node)| format!("{} seen {:?}", node.id, cluster.observed().nodes.get(&node.id))),
    );
    lines.extend(cluster.replicas().map(|replica| format!("{replica:?}")));
    lines.extend(cluster.policies().map(|policy| {
        let named = cluster.policy_named(policy.user_id, &policy.spec.name).map(|found| found.id);
        let on: Vec<_> = cluster.policies_on(&policy.target).map(|policy| policy.id).collect();
        let owned: Vec<_> = cluster.policies_of(policy.user_id).map(|policy| policy.id).collect();
        format!("{policy:?} is found as {named:?}, on its target {on:?}, of its owner {owned:?}")
    }));
    lines.extend(cluster.scaling_states().map(|state| format!("{state:?}")));
    lines.extend(cluster.pending_decisions().map(|decision| {
        format!("{decision:?} is found as {:?}", cluster.pending_on(&decision.target).map(|found| found.id))
    }));
    lines.extend(cluster.scaling_targets().iter().map(|view| format!("{view:?}")));
    lines.sort();
    lines.join("\n")
}

fn check_invariants(cluster: &Cluster) {
    let mut reserved: BTreeMap<_, Resources> = BTreeMap::new();
    for replica in cluster.replicas() {
        let on = reserved.entry(replica.node_id.expect("a replica that is not gone has a node")).or_default();
        *on = on.plus(replica.resources);
    }
    for (index, node) in cluster.nodes().iter() {
        let taken = reserved.get(&node.id).copied().unwrap_or_default();
        assert!(node.capacity.covers(taken), "{} is over-committed: {taken} of {}", node.name, node.capacity);
        assert_eq!(cluster.nodes().free(index), node.capacity.less(taken), "{}: free is not what is left", node.name);
    }
    for deployment in cluster.deployments() {
        let live = cluster.replicas_of(deployment).filter(|replica| replica.status.is_live()).count();
        let record = &deployment.record;
        let most = if record.status.wants_replicas() { record.target_replicas as usize + 1 } else { 0 };
        assert!(
            live <= most,
            "{} has {live} replicas, {} and one in surge are the most",
            record.spec.name,
            record.target_replicas
        );
    }
}

type Served = (DeploymentId, Arc<[RouteSpec]>, Vec<Upstream>);

/// What proxies and agents are told.
fn front(cluster: &Cluster) -> (Vec<Served>, Vec<AssignedReplica>) {
    let services = cluster.services().into_iter();
    let services = services.map(|service| (service.deployment_id, service.routes, service.upstreams)).collect();
    // A node that came back may have another place in the table.
    let nodes = cluster.nodes().iter().flat_map(|(_, node)| cluster.assignment(node.id).replicas);
    let mut assigned: Vec<AssignedReplica> = nodes.collect();
    assigned.sort_by_key(|replica| replica.replica_id);
    (services, assigned)
}

/// Nothing hangs on what is not there.
fn check_scaling(cluster: &Cluster) {
    for policy in cluster.policies() {
        if let ScalingTarget::Deployment(id) = policy.target {
            let status = cluster.deployment(id).map(|deployment| deployment.record.status);
            assert!(status.is_some_and(|status| status != DeploymentStatus::Deleted), "{policy:?} is on {status:?}");
        }
    }
    for state in cluster.scaling_states() {
        assert!(cluster.policies_on(&state.target).next().is_some(), "{state:?} is nobody's");
        let pending = cluster.pending_on(&state.target).is_some();
        assert_eq!(state.memory.undo.is_some(), pending, "{state:?}");
    }
    for decision in cluster.pending_decisions() {
        assert!(cluster.scaling_state(&decision.target).is_some(), "{decision:?} is nobody's");
    }
}

/// What a revision is made of never changes, and nothing of another image goes on.
fn check_images(world: &World, settled: &mut BTreeMap<(DeploymentId, u32), ImageDigest>) {
    for deployment in world.cluster.deployments() {
        let id = deployment.record.id;
        for (revision, digest) in &deployment.image_digests {
            assert_eq!(settled.entry((id, *revision)).or_insert_with(|| digest.clone()), digest);
        }
        for replica in world.cluster.replicas_of(deployment).filter(|replica| replica.status.is_live()) {
            let template = &deployment.templates[&replica.revision];
            let told = world.images.get(&replica.id).filter(|_| template.runtime == Runtime::Docker);
            assert!(
                told.is_none_or(|told| deployment.image_digests.get(&replica.revision) == Some(told)),
                "{replica:?} is made of {told:?}, and its revision of {:?}",
                deployment.image_digests
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nodes_are_never_over_committed_and_everything_converges(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for number in 0..5 {
            let room = Resources { storage_gb: 1_000, ..world::resources(4.0, 16_384) };
            world.add_node(&format!("n{number}"), "r", if number % 2 == 0 { "a" } else { "b" }, room, &[Runtime::Process, Runtime::Docker]);
        }
        let mut settled = BTreeMap::new();
        for step in &steps {
            play(&mut world, step);
            check_invariants(&world.cluster);
            check_scaling(&world.cluster);
            check_images(&world, &mut settled);
        }
        // Left alone, everything ends up as asked, and there it stays.
        let mut quiet = false;
        for _ in 0..400 {
            let nodes = world.online_nodes();
            while world.agents_obey_once(&nodes) {}
            let all: Vec<_> = world.cluster.nodes().iter().map(|(_, node)| node.id).collect();
            let changes = world.advance(Duration::from_secs(5), &all);
            check_invariants(&world.cluster);
            quiet = changes.is_empty() && world.cluster.replicas().all(|replica| replica.status.is_live());
            if quiet {
                break;
            }
        }
        prop_assert!(quiet, "left alone, it never came to rest");
        for deployment in world.cluster.deployments() {
            let plan = planner::plan(&world.cluster, deployment.record.id, world.now);
            prop_assert!(plan.is_empty(), "{:?} still plans {plan:?}", deployment.record);
            if deployment.record.status == DeploymentStatus::Running && plan.unplaced == 0 && plan.recheck_at.is_none() {
                prop_assert_eq!(deployment.replicas.len(), deployment.record.target_replicas as usize);
            }
        }
    }

    #[test]
    fn a_batch_that_is_taken_back_leaves_no_trace(
        before in proptest::collection::vec(step(), 0..25),
        batch in proptest::collection::vec(step(), 1..15),
    ) {
        let mut world = World::new();
        for number in 0..5 {
            let room = Resources { storage_gb: 1_000, ..world::resources(4.0, 16_384) };
            world.add_node(&format!("n{number}"), "r", "z", room, &[Runtime::Process, Runtime::Docker]);
        }
        for step in &before {
            play(&mut world, step);
        }
        let was = rows(&world.cluster);
        let front = front(&world.cluster);
        let mut changes = Changes::default();
        for step in &batch {
            if let Some(command) = command(&world, step) {
                let request = request(&world, command);
                let _ = world.cluster.apply(&request, world.now, &mut changes);
            }
        }
        world.cluster.settle(world.now, &mut changes, &mut || true);
        world.cluster.revert(&changes);
        prop_assert_eq!(rows(&world.cluster), was);
        prop_assert_eq!(self::front(&world.cluster), front);
    }

    #[test]
    fn a_report_heard_twice_or_late_changes_nothing_more(steps in proptest::collection::vec(step(), 1..30), pick: usize) {
        let mut world = World::new();
        let room = Resources { storage_gb: 1_000, ..world::resources(4.0, 16_384) };
        world.add_node("n0", "r", "z", room, &[Runtime::Process, Runtime::Docker]);
        for step in &steps {
            play(&mut world, step);
        }
        let held: Vec<_> = world.cluster.replicas().map(|replica| (replica.id, replica.node_id)).collect();
        if let Some((replica_id, Some(node_id))) = held.get(pick % held.len().max(1)).copied() {
            let report = |seq, state, ready| ReplicaReport {
                replica_id, seq, state, ready, restarts: 0, endpoint: None, container_id: None, image_digest: None, exit_code: None,
                message: None,
            };
            let tell = |world: &mut World, report| {
                let command = Command::Observe { node_id, reports: vec![report] };
                world.request(&Request::agent(command)).expect("the node is known");
            };
            tell(&mut world, report(1_000_000, ReportedState::Running, true));
            let was = rows(&world.cluster);
            tell(&mut world, report(1_000_000, ReportedState::Running, true));
            tell(&mut world, report(999_999, ReportedState::Starting, false));
            prop_assert_eq!(rows(&world.cluster), was);
        }
    }
}

fn play(world: &mut World, step: &Step) {
    if let Some(command) = command(world, step) {
        let request = request(world, command);
        let _ = world.request(&request);
        return;
    }
    match *step {
        Step::Report { pick, state, ready, image } => {
            let mut held: Vec<_> = world.cluster.replicas().map(|replica| (replica.id, replica.node_id)).collect();
            held.sort();
            if let Some((id, Some(node))) = held.get(pick % held.len().max(1)).copied() {
                let states =
                    [ReportedState::Starting, ReportedState::Running, ReportedState::Stopped, ReportedState::Failed];
                let state = states[state as usize % states.len()];
                let image =
                    image.map(|digit| format!("sha256:{}", digit.to_string().repeat(64)).parse().expect("a digest"));
                world.report_image(node, id, state, ready, "said so", image);
            }
        }
        Step::Obey => {
            let nodes = world.online_nodes();
            world.agents_obey_once(&nodes);
        }
        Step::Wait { seconds, silent } => {
            let all = world.cluster.nodes().iter().map(|(index, node)| (index.0, node.id));
            let heard: Vec<_> = all.filter(|(at, _)| silent & (1 << (at % 8)) == 0).map(|(_, id)| id).collect();
            world.advance(Duration::from_secs(seconds), &heard);
        }
        _ => {}
    }
}
