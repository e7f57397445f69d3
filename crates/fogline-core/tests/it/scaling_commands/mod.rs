//! Scaling as commands: policies, decisions and people's counts, on a cluster that has rows.

mod counts;
mod decide;
mod manual;
mod outside;
mod pause;
mod policies;

use fogline_core::command::{Actor, Command, Decided, Outcome, Rejection};
use fogline_core::id::{DecisionId, DeploymentId, PolicyId};
use fogline_core::quantity::Resources;
use fogline_core::record::{DecisionRecord, ScalingTarget};
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::state::Change;
use fogline_core::scaling::{Decision, Inputs, State, evaluate};
use fogline_core::spec::Runtime;

use crate::scaling::stage::spec;
use crate::world::{self, World};

/// A node with room for 20 replicas of half a core.
fn site() -> World {
    let mut world = World::new();
    let room = Resources { storage_gb: 1_000, ..world::resources(10.0, 16_384) };
    world.add_node("n1", "r", "z", room, &[Runtime::Process]);
    world
}

/// The administrator.
fn admin(world: &World) -> Actor {
    Actor::User { id: world.admin, name: "admin".to_owned(), role: fogline_core::record::Role::Admin }
}

/// A deployment of somebody's, of which every replica runs.
fn deployed(world: &mut World, actor: &Actor, name: &str, replicas: u32) -> DeploymentId {
    let command = world::deploy(world::spec(name, replicas, world::resources(0.5, 512)));
    let Ok(Outcome::Deployed { deployment_id, .. }) = world.ask(actor, command) else { panic!("{name} fits") };
    settled(world);
    deployment_id
}

/// The agents do all that they are told.
fn settled(world: &mut World) {
    let nodes = world.online_nodes();
    while world.agents_obey_once(&nodes) {}
}

fn create(world: &mut World, actor: &Actor, yaml: &str) -> Result<PolicyId, Rejection> {
    match world.ask(actor, Command::CreatePolicy { spec: spec(yaml).into() })? {
        Outcome::PolicyCreated { policy_id } => Ok(policy_id),
        other => panic!("{other:?}"),
    }
}

fn update(world: &mut World, actor: &Actor, policy_id: PolicyId, yaml: &str) -> Result<u32, Rejection> {
    match world.ask(actor, Command::UpdatePolicy { policy_id, spec: spec(yaml).into(), based_on: None })? {
        Outcome::PolicyUpdated { version, .. } => Ok(version),
        other => panic!("{other:?}"),
    }
}

/// What the engine would hand over now, had it come to this count.
pub fn decided(world: &World, target: &ScalingTarget, to: u32) -> Decided {
    let view = world.cluster.scaling_target(target).expect("a policy is on it");
    let from = view.counts.current;
    let inputs = Inputs { replicas: view.counts, ..Inputs::default() };
    let state = State::resumed((*view.memory).clone(), from, world.now);
    let (decision, without) = evaluate(&view.policies, &inputs, &state, world.now);
    let mut memory = without.memory.clone();
    let action = Action::between(from, to);
    if action != Action::Hold {
        memory.changes.push(Change { at: world.now, from, to });
        memory.last_change = Some(world.now);
        memory.last_up = if action == Action::ScaleUp { Some(world.now) } else { memory.last_up };
    }
    let head = match action {
        Action::ScaleUp => format!("scaled up from {from} to {to}"),
        Action::ScaleDown => format!("scaled down from {from} to {to}"),
        Action::Hold => format!("held at {from}"),
    };
    let decision = Decision { action, replicas: to, reason: format!("{head}: lag is 90"), ..decision };
    Decided {
        target: target.clone(),
        based_on: view.version,
        decision,
        memory: Some(memory),
        memory_without: Some(without.memory),
        keep: true,
    }
}

fn submit(world: &mut World, decided: Decided) -> Result<Outcome, Rejection> {
    world.ask(&Actor::System, Command::Decide(Box::new(decided)))
}

/// The engine comes to this count.
fn decide(world: &mut World, target: &ScalingTarget, to: u32) -> Result<Outcome, Rejection> {
    let decided = decided(world, target, to);
    submit(world, decided)
}

/// The row that an outcome speaks of.
fn row(world: &World, outcome: &Outcome) -> DecisionRecord {
    let Outcome::Decided { decision_id: Some(id), .. } = outcome else { panic!("no row: {outcome:?}") };
    row_of(world, *id)
}

fn row_of(world: &World, id: DecisionId) -> DecisionRecord {
    world.decisions.get(&id).expect("it is committed").clone()
}

fn target_replicas(world: &World, id: DeploymentId) -> u32 {
    let record = &world.cluster.deployment(id).expect("there").record;
    assert_eq!(record.spec.replicas, record.target_replicas);
    record.target_replicas
}
