//! What holds for every table and every question.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::filter::{FilterKind, Question, passing};
use super::fixture::{Case, LOAD_MAX_AGE, NOW, constraint, deployment_id, node};
use super::score::{Score, Scorer};
use crate::cluster::NodeIndex;
use crate::id::{IdSource, ReplicaId};
use crate::observation::NodeUsage;
use crate::quantity::{CpuMillis, Resources};
use crate::record::{Liveness, NodeRecord, Runtimes};
use crate::spec::{Constraint, ConstraintOperator, PlacementSpec, Runtime, Spread};

fn a_need() -> impl Strategy<Value = Resources> {
    (1u32..5, 1u32..5, 0u32..3, 0u32..4).prop_map(|(cores, memory, gpu_units, storage)| Resources {
        cpu_millis: CpuMillis(cores * 500),
        memory_mb: memory * 512,
        gpu_units: gpu_units.saturating_sub(1),
        storage_gb: storage * 5,
    })
}

/// Few different values, so that ties, stacking and full nodes are frequent.
fn some_nodes() -> impl Strategy<Value = Vec<(NodeRecord, Option<NodeUsage>)>> {
    let labels = proptest::collection::btree_map(
        prop::sample::select(vec!["disk", "arch", "zone"]).prop_map(str::to_owned),
        prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned),
        0..3,
    );
    let state = (0u8..12, 0u8..12, 0u8..12, 1u8..4);
    let capacity = (1u32..8, 1u32..8, 0u32..3, 1u32..20);
    let percent = prop::sample::select(vec![0.0f32, 33.3, 100.0]);
    let usage = prop::option::of((percent.clone(), percent));
    let node =
        (state, capacity, 0u8..2, 0u8..3, labels, usage).prop_map(|(state, capacity, region, zone, labels, usage)| {
            let runtimes: Vec<Runtime> = Runtime::ALL
                .into_iter()
                .enumerate()
                .filter(|(at, _)| state.3 & (1 << at) != 0)
                .map(|(_, one)| one)
                .collect();
            let record = NodeRecord {
                region: format!("r{region}"),
                zone: format!("z{zone}"),
                capacity: Resources {
                    cpu_millis: CpuMillis(capacity.0 * 1_000),
                    memory_mb: capacity.1 * 1_024,
                    gpu_units: capacity.2,
                    storage_gb: capacity.3 * 5,
                },
                runtimes: Runtimes::of(&runtimes),
                labels,
                liveness: if state.0 == 0 { Liveness::Offline } else { Liveness::Online },
                cordoned: state.1 == 0,
                draining: state.2 == 0,
                ..node("to be named", 1.0, 1)
            };
            let usage = usage.map(|(cpu_percent, memory_percent)| NodeUsage { cpu_percent, memory_percent });
            (record, usage)
        });
    proptest::collection::vec(node, 0..14)
}

fn a_constraint() -> impl Strategy<Value = Constraint> {
    let operator = prop::sample::select(vec![
        ConstraintOperator::In,
        ConstraintOperator::NotIn,
        ConstraintOperator::Exists,
        ConstraintOperator::NotExists,
    ]);
    let label = prop::sample::select(vec!["disk", "arch", "region", "zone", "node", "nobody-has-it"]);
    let values = proptest::sample::subsequence(vec!["a", "b", "r0", "z0", "z1", "n0", "n1", "n2"], 0..6);
    (label, operator, values).prop_map(|(label, operator, values)| {
        let any_value = matches!(operator, ConstraintOperator::Exists | ConstraintOperator::NotExists);
        constraint(label, operator, if any_value { &[] } else { &values })
    })
}

fn a_placement() -> impl Strategy<Value = PlacementSpec> {
    let spread = prop::sample::select(vec![Spread::Preferred, Spread::Preferred, Spread::Required]);
    let region = prop::option::weighted(0.2, Just("r0".to_owned()));
    let zone = prop::option::weighted(0.2, Just("z1".to_owned()));
    let constraints = prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(a_constraint(), 1..3)];
    (spread, region, zone, constraints).prop_map(|(spread, region, zone, constraints)| PlacementSpec {
        spread,
        region,
        zone,
        constraints,
        ..PlacementSpec::default()
    })
}

prop_compose! {
    fn a_case()(
        nodes in some_nodes(),
        (need, docker, port) in (a_need(), any::<bool>(), prop::option::weighted(0.2, Just(8_080u16))),
        placement in a_placement(),
        deployment in 0u128..1_000,
        siblings in proptest::collection::btree_map((0u32..16).prop_map(NodeIndex), 0u32..3, 0..4),
        failed in proptest::collection::btree_set((0u32..16).prop_map(NodeIndex), 0..3),
    ) -> Case {
        let named = |(at, (record, _)): (usize, &(NodeRecord, Option<NodeUsage>))| {
            let name = format!("n{at}");
            NodeRecord { id: node(&name, 1.0, 1).id, name, ..record.clone() }
        };
        let mut case = Case::on(nodes.iter().enumerate().map(named));
        for (at, (_, usage)) in nodes.iter().enumerate() {
            if let Some(usage) = usage {
                case.nodes.set_usage(NodeIndex(at as u32), *usage, NOW);
            }
        }
        case.deployment_id = deployment_id(deployment);
        case.resources = need;
        case.runtime = if docker { Runtime::Docker } else { Runtime::Process };
        case.host_port = port;
        case.placement = placement;
        case.siblings.on_node = siblings;
        case.siblings.failed_on = failed;
        case
    }
}

/// The rule itself: each pick is the node that has the greatest score now, everything looked at again each time.
fn slow_place(case: &Case, count: u32) -> Vec<NodeIndex> {
    let (mut nodes, mut siblings, demand) = (case.nodes.clone(), case.siblings.clone(), case.demand());
    let mut ids = IdSource::new(9);
    let mut picked = Vec::new();
    while (picked.len() as u32) < count {
        let question = Question { nodes: &nodes, demand: &demand, siblings: &siblings };
        let scorer = Scorer::new(&nodes, &demand, case.now, LOAD_MAX_AGE);
        let in_zone = |index: NodeIndex| -> u32 {
            let zone = nodes.zone_number[index.at()] as usize;
            let held = scorer.held_by_zone(&siblings).filter(|(other, _)| *other == zone).map(|(_, held)| held).sum();
            if scorer.balances_zones() { held } else { 0 }
        };
        let willing = nodes.iter().filter(|(index, record)| {
            FilterKind::ALL
                .iter()
                .all(|kind| kind.verdict(&question, *index, record).is_none_or(|verdict| verdict.passed))
        });
        let best: Option<(Score, NodeIndex)> =
            willing.map(|(index, _)| (scorer.score(index, &siblings, in_zone(index)), index)).max();
        let Some((_, index)) = best else { break };
        picked.push(index);
        nodes.reserve(index, ids.next::<ReplicaId>(NOW), case.resources, case.host_port);
        *siblings.on_node.entry(index).or_default() += 1;
    }
    picked
}

proptest! {
    #[test]
    fn it_picks_what_the_plain_rule_picks(case in a_case(), count in 0u32..40) {
        prop_assert_eq!(case.place(count), slow_place(&case, count));
    }

    #[test]
    fn the_fast_and_the_wordy_filters_agree(case in a_case()) {
        let demand = case.demand();
        let question = Question { nodes: &case.nodes, demand: &demand, siblings: &case.siblings };
        let keep = passing(&question);
        for (index, record) in case.nodes.iter() {
            for kind in FilterKind::ALL {
                let mut alone = vec![true; case.nodes.len()];
                kind.narrow(&question, &mut alone);
                let passed = kind.verdict(&question, index, record).is_none_or(|verdict| verdict.passed);
                prop_assert_eq!(alone[index.at()], passed, "{:?} of {}", kind, record.name);
            }
            let accepted = FilterKind::ALL
                .iter()
                .all(|kind| kind.verdict(&question, index, record).is_none_or(|verdict| verdict.passed));
            prop_assert_eq!(keep[index.at()], accepted);
        }
    }

    #[test]
    fn no_node_is_ever_over_committed(mut case in a_case(), calls in proptest::collection::vec((a_need(), 0u32..30), 1..12)) {
        let mut ids = IdSource::new(5);
        for (number, (need, count)) in calls.into_iter().enumerate() {
            case.resources = need;
            case.deployment_id = deployment_id(number as u128);
            case.siblings.on_node.clear();
            let picked = case.place(count);
            prop_assert!(picked.len() <= count as usize);
            for index in picked {
                prop_assert!(case.nodes.placeable[index.at()]);
                case.nodes.reserve(index, ids.next::<ReplicaId>(NOW), need, case.host_port);
            }
            for (index, record) in case.nodes.iter() {
                prop_assert!(record.capacity.covers(case.nodes.reserved(index)), "{} is over-committed", record.name);
                let ports = &case.nodes.host_ports[index.at()];
                prop_assert!(ports.len() <= 1, "{} has its port {} times", record.name, ports.len());
            }
        }
    }

    #[test]
    fn what_is_left_out_did_not_fit(mut case in a_case(), count in 1u32..60) {
        // If fewer than asked were placed, not one more finds room once these are reserved.
        let picked = case.place(count);
        if picked.len() < count as usize {
            let mut ids = IdSource::new(5);
            for index in picked {
                case.nodes.reserve(index, ids.next::<ReplicaId>(NOW), case.resources, case.host_port);
                *case.siblings.on_node.entry(index).or_default() += 1;
            }
            prop_assert!(case.place(1).is_empty());
        }
    }

    #[test]
    fn required_never_doubles_and_preferred_doubles_only_in_need(mut case in a_case(), count in 0u32..40) {
        case.siblings.failed_on.clear();
        let picked = case.place(count);
        let mut on_node: BTreeMap<NodeIndex, u32> = case.siblings.on_node.clone();
        for index in &picked {
            let held = on_node.get(index).copied().unwrap_or(0);
            if case.placement.spread == Spread::Required {
                prop_assert_eq!(held, 0);
            }
            // Every node that could still take its first one would have been taken before a second one anywhere.
            if held > 0 {
                let mut alone = Case::on([]);
                alone.nodes = case.nodes.clone();
                alone.resources = case.resources;
                alone.runtime = case.runtime;
                alone.host_port = case.host_port;
                alone.placement = PlacementSpec { spread: Spread::Required, ..case.placement.clone() };
                alone.siblings.on_node = on_node.clone();
                prop_assert!(alone.place(1).is_empty());
            }
            *on_node.entry(*index).or_default() += 1;
        }
    }

    #[test]
    fn a_report_says_what_placing_does(case in a_case(), count in 0u32..40) {
        let (picked, report) = (case.place(count), case.explain(count));
        prop_assert_eq!(report.found as usize, picked.len());
        let away: u32 = report.turned_away.iter().map(|away| away.nodes).sum();
        prop_assert_eq!(report.nodes_considered as usize, case.nodes.len());
        prop_assert_eq!(report.nodes_accepted + away, report.nodes_considered);
        if let (Some(first), Some(best)) = (picked.first(), report.best.first()) {
            prop_assert_eq!(&best.name, &case.nodes.record(*first).expect("no hole").name);
        }
        prop_assert_eq!(picked.is_empty(), count == 0 || report.nodes_accepted == 0);
        prop_assert_eq!(&report, &case.explain(count));
        let json = serde_json::to_string(&report).expect("a report is JSON");
        let back: super::PlacementReport = serde_json::from_str(&json).expect("and back");
        prop_assert_eq!(back.summary(), report.summary());
    }
}
