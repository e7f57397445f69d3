//! The session against a leader that exists only here, on a clock of the test's own.

mod cases;
mod properties;

use std::time::Duration;

use fogline_agent::session::{Input, Obeyed, Output, Session, SessionConfig};
use fogline_api::protocol::{FromServer, NodeAssignment, Reception};
use fogline_core::assignment::{Assignment, Authority};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::{NodeDeclaration, ReplicaReport, ReportedState};
use fogline_core::quantity::Resources;
use fogline_core::record::Runtimes;

const SECOND_US: u64 = 1_000_000;
const NODES: [&str; 2] = ["one", "two"];

fn node_id(number: usize) -> NodeId {
    format!("00000000-0000-7000-8000-0000000000a{number}").parse().expect("an id")
}

fn replica_id(number: usize) -> ReplicaId {
    format!("00000000-0000-7000-8000-0000000000b{number}").parse().expect("an id")
}

fn authority(epoch: u64, holder: &str, generation: u64) -> Authority {
    Authority { cluster_id: "cluster".to_owned(), epoch, holder: holder.to_owned(), generation }
}

fn session() -> Session {
    let nodes = NODES.map(|name| NodeDeclaration {
        name: name.to_owned(),
        region: String::new(),
        zone: String::new(),
        capacity: Resources::ZERO,
        runtimes: Runtimes::default(),
        labels: std::collections::BTreeMap::new(),
    });
    Session::new(SessionConfig {
        servers: vec!["a:1".to_owned(), "b:1".to_owned()],
        version: "0.1.0".to_owned(),
        nodes: nodes.to_vec(),
        obeyed: Obeyed::default(),
    })
}

fn welcome(authority: Authority) -> Input {
    let node_ids = NODES.iter().enumerate().map(|(number, name)| ((*name).to_owned(), node_id(number)));
    Input::Received(FromServer::Welcome(Reception {
        authority,
        node_ids: node_ids.collect(),
        heartbeat_interval: Duration::from_secs(3),
    }))
}

fn list(node: usize, authority: Authority) -> Input {
    let assignment = Assignment::default();
    Input::Received(FromServer::Assignment(NodeAssignment { authority, node_id: node_id(node), assignment }))
}

fn report(node: usize, replica: usize, seq: u64) -> Input {
    let report = ReplicaReport {
        replica_id: replica_id(replica),
        seq,
        state: ReportedState::Running,
        ready: true,
        restarts: 0,
        endpoint: None,
        container_id: None,
        image_digest: None,
        exit_code: None,
        message: None,
    };
    Input::Report { node: NODES[node].into(), report }
}

/// The server that it calls now, if it does.
fn called(outputs: &[Output]) -> Option<&str> {
    outputs.iter().find_map(|output| match output {
        Output::Connect { server } => Some(server.as_str()),
        _ => None,
    })
}
