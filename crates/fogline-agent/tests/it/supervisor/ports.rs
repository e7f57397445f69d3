//! Whose a port is, and when it is told.

use std::sync::Arc;

use fogline_agent::driver::{Adopted, AdoptedState, StartOrder};
use fogline_agent::ports::PortRange;
use fogline_agent::supervisor::{Input, Output, Supervisor, SupervisorConfig};
use fogline_core::assignment::{AssignedReplica, AssignedTemplate, Assignment, Want};
use fogline_core::id::{DeploymentId, NodeId};
use fogline_core::observation::ReportedState;

use super::world::{SECOND_US, World, exit, id, template};

/// A run of the first replica ended on a port that was given to the second since. Its order still names that port.
#[test]
fn a_port_belongs_to_what_runs_and_not_to_what_ran() {
    let ports = PortRange::new(20_000, 20_001).expect("a range");
    let config = SupervisorConfig { incarnation: 2, address: "127.0.0.1".to_owned(), ports };
    let mut supervisor = Supervisor::new(config);
    let nil = "00000000-0000-0000-0000-000000000000";
    let (deployment_id, node_id): (DeploymentId, NodeId) = (nil.parse().expect("an id"), nil.parse().expect("an id"));
    let adopted = |number: u32, state: AdoptedState| Adopted {
        order: StartOrder {
            replica_id: id(number),
            deployment_id,
            deployment_name: "web".to_owned(),
            node_id,
            node_name: "one".to_owned(),
            revision: 1,
            run: 1,
            template: Arc::new(template()),
            image_digest: None,
            port: Some(20_000),
        },
        container_id: Some("9".to_owned()),
        state,
    };
    let found = vec![adopted(0, AdoptedState::Exited(exit(1))), adopted(1, AdoptedState::Alive)];
    let mut outputs = supervisor.step(Input::Restored { memos: Vec::new(), adopted: found }, 1);
    let line = |number| AssignedReplica { replica_id: id(number), deployment_id, revision: 1, want: Want::Run };
    let text =
        AssignedTemplate { deployment_name: "web".to_owned(), template: Arc::new(template()), image_digest: None };
    let assignment =
        Assignment { replicas: vec![line(0), line(1)], templates: [((deployment_id, 1), text)].into_iter().collect() };
    outputs.extend(supervisor.step(Input::Assigned { node: "one".into(), node_id, assignment, unsaved: None }, 2));
    outputs.extend(supervisor.step(Input::Tick, 120 * SECOND_US));
    let starts: Vec<_> = outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::Start(order) => Some((order.replica_id, order.port)),
            _ => None,
        })
        .collect();
    assert_eq!(starts, [(id(0), Some(20_001))]);
}

#[test]
fn an_endpoint_is_told_only_while_something_runs() {
    let mut world = World::new(template());
    let endpoint = |world: &World| world.reports[&id(1)].endpoint.clone();
    world.assign(&[(id(1), Want::Run)]);
    assert_eq!(endpoint(&world), None, "another program may have the port");
    world.started(id(1));
    assert_eq!(endpoint(&world).as_deref(), Some("127.0.0.1:20000"));
    world.pass_answering(SECOND_US, true);
    world.exits(id(1), 1);
    assert_eq!((world.state(id(1)), endpoint(&world)), (ReportedState::Running, None), "until it is started again");
    world.pass(60 * SECOND_US);
    world.bring_up();
    assert_eq!(endpoint(&world).as_deref(), Some("127.0.0.1:20000"));
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(endpoint(&world).as_deref(), Some("127.0.0.1:20000"), "it may end what it has begun");
}
