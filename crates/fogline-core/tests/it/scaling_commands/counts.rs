//! What counts as capacity, and when a release is failing.

use std::sync::Arc;

use fogline_core::command::Command;
use fogline_core::id::DeploymentId;
use fogline_core::observation::ReportedState;
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::inputs::ReplicaCounts;
use fogline_core::spec::DeploymentSpec;

use super::{admin, create, deployed, settled, site};
use crate::world::World;

fn owned(world: &mut World, replicas: u32) -> DeploymentId {
    let admin = admin(world);
    let web = deployed(world, &admin, "web", replicas);
    create(world, &admin, "target_type: deployment\ntarget_id: web\n").expect("fine");
    web
}

fn counts(world: &World, id: DeploymentId) -> ReplicaCounts {
    world.cluster.scaling_target(&ScalingTarget::Deployment(id)).expect("there").counts
}

fn roll_out(world: &mut World, deployment_id: DeploymentId) {
    let spec = world.cluster.deployment(deployment_id).expect("there").record.spec.clone();
    let spec = Arc::new(DeploymentSpec { command: vec!["next".to_owned()], ..(*spec).clone() });
    world.as_admin(Command::UpdateDeployment { deployment_id, spec, based_on: None }).expect("accepted");
}

#[test]
fn a_rollouts_surge_is_no_capacity() {
    let mut world = site();
    let web = owned(&mut world, 3);
    assert_eq!(counts(&world, web), ReplicaCounts { current: 3, ready: 3, release_failing: false });
    roll_out(&mut world, web);
    let surge = |world: &World| {
        let deployment = world.cluster.deployment(web).expect("there");
        let new = world.cluster.replicas_of(deployment).find(|replica| replica.revision == 2);
        new.expect("one goes first").clone()
    };
    assert_eq!(world.cluster.deployment(web).expect("there").replicas.len(), 4);
    assert_eq!(counts(&world, web).ready, 3, "it is not ready");
    let first = surge(&world);
    world.report(first.node_id.expect("placed"), first.id, ReportedState::Running, true, "");
    assert_eq!(counts(&world, web).ready, 3, "it is one more than was asked for");
    settled(&mut world);
    assert_eq!(counts(&world, web), ReplicaCounts { current: 3, ready: 3, release_failing: false });
}

#[test]
fn a_release_whose_new_replicas_fail_is_failing_until_one_is_ready() {
    let mut world = site();
    let web = owned(&mut world, 3);
    roll_out(&mut world, web);
    let new = |world: &World| {
        let deployment = world.cluster.deployment(web).expect("there");
        world.cluster.replicas_of(deployment).find(|replica| replica.revision == 2).cloned()
    };
    let first = new(&world).expect("one goes first");
    let node = first.node_id.expect("placed");
    world.restarted(node, first.id, 2);
    assert!(counts(&world, web).release_failing, "it restarts in place and was never ready");
    world.report(node, first.id, ReportedState::Failed, false, "exited with 1");
    assert_eq!(counts(&world, web), ReplicaCounts { current: 3, ready: 3, release_failing: true });
    let nodes = world.online_nodes();
    world.advance(std::time::Duration::from_secs(5), &nodes);
    let second = new(&world).expect("another try");
    world.report(node, second.id, ReportedState::Running, true, "");
    assert!(!counts(&world, web).release_failing);
}

#[test]
fn one_that_falls_over_under_load_is_no_failing_release() {
    let mut world = site();
    let web = owned(&mut world, 3);
    let one = world.cluster.replicas().next().expect("there").clone();
    let node = one.node_id.expect("placed");
    world.restarted(node, one.id, 5);
    assert_eq!(counts(&world, web), ReplicaCounts { current: 3, ready: 2, release_failing: false });
    world.report(node, one.id, ReportedState::Failed, false, "killed");
    assert!(!counts(&world, web).release_failing);
}
