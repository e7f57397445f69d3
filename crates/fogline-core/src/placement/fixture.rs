//! Small tables for this module's tests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Demand, PlacementReport, Siblings, explain, place};
use crate::cluster::{NodeIndex, NodeTable};
use crate::id::{DeploymentId, NodeId};
use crate::observation::NodeUsage;
use crate::quantity::{CpuMillis, Resources};
use crate::record::{Liveness, NodeRecord, Runtimes};
use crate::spec::{Constraint, ConstraintOperator, PlacementSpec, Runtime, Spread};
use crate::time::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
pub(super) const LOAD_MAX_AGE: Duration = Duration::from_secs(9);

pub(super) fn resources(cores: f64, memory_mb: u32) -> Resources {
    let cpu_millis = CpuMillis::from_cores(cores).expect("a number of cores");
    Resources { cpu_millis, memory_mb, gpu_units: 0, storage_gb: 10 }
}

pub(super) fn deployment_id(number: u128) -> DeploymentId {
    DeploymentId::from_uuid(uuid::Uuid::from_u128(number))
}

/// A node in region `r`, zone `z`, with both runtimes.
pub(super) fn node(name: &str, cores: f64, memory_mb: u32) -> NodeRecord {
    let number = name.bytes().fold(0u128, |sum, byte| sum * 256 + u128::from(byte));
    NodeRecord {
        id: NodeId::from_uuid(uuid::Uuid::from_u128(number)),
        name: name.to_owned(),
        region: "r".to_owned(),
        zone: "z".to_owned(),
        capacity: Resources { storage_gb: 1_000, ..resources(cores, memory_mb) },
        runtimes: Runtimes::of(&Runtime::ALL),
        labels: BTreeMap::new(),
        liveness: Liveness::Online,
        cordoned: false,
        draining: false,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(super) fn node_in(name: &str, region: &str, zone: &str) -> NodeRecord {
    NodeRecord { region: region.to_owned(), zone: zone.to_owned(), ..node(name, 8.0, 16_384) }
}

pub(super) fn constraint(label: &str, operator: ConstraintOperator, values: &[&str]) -> Constraint {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Constraint { label: label.to_owned(), operator, values }
}

pub(super) fn required() -> PlacementSpec {
    PlacementSpec { spread: Spread::Required, ..PlacementSpec::default() }
}

/// A question that tests change one thing of.
#[derive(Debug)]
pub(super) struct Case {
    pub nodes: NodeTable,
    pub deployment_id: DeploymentId,
    pub resources: Resources,
    pub runtime: Runtime,
    pub host_port: Option<u16>,
    pub placement: PlacementSpec,
    pub siblings: Siblings,
    pub now: Timestamp,
}

impl Case {
    /// 1 core and 1024 MB each, on these nodes.
    pub(super) fn on(nodes: impl IntoIterator<Item = NodeRecord>) -> Self {
        Self {
            nodes: NodeTable::with_nodes(nodes),
            deployment_id: deployment_id(1),
            resources: resources(1.0, 1_024),
            runtime: Runtime::Process,
            host_port: None,
            placement: PlacementSpec::default(),
            siblings: Siblings::default(),
            now: NOW,
        }
    }

    pub(super) fn at(&self, name: &str) -> NodeIndex {
        self.nodes.index_named(name).expect("a node of this name")
    }

    pub(super) fn load(&mut self, name: &str, cpu_percent: f32, memory_percent: f32, told_at: Timestamp) {
        self.nodes.set_usage(self.at(name), NodeUsage { cpu_percent, memory_percent }, told_at);
    }

    pub(super) fn demand(&self) -> Demand<'_> {
        Demand {
            deployment_id: self.deployment_id,
            resources: self.resources,
            runtime: self.runtime,
            host_port: self.host_port,
            placement: &self.placement,
        }
    }

    pub(super) fn place(&self, count: u32) -> Vec<NodeIndex> {
        place(&self.nodes, &self.demand(), &self.siblings, count, self.now, LOAD_MAX_AGE)
    }

    /// The names of the nodes that were picked, in order.
    pub(super) fn names(&self, count: u32) -> Vec<&str> {
        let name = |index| self.nodes.record(index).expect("no hole is picked").name.as_str();
        self.place(count).into_iter().map(name).collect()
    }

    pub(super) fn explain(&self, needed: u32) -> PlacementReport {
        explain(&self.nodes, &self.demand(), &self.siblings, needed, self.now, LOAD_MAX_AGE)
    }

    /// The total score of each listed node, best first.
    pub(super) fn scores(&self) -> Vec<(String, f64)> {
        let report = self.explain(1);
        report.best.into_iter().filter_map(|node| Some((node.name, node.score?.total))).collect()
    }
}
