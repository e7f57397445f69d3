//! How fast replicas are placed, without a database: a stream of deployments of 1 to 100 replicas and mixed resources,
//! each of which reserves what it was given, so that the nodes fill up as in life.
//!
//! Budget (DESIGN): ≥ 200,000 replicas/s at 5,000 nodes, and a third of it with spread required and constraints. Read
//! the `elem/s` of the mixed lines: an element is a replica. `cargo bench -p fogline-core --bench placement`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fogline_core::cluster::NodeTable;
use fogline_core::id::{DeploymentId, IdSource, ReplicaId};
use fogline_core::observation::NodeUsage;
use fogline_core::placement::{Demand, Siblings, place};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{Liveness, NodeRecord, Runtimes};
use fogline_core::spec::{Constraint, ConstraintOperator, PlacementSpec, Runtime, Spread};
use fogline_core::time::Timestamp;

const NOW: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);
const LOAD_MAX_AGE: Duration = Duration::from_secs(9);
const DEPLOYMENTS: usize = 200;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }
}

struct Deployment {
    id: DeploymentId,
    replicas: u32,
    resources: Resources,
    placement: PlacementSpec,
}

fn nodes(count: u32, zones: u32) -> NodeTable {
    let (mut numbers, mut ids) = (Numbers(1), IdSource::new(1));
    let records: Vec<NodeRecord> = (0..count)
        .map(|number| NodeRecord {
            id: ids.next(NOW),
            name: format!("node-{number:05}"),
            region: format!("region-{}", number % zones % 5),
            zone: format!("zone-{}", number % zones),
            capacity: Resources {
                cpu_millis: CpuMillis(1_000 * numbers.one_of(&[16, 32, 64])),
                memory_mb: 1_024 * numbers.one_of(&[32, 64, 128, 256]),
                gpu_units: numbers.one_of(&[0, 0, 0, 8]),
                storage_gb: numbers.one_of(&[500, 1_000, 4_000]),
            },
            runtimes: Runtimes::of(if numbers.below(10) == 0 { &[Runtime::Process] } else { &Runtime::ALL }),
            labels: BTreeMap::from([
                ("arch".to_owned(), numbers.one_of(&["arm64", "amd64"]).to_owned()),
                ("disk".to_owned(), numbers.one_of(&["hdd", "ssd", "nvme"]).to_owned()),
                ("rack".to_owned(), format!("rack-{}", number / 40)),
                ("serial".to_owned(), format!("sn-{number}")),
            ]),
            liveness: if numbers.below(50) == 0 { Liveness::Offline } else { Liveness::Online },
            cordoned: numbers.below(50) == 0,
            draining: false,
            created_at: NOW,
            updated_at: NOW,
        })
        .collect();
    let mut table = NodeTable::with_nodes(records);
    let places: Vec<_> = table.iter().map(|(index, _)| index).collect();
    for index in places {
        let mut percent = || numbers.below(1_000) as f32 / 10.0;
        let usage = NodeUsage { cpu_percent: percent(), memory_percent: percent() };
        table.set_usage(index, usage, NOW);
    }
    table
}

fn deployments(placement: impl Fn(&mut Numbers) -> PlacementSpec) -> Vec<Deployment> {
    let (mut numbers, mut ids) = (Numbers(2), IdSource::new(2));
    (0..DEPLOYMENTS)
        .map(|_| Deployment {
            id: ids.next(NOW),
            replicas: 1 + numbers.below(100),
            resources: Resources {
                cpu_millis: CpuMillis(numbers.one_of(&[500, 1_000, 2_000, 4_000])),
                memory_mb: numbers.one_of(&[512, 1_024, 2_048, 4_096, 8_192]),
                gpu_units: u32::from(numbers.below(20) == 0),
                storage_gb: numbers.one_of(&[1, 10, 20]),
            },
            placement: placement(&mut numbers),
        })
        .collect()
}

fn some_ask_for_a_region(numbers: &mut Numbers) -> PlacementSpec {
    let region = (numbers.below(10) == 0).then(|| format!("region-{}", numbers.below(5)));
    PlacementSpec { region, ..PlacementSpec::default() }
}

fn spread_and_constraints(_: &mut Numbers) -> PlacementSpec {
    let constraint = |label: &str, operator, values: &[&str]| Constraint {
        label: label.to_owned(),
        operator,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    PlacementSpec {
        spread: Spread::Required,
        constraints: vec![
            constraint("arch", ConstraintOperator::In, &["amd64"]),
            constraint("disk", ConstraintOperator::In, &["ssd", "nvme"]),
            constraint("zone", ConstraintOperator::NotIn, &["zone-3"]),
        ],
        ..PlacementSpec::default()
    }
}

fn demand(deployment: &Deployment) -> Demand<'_> {
    Demand {
        deployment_id: deployment.id,
        resources: deployment.resources,
        runtime: Runtime::Docker,
        host_port: None,
        placement: &deployment.placement,
    }
}

/// Places and reserves them all; how many replicas found room.
fn run(nodes: &mut NodeTable, deployments: &[Deployment], ids: &mut IdSource) -> u64 {
    let mut placed = 0;
    for deployment in deployments {
        let demand = demand(deployment);
        let places = place(nodes, &demand, &Siblings::default(), deployment.replicas, NOW, LOAD_MAX_AGE);
        for index in &places {
            nodes.reserve(*index, ids.next::<ReplicaId>(NOW), deployment.resources, None);
        }
        placed += places.len() as u64;
    }
    placed
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("placement");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    let mixed = deployments(some_ask_for_a_region);
    let strict = deployments(spread_and_constraints);
    for (name, count, stream) in [
        ("mixed/1k_nodes", 1_000, &mixed),
        ("mixed/5k_nodes", 5_000, &mixed),
        ("mixed/20k_nodes", 20_000, &mixed),
        ("spread_required_and_constraints/5k_nodes", 5_000, &strict),
    ] {
        let empty = nodes(count, 20);
        group.throughput(Throughput::Elements(run(&mut empty.clone(), stream, &mut IdSource::new(3))));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (empty.clone(), IdSource::new(3)),
                |(nodes, ids)| black_box(run(nodes, stream, ids)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn single_calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one_call_5k_nodes");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let deployment = &deployments(|_| PlacementSpec::default())[0];
    let siblings = Siblings::default();
    for (name, count, zones) in [
        ("1_replica/20_zones", 1, 20),
        ("100_replicas/20_zones", 100, 20),
        ("1_replica/5k_zones", 1, 5_000),
        ("100_replicas/5k_zones", 100, 5_000),
    ] {
        let table = nodes(5_000, zones);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(place(&table, &demand(deployment), &siblings, count, NOW, LOAD_MAX_AGE)));
        });
    }
    group.finish();
}

criterion_group!(benches, streams, single_calls);
criterion_main!(benches);
