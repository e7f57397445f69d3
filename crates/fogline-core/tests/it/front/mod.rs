//! Deployments with a way in: who may claim it, what proxies are told, and what they change by telling.

mod claims;
mod drain;
mod drain_properties;
mod services;
mod specs;
mod traffic;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use fogline_core::assignment::Want;
use fogline_core::cluster::Changes;
use fogline_core::command::{Actor, Command, Outcome, Rejection, Request};
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::observation::ReportedState;
use fogline_core::quantity::Resources;
use fogline_core::record::Role;
use fogline_core::spec::{DeploymentSpec, Runtime};
use fogline_core::traffic::ServiceSignal;
use serde_json::{Value, json};

use crate::world::{self, World};

/// A node with room for 20 replicas of half a core.
fn site() -> World {
    let mut world = World::new();
    let room = Resources { storage_gb: 1_000, ..world::resources(10.0, 16_384) };
    world.add_node("n1", "r", "z", room, &[Runtime::Process]);
    world
}

/// The same once a new leader has waited for proxies.
fn old_site() -> World {
    let mut world = site();
    pass(&mut world, 5);
    world
}

fn admin(world: &World) -> Actor {
    Actor::User { id: world.admin, name: "admin".to_owned(), role: Role::Admin }
}

/// A spec with these fields beside what every spec has.
fn spec(name: &str, fields: &Value) -> DeploymentSpec {
    let mut text = json!({
        "name": name, "command": ["service"], "port": 8080, "resources": {"cpu": 0.5, "memory": 512},
    });
    let text_fields = text.as_object_mut().expect("an object");
    text_fields.extend(fields.as_object().expect("an object").clone());
    serde_json::from_value(text).unwrap_or_else(|error| panic!("{error}: {fields}"))
}

fn deploy(world: &mut World, actor: &Actor, name: &str, fields: &Value) -> Result<DeploymentId, Rejection> {
    match world.ask(actor, Command::Deploy { spec: Arc::new(spec(name, fields)) })? {
        Outcome::Deployed { deployment_id, .. } => Ok(deployment_id),
        other => panic!("{other:?}"),
    }
}

fn update(world: &mut World, actor: &Actor, id: DeploymentId, name: &str, fields: &Value) -> Result<(), Rejection> {
    let spec = Arc::new(spec(name, fields));
    world.ask(actor, Command::UpdateDeployment { deployment_id: id, spec, based_on: None }).map(|_| ())
}

/// A deployment of the administrator's behind `web.test` whose replicas all serve.
fn serving(world: &mut World, name: &str, fields: &Value) -> DeploymentId {
    let actor = admin(world);
    let id = deploy(world, &actor, name, fields).expect("it fits");
    bring_up(world);
    id
}

/// Every replica that is to run is ready; of those that are to stop, nothing is told.
fn bring_up(world: &mut World) {
    loop {
        let node = world.node("n1");
        let starting = world
            .cluster
            .replicas_on(node)
            .find(|replica| replica.status.is_live() && !world.cluster.is_ready(replica));
        let Some(replica) = starting.map(|replica| replica.id) else { return };
        world.seen(node, replica, ReportedState::Running, true);
    }
}

/// The agent has stopped what it was told to stop.
fn obey(world: &mut World) {
    let node = world.node("n1");
    for assigned in world.cluster.assignment(node).replicas {
        if assigned.want == Want::Stop {
            world.seen(node, assigned.replica_id, ReportedState::Stopped, false);
        }
    }
}

fn wanted(world: &World, replica: ReplicaId) -> Option<Want> {
    let assignment = world.cluster.assignment(world.node("n1"));
    assignment.replicas.iter().find(|assigned| assigned.replica_id == replica).map(|assigned| assigned.want)
}

fn replicas(world: &World, id: DeploymentId) -> Vec<ReplicaId> {
    world.cluster.deployment(id).expect("it is there").replicas.iter().copied().collect()
}

/// Time passes, and the node goes on living.
fn pass(world: &mut World, seconds: u64) -> Changes {
    let nodes: Vec<NodeId> = world.online_nodes();
    world.advance(Duration::from_secs(seconds), &nodes)
}

fn tell(world: &mut World, command: Command) -> Result<(Outcome, Changes), Rejection> {
    world.request(&Request::agent(command))
}

fn attach(world: &mut World, proxy: &str) {
    tell(world, Command::AttachProxy { proxy: proxy.to_owned() }).expect("a proxy may present itself");
    note(world, proxy, &[], &[]);
}

fn detach(world: &mut World, proxy: &str) {
    tell(world, Command::DetachProxy { proxy: proxy.to_owned() }).expect("a proxy may go");
}

fn note(world: &mut World, proxy: &str, let_go: &[ReplicaId], signals: &[ServiceSignal]) -> Changes {
    let (let_go, signals) = (let_go.to_vec(), signals.to_vec());
    tell(world, Command::NoteTraffic { proxy: proxy.to_owned(), let_go, signals }).expect("it is attached").1
}

/// So many requests so far, so many open, none held.
const fn signal(deployment_id: DeploymentId, begun: u64, open: u32, quiet_s: u64) -> ServiceSignal {
    ServiceSignal { deployment_id, begun, open, held: 0, quiet: Duration::from_secs(quiet_s) }
}
