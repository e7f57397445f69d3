//! Commands that must not do what they say: made from something old, or about something that is nobody's.

use std::sync::Arc;

use fogline_core::assignment::Want;
use fogline_core::command::{Command, Outcome, Rejection, Request};
use fogline_core::id::{DeploymentId, IdSource, ReplicaId};
use fogline_core::observation::ReportedState;
use fogline_core::quantity::Resources;
use fogline_core::spec::{DeploymentSpec, Runtime};

use crate::world::{self, World};

fn world_with_a_node() -> World {
    let mut world = World::new();
    let room = Resources { storage_gb: 1_000, ..world::resources(4.0, 16_384) };
    world.add_node("n1", "r", "z", room, &[Runtime::Process]);
    world
}

#[test]
fn an_update_made_from_an_old_spec_is_refused() {
    let mut world = world_with_a_node();
    world.as_admin(world::deploy(world::spec("web", 1, world::resources(0.5, 512)))).expect("fits");
    let deployment_id = world.deployment("web");
    let old = world.cluster.deployment(deployment_id).expect("there").record.spec.clone();
    world.as_admin(Command::ScaleDeployment { deployment_id, replicas: 2 }).expect("fits");
    let spec = Arc::new(DeploymentSpec { command: vec!["other".to_owned()], ..(*old).clone() });
    let update = |based_on| Command::UpdateDeployment { deployment_id, spec: spec.clone(), based_on };
    let refused = world.as_admin(update(Some(old))).expect_err("the target has changed since");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
    assert_eq!(world.cluster.deployment(deployment_id).expect("there").record.target_replicas, 2);
    let now = world.cluster.deployment(deployment_id).expect("there").record.spec.clone();
    world.as_admin(update(Some(now))).expect("made from what is there");
}

#[test]
fn a_replica_without_a_row_is_left_alone_until_somebody_orders_its_stop() {
    let mut world = world_with_a_node();
    let node_id = world.node("n1");
    let stranger: ReplicaId = IdSource::new(9).next(world.now);
    world.report(node_id, stranger, ReportedState::Running, true, "");
    assert!(world.cluster.assignment(node_id).replicas.is_empty(), "nothing is ordered");
    let stop = |replica_id| Command::StopUnlisted {
        node_id,
        replica_id,
        deployment_id: DeploymentId::from_uuid(uuid::Uuid::nil()),
        revision: 0,
    };
    let nobody: ReplicaId = IdSource::new(10).next(world.now);
    assert!(world.as_admin(stop(nobody)).is_err(), "it was never seen");
    world.as_admin(stop(stranger)).expect("it runs there");
    let ordered = world.cluster.assignment(node_id).replicas;
    assert_eq!((ordered.len(), ordered[0].replica_id, ordered[0].want), (1, stranger, Want::Stop));
    world.report(node_id, stranger, ReportedState::Stopped, false, "");
    assert!(world.cluster.assignment(node_id).replicas.is_empty(), "it is gone");
}

#[test]
fn a_token_that_outlives_its_user_does_nothing() {
    let mut world = world_with_a_node();
    let create = |name: &str| Command::CreateUser {
        username: name.to_owned(),
        password_hash: fogline_core::record::PasswordHash::new(String::new()),
        role: fogline_core::record::Role::User,
        tier: fogline_core::record::Tier::Free,
    };
    let Ok((Outcome::UserCreated { user_id }, _)) = world.as_admin(create("one")) else { panic!("created") };
    world.as_admin(Command::DeleteUser { user_id }).expect("has nothing");
    let actor = fogline_core::command::Actor::User {
        id: user_id,
        name: "one".to_owned(),
        role: fogline_core::record::Role::User,
    };
    let command = world::deploy(world::spec("late", 1, world::resources(0.5, 512)));
    let refused = world.request(&Request { actor, command, idempotency: None, remote: None });
    assert_eq!(refused.expect_err("gone"), Rejection::SessionEnded);
}
