//! The load score of the proxy seed: weights, cap, thresholds, cooldowns, steps.

use fogline_core::scaling::LoadScore;
use fogline_core::scaling::decision::{Action, StepName};

use super::stage::{Shows, Stage, seconds};

fn shows(stage: &mut Stage, cpu: f64, memory: f64, requests: f64, errors: f64) {
    for (metric, value) in
        [("cpu_percent", cpu), ("memory_percent", memory), ("request_rate", requests), ("error_rate", errors)]
    {
        stage.value(metric, value);
    }
}

#[test]
fn the_weights_are_forty_thirty_twenty_ten() {
    for ((cpu, memory, requests, errors), score) in [
        ((100.0, 0.0, 0.0, 0.0), 40.0),
        ((0.0, 100.0, 0.0, 0.0), 30.0),
        ((0.0, 0.0, 1_000.0, 0.0), 20.0),
        ((0.0, 0.0, 0.0, 100.0), 10.0),
        ((50.0, 60.0, 500.0, 1.0), 48.1),
        ((75.0, 80.0, 800.0, 2.0), 70.2),
        // The rate counts up to its target, the whole up to 100.
        ((0.0, 0.0, 9_000.0, 0.0), 20.0),
        ((100.0, 100.0, 2_000.0, 100.0), 100.0),
        ((300.0, 100.0, 1_000.0, 100.0), 100.0),
        ((0.0, 0.0, 0.0, 0.0), 0.0),
        // What nobody can have measured hides nothing, and is a number all the same.
        ((-1e300, 100.0, -5.0, 0.0), 30.0),
        ((f64::MAX, f64::MAX, f64::MAX, f64::MAX), 100.0),
    ] {
        let total = LoadScore::new(cpu, memory, requests, errors, 1_000.0).total();
        assert!((total - score).abs() < 1e-9, "{cpu} {memory} {requests} {errors}: {total}, not {score}");
    }
}

#[test]
fn the_thresholds_themselves_are_neither_above_nor_below() {
    let mut stage = Stage::new(4, "load_score: {}\n");
    // Exactly 80 and exactly 30.
    shows(&mut stage, 90.0, 80.0, 1_000.0, 0.0);
    assert_eq!(stage.after(seconds(15)).action, Action::Hold);
    shows(&mut stage, 30.0, 30.0, 300.0, 30.0);
    assert_eq!(stage.after(seconds(600)).action, Action::Hold);
    shows(&mut stage, 90.1, 80.0, 1_000.0, 0.0);
    assert_eq!(stage.after(seconds(15)).action, Action::ScaleUp);
}

#[test]
fn each_aggressiveness_has_its_steps() {
    for (aggressiveness, up, down) in [("conservative", 7, 5), ("balanced", 8, 5), ("aggressive", 12, 3)] {
        let yaml = format!(
            "max_replicas: 20\nmax_terminations: 100\nscale_down: {{stabilization: 0s}}\nload_score: {{aggressiveness: {aggressiveness}}}\n"
        );
        let mut stage = Stage::new(6, &yaml);
        shows(&mut stage, 100.0, 100.0, 1_000.0, 100.0);
        assert_eq!(stage.after(seconds(15)).replicas, up, "{aggressiveness}: 6 · 100 / 80 is 7.5");
        let mut stage = Stage::new(6, &yaml);
        shows(&mut stage, 1.0, 1.0, 1.0, 0.0);
        assert_eq!(stage.after(seconds(15)).replicas, down, "{aggressiveness}");
    }
}

#[test]
fn up_waits_a_minute_and_down_five() {
    let mut stage = Stage::new(2, "max_replicas: 9\nscale_down: {stabilization: 0s}\nload_score: {}\n");
    shows(&mut stage, 100.0, 100.0, 1_000.0, 0.0);
    assert_eq!(stage.after(seconds(15)).replicas, 3);
    let held = stage.after(seconds(59));
    assert_eq!(held.replicas, 3);
    assert!(held.step(StepName::Cooldown).expect("taken").note.contains("scale-up cooldown of 1m"), "{held:?}");
    assert_eq!(stage.after(seconds(1)).replicas, 4);
    shows(&mut stage, 1.0, 1.0, 1.0, 0.0);
    assert_eq!(stage.after(seconds(299)).replicas, 4);
    assert_eq!(stage.after(seconds(1)).replicas, 3);
}

#[test]
fn the_record_shows_every_component() {
    let mut stage = Stage::new(2, "load_score: {}\n");
    shows(&mut stage, 96.0, 20.0, 100.0, 0.0);
    let decision = stage.after(seconds(15));
    let parts: Vec<(&str, f64)> =
        decision.votes[0].parts.iter().map(|(name, value)| (name.as_str(), (value * 10.0).round() / 10.0)).collect();
    assert_eq!(parts, [("cpu", 38.4), ("memory", 6.0), ("requests", 2.0), ("errors", 0.0), ("load_score", 46.4)]);
}

#[test]
fn a_saturated_part_does_not_let_go_down_and_can_be_ignored() {
    for (guard, action) in [(true, Action::Hold), (false, Action::ScaleDown)] {
        let mut stage =
            Stage::new(4, &format!("scale_down: {{stabilization: 0s}}\nload_score: {{saturation_guard: {guard}}}\n"));
        // A score of 27.3 is below 30, but memory is past 90 %.
        shows(&mut stage, 0.0, 91.0, 0.0, 0.0);
        assert_eq!(stage.after(seconds(15)).action, action, "guard {guard}");
    }
}

#[test]
fn one_missing_component_is_no_score() {
    let mut stage = Stage::new(4, "scale_down: {stabilization: 0s}\nload_score: {}\n");
    shows(&mut stage, 1.0, 1.0, 1.0, 0.0);
    stage.show("memory_percent", Shows::Missing);
    let decision = stage.after(seconds(15));
    assert_eq!((decision.action, decision.reason.as_str()), (Action::Hold, "held at 4: memory_percent is missing"));
}
