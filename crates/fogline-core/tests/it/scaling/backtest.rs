//! Backtests: figures that can be worked out by hand, and that the engine inside is the engine.

use std::time::Duration;

use fogline_core::scaling::backtest::{BacktestError, Report, Row, Series, SeriesError, Setup, backtest};

use super::stage::{NOON, policy, seconds};

fn series(loads: &[f64]) -> Series {
    let rows = loads
        .iter()
        .zip(0..)
        .map(|(load, minute)| Row { at: NOON.plus(Duration::from_secs(minute * 60)), values: vec![Some(*load)] })
        .collect();
    Series::new(vec!["request_rate".to_owned()], rows).expect("a series")
}

fn setup() -> Setup {
    Setup {
        load: "request_rate".to_owned(),
        capacity: 100.0,
        start_time: seconds(30),
        interval: seconds(15),
        initial: None,
        replica_hourly_cost: Some(0.5),
    }
}

fn run(yaml: &str, loads: &[f64]) -> Report {
    backtest(&policy(1, yaml), &series(loads), &setup()).expect("it can be tried")
}

#[test]
fn a_constant_count_has_the_figures_that_one_works_out() {
    // Two hours: one at a demand of 1, one at a demand of 4; the constant count is 4.
    let mut loads = vec![100.0; 60];
    loads.extend([400.0; 61]);
    let fixed = run("targets: [{metric: request_rate, target: 80}]\n", &loads).fixed.figures;
    assert_eq!((fixed.time_under_percent, fixed.time_over_percent), (0.0, 50.0));
    assert_eq!((fixed.under_provisioning_percent, fixed.over_provisioning_percent), (0.0, 150.0));
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    assert_eq!((rounded(fixed.replica_hours), fixed.cost.map(rounded)), (8.0, Some(4.0)));
    assert_eq!((fixed.changes, fixed.reversals, fixed.load_steps), (0, 0, 0));
}

#[test]
fn a_step_waits_for_replicas_that_start() {
    let mut loads = vec![100.0; 10];
    loads.extend([400.0; 20]);
    let report = run("max_replicas: 20\ntargets: [{metric: request_rate, target: 80}]\n", &loads);
    let policy = &report.policy.figures;
    assert_eq!(policy.load_steps, 1);
    // Seen at the evaluation of the same moment, and 30 s to start.
    let waited = policy.time_to_capacity_max_s.expect("there was a step");
    assert!((30.0..=60.0).contains(&waited), "{waited}");
    assert!(policy.time_under_percent > 0.0 && policy.replica_hours < report.fixed.figures.replica_hours);
    // Blind to anything but a mean at 100 %, the usual autoscaler needs several rounds.
    assert!(report.hpa.figures.time_to_capacity_max_s.expect("there was a step") > waited);
    let first = &report.policy.changes[0];
    assert!(first.reason.starts_with("scaled up from "), "{}", first.reason);
}

#[test]
fn reversals_and_missing_metrics_are_told() {
    let loads: Vec<f64> = (0..120).map(|minute| if minute / 20 % 2 == 0 { 100.0 } else { 900.0 }).collect();
    let report = run(
        "max_replicas: 20\nscale_down: {stabilization: 0s}\nmax_terminations: 100\ntargets: [{metric: request_rate, target: 80}]\n",
        &loads,
    );
    assert_eq!(report.policy.figures.reversals, 4, "{:?}", report.policy.changes);
    assert!(report.missing_metrics.is_empty());
    let report = run("load_score: {}\n", &loads);
    assert_eq!(report.missing_metrics, ["error_rate", "memory_percent"]);
    assert_eq!(report.policy.figures.changes, 0, "without data it holds");
}

#[test]
fn a_target_that_sleeps_costs_nothing_meanwhile() {
    let mut loads = vec![50.0; 10];
    loads.extend([0.0; 50]);
    loads.extend([50.0; 10]);
    let report = run("scale_to_zero: true\ntargets: [{metric: request_rate, target: 80}]\n", &loads);
    let asleep = report.policy.moments.iter().filter(|moment| moment.asked == 0).count();
    assert_eq!(asleep * 15 / 60, 45, "five minutes of idleness, then nothing until the first request");
    assert_eq!(report.policy.figures.load_steps, 1);
}

#[test]
fn recorded_means_are_spread_over_the_simulated_replicas() {
    let rows = (0..60)
        .map(|minute| Row {
            at: NOON.plus(Duration::from_secs(minute * 60)),
            values: vec![Some(400.0), Some(100.0), Some(4.0)],
        })
        .collect();
    let names = ["request_rate", "cpu_percent", "replicas"].map(str::to_owned).to_vec();
    let series = Series::new(names, rows).expect("a series");
    let policy = policy(1, "max_replicas: 20\ntargets: [{metric: cpu_percent, target: 50}]\n");
    let setup = Setup { initial: Some(4), ..setup() };
    let report = backtest(&policy, &series, &setup).expect("it can be tried");
    let last = report.policy.moments.last().expect("there are some");
    assert_eq!(last.ready, 8, "eight replicas at half the use: {:?}", report.policy.changes);
}

#[test]
fn what_cannot_be_tried_says_why() {
    let policy = policy(1, "");
    let series = series(&[1.0, 2.0]);
    let error = |setup: Setup| backtest(&policy, &series, &setup).expect_err("refused");
    assert_eq!(
        error(Setup { load: "queue".to_owned(), ..setup() }).to_string(),
        "the series has no column \"queue\" for the load; it has request_rate"
    );
    assert!(matches!(error(Setup { capacity: 0.0, ..setup() }), BacktestError::Capacity { .. }));
    assert!(matches!(error(Setup { capacity: f64::NAN, ..setup() }), BacktestError::Capacity { .. }));
    assert!(matches!(error(Setup { interval: Duration::ZERO, ..setup() }), BacktestError::TooLong { .. }));
    assert!(matches!(error(Setup { interval: Duration::from_nanos(1), ..setup() }), BacktestError::TooLong { .. }));
    let row = |minute: u64, cells: usize| Row { at: NOON.plus(seconds(minute * 60)), values: vec![None; cells] };
    let bad = |rows| Series::new(vec!["a".to_owned()], rows).expect_err("no series");
    assert_eq!(bad(vec![row(0, 1)]), SeriesError::TooShort { rows: 1 });
    assert_eq!(bad(vec![row(0, 1), row(0, 1)]), SeriesError::NotRising { row: 1 });
    assert_eq!(bad(vec![row(0, 1), row(1, 2)]), SeriesError::Cells { row: 1, cells: 2, metrics: 1 });
}
