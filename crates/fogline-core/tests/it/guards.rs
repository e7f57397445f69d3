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

/// A user of the free tier, which has 3 deployments and 10 replicas.
fn free_user(world: &mut World) -> fogline_core::command::Actor {
    use fogline_core::record::{PasswordHash, Role, Tier};
    let command = Command::CreateUser {
        username: "free".to_owned(),
        password_hash: PasswordHash::new(String::new()),
        role: Role::User,
        tier: Tier::Free,
    };
    let Ok((Outcome::UserCreated { user_id }, _)) = world.as_admin(command) else { panic!("created") };
    fogline_core::command::Actor::User { id: user_id, name: "free".to_owned(), role: Role::User }
}

#[test]
fn what_is_still_stopping_counts_towards_a_quota() {
    let mut world = world_with_a_node();
    let actor = free_user(&mut world);
    let ask = |world: &mut World, command| {
        let request = Request { actor: actor.clone(), command, idempotency: None, remote: None };
        world.request(&request).map(|(outcome, _)| outcome)
    };
    // The node has room for eight: seven run, are deleted, and take their time to go.
    let Ok(Outcome::Deployed { deployment_id, .. }) =
        ask(&mut world, world::deploy(world::spec("first", 7, world::resources(0.5, 512))))
    else {
        panic!("7 of 10 replicas")
    };
    ask(&mut world, Command::DeleteDeployment { deployment_id }).expect("their own");
    let refused = ask(&mut world, world::deploy(world::spec("second", 4, world::resources(0.5, 512))));
    assert!(matches!(refused, Err(Rejection::QuotaExceeded { would_be: 11, allowed: 10, .. })), "{refused:?}");
    let nodes = world.online_nodes();
    while world.agents_obey_once(&nodes) {}
    ask(&mut world, world::deploy(world::spec("second", 4, world::resources(0.5, 512)))).expect("the first are gone");
}

#[test]
fn a_role_that_was_taken_away_while_a_request_was_under_way_counts_no_more() {
    use fogline_core::command::Actor;
    use fogline_core::record::Role;
    let mut world = world_with_a_node();
    let Actor::User { id, name, .. } = free_user(&mut world) else { unreachable!("a user") };
    let claims_to_be_admin = Actor::User { id, name, role: Role::Admin };
    let command =
        Command::UpdateUser { user_id: id, password_hash: None, role: Some(Role::Admin), tier: None, disabled: None };
    let refused = world.request(&Request { actor: claims_to_be_admin, command, idempotency: None, remote: None });
    assert!(matches!(refused, Err(Rejection::Forbidden { .. })), "{refused:?}");
}

#[test]
fn any_refresh_token_but_the_valid_one_ends_the_session() {
    let mut world = world_with_a_node();
    let far = world.now.plus(std::time::Duration::from_secs(3_600));
    let open = Command::OpenSession { user_id: world.admin, refresh_hash: [0; 32], expires_at: far };
    let Ok((Outcome::SessionOpened { session_id }, _)) = world.request(&Request::system(open)) else {
        panic!("opened")
    };
    let rotate = |presented: u8, next: u8| {
        Request::system(Command::RotateSession {
            session_id,
            presented: [presented; 32],
            next: [next; 32],
            expires_at: far,
        })
    };
    // A thief swaps the stolen token twice; then the owner shows the one they still have.
    assert!(matches!(world.request(&rotate(0, 1)), Ok((Outcome::SessionRotated { .. }, _))));
    assert!(matches!(world.request(&rotate(1, 2)), Ok((Outcome::SessionRotated { .. }, _))));
    assert!(matches!(world.request(&rotate(0, 9)), Ok((Outcome::SessionRevoked { .. }, _))));
    assert_eq!(world.request(&rotate(2, 3)).expect_err("the thief's is worth nothing now"), Rejection::SessionEnded);
}
