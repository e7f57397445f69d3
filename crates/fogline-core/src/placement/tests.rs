//! Tables of small clusters: what is picked, in which order, and what is said about it.

use std::time::Duration;

use super::fixture::{Case, NOW, constraint, deployment_id, node, node_in, required, resources};
use super::{FilterKind, fits_empty};
use crate::cluster::NodeTable;
use crate::id::{IdSource, ReplicaId};
use crate::record::{Liveness, NodeRecord, Runtimes};
use crate::spec::{ConstraintOperator, PlacementSpec, Runtime};
use crate::time::Timestamp;

/// FUNC-01's `_score_nodes`, as it is written there.
fn seed_score(cores: f64, memory_mb: f64, cpu: f64, memory: f64, cpu_percent: f64, memory_percent: f64) -> f64 {
    let cpu_availability = (cores - cpu) / cores;
    let memory_availability = (memory_mb - memory) / memory_mb;
    let resource_score = (cpu_availability + memory_availability) / 2.0 * 0.4;
    let load_score = (100.0 - cpu_percent) / 100.0 * 0.15 + (100.0 - memory_percent) / 100.0 * 0.15;
    resource_score + load_score + 0.3
}

#[test]
fn on_empty_nodes_the_score_is_the_seeds() {
    for (cores, memory_mb, cpu_percent, memory_percent) in
        [(8, 16_384, 0, 0), (4, 8_192, 10, 25), (16, 65_536, 100, 100), (2, 2_048, 37, 81)]
    {
        let mut case = Case::on([node("only", f64::from(cores), memory_mb)]);
        case.resources = resources(2.0, 2_048);
        case.load("only", cpu_percent as f32, memory_percent as f32, NOW);
        let expected = seed_score(
            f64::from(cores),
            f64::from(memory_mb),
            2.0,
            2_048.0,
            f64::from(cpu_percent),
            f64::from(memory_percent),
        );
        let score = case.scores()[0].1;
        assert!((score - expected).abs() < 1e-6, "{cores} cores, {memory_mb} MB: {score}, the seed says {expected}");
    }
}

#[test]
fn what_is_reserved_counts_against_a_node() {
    let mut case = Case::on([node("full", 8.0, 16_384), node("free", 8.0, 16_384)]);
    let (replica, need) = (IdSource::new(1).next::<ReplicaId>(NOW), resources(4.0, 8_192));
    case.nodes.reserve(case.at("full"), replica, need, None);
    insta::assert_debug_snapshot!(case.scores(), @r#"
    [
        (
            "free",
            0.8125,
        ),
        (
            "full",
            0.6125,
        ),
    ]
    "#);
    case.nodes.release(case.at("full"), replica, need, None);
    assert!(case.scores().iter().all(|(_, score)| *score == 0.8125));
}

#[test]
fn the_bigger_and_the_idler_node_come_first() {
    let mut case = Case::on([node("small", 2.0, 4_096), node("big", 32.0, 65_536), node("busy", 32.0, 65_536)]);
    for (name, percent) in [("small", 10.0), ("big", 10.0), ("busy", 95.0)] {
        case.load(name, percent, percent, NOW);
    }
    assert_eq!(case.names(3), ["big", "small", "busy"]);
}

#[test]
fn load_that_is_too_old_or_was_never_told_counts_as_half() {
    let mut case = Case::on(["fresh", "old", "never"].map(|name| node(name, 8.0, 16_384)));
    case.load("fresh", 60.0, 60.0, NOW);
    case.load("old", 0.0, 0.0, NOW);
    let nine_seconds_on = NOW.plus(Duration::from_secs(9));
    case.now = nine_seconds_on;
    assert_eq!(case.names(1), ["old"], "nine seconds are not too old");

    case.load("fresh", 60.0, 60.0, nine_seconds_on);
    case.now = nine_seconds_on.plus(Duration::from_micros(1));
    let load: Vec<(String, f64)> =
        case.explain(3).best.into_iter().filter_map(|node| Some((node.name, node.score?.load))).collect();
    let of = |name: &str| load.iter().find(|(listed, _)| listed == name).map(|(_, load)| *load);
    assert_eq!((of("fresh"), of("old"), of("never")), (Some(0.4), Some(0.5), Some(0.5)));
}

#[test]
fn a_load_that_is_no_number_makes_a_node_last_and_nothing_worse() {
    let mut case = Case::on([node("odd", 8.0, 16_384), node("plain", 8.0, 16_384)]);
    case.load("odd", f32::NAN, 0.0, NOW);
    assert_eq!(case.names(3), ["plain", "odd", "plain"]);
}

#[test]
fn locality_is_one_in_the_zone_and_less_in_the_region() {
    let mut case =
        Case::on([node_in("far", "south", "s-1"), node_in("near", "north", "n-2"), node_in("here", "north", "n-1")]);
    let locality = |case: &Case| -> Vec<(String, f64)> {
        case.explain(1).best.into_iter().filter_map(|node| Some((node.name, node.score?.locality))).collect()
    };
    let named = |pairs: [(&str, f64); 3]| pairs.map(|(name, share)| (name.to_owned(), share)).to_vec();
    assert!(locality(&case).iter().all(|(_, share)| *share == 1.0), "nothing was asked for");

    case.placement =
        PlacementSpec { region: Some("north".to_owned()), zone: Some("n-1".to_owned()), ..PlacementSpec::default() };
    assert_eq!(locality(&case), named([("here", 1.0), ("near", 0.7), ("far", 0.0)]));

    case.placement.region = None;
    let found = locality(&case);
    assert_eq!(found[0], ("here".to_owned(), 1.0));
    assert!(found[1..].iter().all(|(_, share)| *share == 0.0));

    case.placement = PlacementSpec { region: Some("north".to_owned()), ..PlacementSpec::default() };
    let found = locality(&case);
    assert_eq!(found[2], ("far".to_owned(), 0.0));
    assert!(found[..2].iter().all(|(_, share)| *share == 0.7));
}

#[test]
fn replicas_stack_only_when_distinct_nodes_run_out() {
    let mut case = Case::on([node("a", 32.0, 65_536), node("b", 4.0, 8_192), node("c", 2.0, 4_096)]);
    assert_eq!(case.names(3), ["a", "b", "c"]);
    // The second round starts with the best again; `c` holds two and no more.
    assert_eq!(case.names(7), ["a", "b", "c", "a", "b", "c", "a"]);
    case.siblings.on_node = [(case.at("a"), 1), (case.at("b"), 1)].into();
    assert_eq!(case.names(2), ["c", "a"]);
}

#[test]
fn spread_required_puts_one_on_a_node_and_no_more() {
    let mut case = Case::on(["a", "b", "c"].map(|name| node(name, 32.0, 65_536)));
    case.placement = required();
    case.siblings.on_node = [(case.at("b"), 1)].into();
    let mut names = case.names(100);
    names.sort_unstable();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(
        case.explain(3).summary(),
        "need 3, found 2: 2 of 3 nodes have room for 2 in all, 1 of 3 nodes holds a replica of it already, and spread is required"
    );
}

#[test]
fn zones_fill_evenly_unless_a_locality_was_asked_for() {
    // One zone has the four best nodes.
    let crowded = ["x1", "x2", "x3", "x4"].map(|name| NodeRecord { zone: "x".to_owned(), ..node(name, 64.0, 131_072) });
    let mut case = Case::on(crowded.into_iter().chain([node_in("y1", "r", "y"), node_in("w1", "r", "w")]));
    let zones = |case: &Case, count| -> Vec<char> {
        case.names(count).into_iter().filter_map(|name| name.chars().next()).collect()
    };
    let first = zones(&case, 3);
    assert_eq!(first[0], 'x', "equally empty zones: the better node");
    assert!(first.contains(&'y') && first.contains(&'w'));
    assert_eq!(zones(&case, 6)[3..], ['x', 'x', 'x'], "distinct nodes matter more than even zones");

    case.siblings.on_node = [(case.at("x1"), 2)].into();
    assert!(!zones(&case, 2).contains(&'x'), "what runs already counts");

    case.siblings.on_node.clear();
    case.placement.region = Some("r".to_owned());
    assert_eq!(zones(&case, 4), ['x', 'x', 'x', 'x']);
}

#[test]
fn two_regions_may_name_a_zone_alike() {
    let case = Case::on([node_in("n1", "north", "a"), node_in("n2", "north", "a"), node_in("s1", "south", "a")]);
    assert!(case.names(2).contains(&"s1"));
}

#[test]
fn a_node_where_it_failed_lately_is_the_last_choice_and_still_one() {
    let mut case = Case::on([node("a", 4.0, 8_192), node("b", 2.0, 2_048), node("c", 4.0, 8_192)]);
    case.siblings.failed_on = [case.at("a")].into();
    // `b` has room for two, `c` for four, and both are filled before `a` is tried again.
    let names = case.names(100);
    assert_eq!(names.iter().position(|name| *name == "a"), Some(6));
    assert_eq!(names.len(), 10);
}

#[test]
fn equal_nodes_are_taken_in_another_order_by_another_deployment() {
    let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
    let mut case = Case::on(names.iter().map(|name| node(name, 8.0, 16_384)));
    let mut firsts = std::collections::BTreeSet::new();
    for number in 0..50 {
        case.deployment_id = deployment_id(number);
        assert_eq!(case.place(50), case.place(50), "the same question has the same answer");
        firsts.insert(case.place(1)[0]);
    }
    assert!(firsts.len() > 20, "50 deployments start on {} of 50 equal nodes", firsts.len());
}

#[test]
fn a_fixed_port_is_taken_once_a_node() {
    let mut case = Case::on([node("a", 32.0, 65_536), node("b", 32.0, 65_536)]);
    case.host_port = Some(8_080);
    assert_eq!(case.place(5).len(), 2);
    case.nodes.reserve(case.at("a"), IdSource::new(1).next(NOW), case.resources, case.host_port);
    assert_eq!(case.names(5), ["b"]);
    let report = case.explain(2);
    assert_eq!(report.summary(), "need 2, found 1: 1 of 2 nodes has room for 1, 1 of 2 nodes has port 8080 taken");
    assert!(report.rejected[0].verdicts.iter().any(|verdict| verdict.text == "needs port 8080, which is taken"));
}

#[test]
fn one_missing_runtime_is_the_only_reason() {
    let processes_only = |name| NodeRecord { runtimes: Runtimes::of(&[Runtime::Process]), ..node(name, 8.0, 16_384) };
    let mut case = Case::on(["a", "b", "c"].map(processes_only));
    case.runtime = Runtime::Docker;
    let report = case.explain(3);
    assert_eq!(report.summary(), "need 3, found 0: 3 of 3 nodes lack runtime docker");
    assert_eq!(report.only_reason(), Some(&FilterKind::Runtime));
    assert_eq!(report.rejected[0].verdicts[1].text, "needs runtime docker, has process");
    assert!(report.rejected[0].verdicts.iter().filter(|verdict| !verdict.passed).count() == 1);
}

#[test]
fn every_filter_says_what_was_needed_and_what_is_there() {
    let base = || node("n", 4.0, 8_192);
    let mut case = Case::on([
        NodeRecord { name: "gone".to_owned(), liveness: Liveness::Offline, draining: true, ..base() },
        NodeRecord { runtimes: Runtimes::default(), ..node("bare", 4.0, 8_192) },
        NodeRecord { labels: [("disk".to_owned(), "hdd".to_owned())].into(), ..node("slow", 4.0, 8_192) },
        node("tiny", 1.0, 512),
        NodeRecord { cordoned: true, ..node("shut", 4.0, 8_192) },
    ]);
    case.resources = resources(2.0, 1_024);
    case.resources.gpu_units = 1;
    case.resources.storage_gb = 2_000;
    case.placement.constraints = vec![constraint("disk", ConstraintOperator::In, &["ssd", "nvme"])];
    let mut said: Vec<String> = Vec::new();
    let report = case.explain(1);
    for node in &report.rejected {
        for verdict in node.verdicts.iter().filter(|verdict| !verdict.passed) {
            said.push(format!("{} {:?}: {}", node.name, verdict.filter, verdict.text));
        }
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    gone NodeState: is offline and draining
    gone Constraints: needs label disk in [ssd, nvme], has no such label
    gone Gpu: needs 1 GPU, 0 of 0 free
    gone Storage: needs 2000 GB storage, 1000 of 1000 free
    bare Runtime: needs runtime process, has none
    bare Constraints: needs label disk in [ssd, nvme], has no such label
    bare Gpu: needs 1 GPU, 0 of 0 free
    bare Storage: needs 2000 GB storage, 1000 of 1000 free
    slow Constraints: needs label disk in [ssd, nvme], has "hdd"
    slow Gpu: needs 1 GPU, 0 of 0 free
    slow Storage: needs 2000 GB storage, 1000 of 1000 free
    tiny Constraints: needs label disk in [ssd, nvme], has no such label
    tiny Cpu: needs 2 CPU, 1 of 1 free
    tiny Memory: needs 1024 MB memory, 512 of 512 free
    tiny Gpu: needs 1 GPU, 0 of 0 free
    tiny Storage: needs 2000 GB storage, 1000 of 1000 free
    shut NodeState: is cordoned
    shut Constraints: needs label disk in [ssd, nvme], has no such label
    shut Gpu: needs 1 GPU, 0 of 0 free
    shut Storage: needs 2000 GB storage, 1000 of 1000 free
    "#);
    assert_eq!(
        report.summary(),
        "need 1, found 0: 2 of 5 nodes are offline, cordoned or draining, 2 of 5 nodes do not match label disk in [ssd, \
         nvme], 1 of 5 nodes lacks runtime process"
    );
    assert_eq!(report.only_reason(), None);
}

#[test]
fn room_that_is_taken_and_no_nodes_at_all_are_said() {
    let mut case = Case::on([node("a", 4.0, 8_192), node("b", 2.0, 8_192)]);
    case.resources = resources(2.0, 1_024);
    assert_eq!(case.explain(5).summary(), "need 5, found 3: 2 of 2 nodes have room for 3 in all");
    assert_eq!(case.explain(3).summary(), "need 3, found 3");
    case.resources = resources(3.5, 1_024);
    assert_eq!(
        case.explain(2).summary(),
        "need 2, found 1: 1 of 2 nodes has room for 1, 1 of 2 nodes has less than 3.5 CPU free"
    );
    case.nodes = NodeTable::default();
    assert_eq!(case.explain(2).summary(), "need 2, found 0: there are no nodes");
    assert_eq!(case.explain(2).only_reason(), None);
}

#[test]
fn lists_are_bounded_and_counts_are_not() {
    let nodes =
        (0..300).map(|number| NodeRecord { cordoned: number % 2 == 0, ..node(&format!("n{number}"), 8.0, 16_384) });
    let report = Case::on(nodes).explain(1);
    assert_eq!((report.nodes_considered, report.nodes_accepted), (300, 150));
    assert_eq!((report.turned_away[0].nodes, report.best.len(), report.rejected.len()), (150, 20, 50));
    assert_eq!(report.best.iter().map(|node| node.chosen_for).collect::<Vec<_>>()[..2], [1, 0]);
}

#[test]
fn fits_empty_looks_past_what_is_reserved_but_not_past_what_never_changes() {
    let mut case = Case::on([node("a", 4.0, 8_192), NodeRecord { cordoned: true, ..node("b", 64.0, 131_072) }]);
    case.nodes.reserve(case.at("a"), IdSource::new(1).next(NOW), resources(4.0, 8_192), None);
    case.resources = resources(4.0, 8_192);
    assert!(case.place(1).is_empty());
    assert!(fits_empty(&case.nodes, &case.demand()));
    case.resources = resources(5.0, 8_192);
    assert!(!fits_empty(&case.nodes, &case.demand()), "only a cordoned node is that big");
    case.resources = resources(1.0, 512);
    case.placement.constraints = vec![constraint("node", ConstraintOperator::NotIn, &["a"])];
    assert!(!fits_empty(&case.nodes, &case.demand()));
}

#[test]
fn nothing_asked_or_nobody_there_is_nothing() {
    let mut case = Case::on([node("a", 4.0, 8_192)]);
    assert!(case.place(0).is_empty());
    case.now = Timestamp::EPOCH;
    assert_eq!(case.names(1), ["a"]);
    case.nodes = NodeTable::default();
    assert!(case.place(u32::MAX).is_empty());
}
