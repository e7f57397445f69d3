//! Where Kubernetes' horizontal pod autoscaler has published an answer, it is ours.
//!
//! Source: Kubernetes documentation, "Horizontal Pod Autoscaling": algorithm details, scaling policies, stabilization
//! window. `max_terminations` is off in these tests, because Kubernetes has no such guard.

use fogline_core::scaling::decision::StepName;
use fogline_core::scaling::sample::Coverage;

use super::stage::{Stage, seconds};

const HPA: &str = "max_replicas: 100\nmax_terminations: 100\ntargets: [{metric: millicores, target: 100}]\n";

fn desired(current: u32, value: f64, coverage: Option<Coverage>) -> u32 {
    let mut stage = Stage::new(current, HPA);
    stage.value("millicores", value);
    stage.coverage = coverage.map(|coverage| ("millicores".to_owned(), coverage)).into_iter().collect();
    if let Some(coverage) = coverage {
        stage.inputs.replicas.ready = coverage.sampled + coverage.missing;
    }
    let decision = stage.evaluate();
    decision.step(StepName::Tolerance).expect("it is always taken").after
}

#[test]
fn twice_the_target_doubles_and_half_of_it_halves() {
    // "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled"
    assert_eq!(desired(4, 200.0, None), 8);
    // "if the current value is instead 50m, you'll halve the number of replicas"
    assert_eq!(desired(4, 50.0, None), 2);
    assert_eq!(desired(3, 50.0, None), 2, "rounded up");
    assert_eq!(desired(1, 10.0, None), 1);
}

#[test]
fn a_ratio_within_a_tenth_of_one_is_no_change() {
    for value in [90.0, 95.0, 100.0, 105.0, 110.0] {
        assert_eq!(desired(10, value, None), 10, "{value}");
    }
    assert_eq!(desired(10, 111.0, None), 12);
    assert_eq!(desired(10, 89.0, None), 9);
}

#[test]
fn replicas_without_a_sample_are_counted_conservatively() {
    let covered = |sampled, missing, not_ready| Some(Coverage { sampled, missing, not_ready });
    for (current, value, coverage, expected, why) in [
        (2, 100.0, covered(1, 1, 0), 2, "at the target there is nothing to change"),
        (2, 190.0, covered(1, 1, 0), 2, "0 for the missing one turns 1.9 into 0.95"),
        (2, 60.0, covered(1, 1, 0), 2, "100 % for the missing one makes 0.8, which is two replicas"),
        (4, 300.0, covered(2, 2, 0), 6, "0 for the missing ones makes 1.5 of four"),
        (4, 20.0, covered(2, 2, 0), 3, "100 % for the missing ones makes 0.6 of four"),
        (4, 200.0, covered(2, 0, 2), 4, "those that start count as 0 on the way up: what comes is enough"),
        (4, 400.0, covered(2, 0, 2), 8, "and where it is not enough, more are asked for"),
        (4, 40.0, covered(2, 0, 2), 1, "they do not count on the way down"),
        (3, 110.0, covered(2, 1, 0), 3, "0 for the missing one turns it round"),
    ] {
        assert_eq!(desired(current, value, coverage), expected, "{why}");
    }
}

#[test]
fn the_documented_scaling_policies_give_the_documented_steps() {
    // Pods 4 and Percent 10 a minute, from 80 to 10: 8, then 7.2 rounded up to 8, and 4 at a time from 40 on.
    let mut stage = Stage::new(
        80,
        "max_replicas: 100\nmax_terminations: 100\nscale_down: {stabilization: 0s, period: 60s, max_change: {replicas: 4, \
         percent: 10}}\ntargets: [{metric: queue, target: 1, type: average_value}]\n",
    );
    stage.value("queue", 10.0);
    stage.interval = seconds(60);
    let counts: Vec<u32> = stage.run(seconds(15 * 60)).iter().map(|decision| decision.replicas).collect();
    assert_eq!(counts, [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10]);
}

#[test]
fn growth_is_by_default_the_larger_of_four_and_twice_in_fifteen_seconds() {
    let mut stage = Stage::new(1, "max_replicas: 100\ntargets: [{metric: queue, target: 1, type: average_value}]\n");
    stage.value("queue", 100.0);
    let counts: Vec<u32> = stage.run(seconds(90)).iter().map(|decision| decision.replicas).collect();
    assert_eq!(counts, [5, 10, 20, 40, 80, 100]);
}

#[test]
fn a_scale_down_waits_for_the_highest_of_five_minutes() {
    let mut stage = Stage::new(8, HPA);
    stage.value("millicores", 100.0);
    stage.after(seconds(15));
    stage.value("millicores", 25.0);
    for waited in (15..300).step_by(15) {
        assert_eq!(stage.after(seconds(15)).replicas, 8, "after {waited} s");
    }
    assert_eq!(stage.after(seconds(15)).replicas, 2);
}
