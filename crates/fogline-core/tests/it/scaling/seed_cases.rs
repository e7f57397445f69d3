//! The cases of the proxy seed's own list of tests that need no server, under its names.
//!
//! What is about recording, events, history and callers is tested where those are.

use fogline_core::id::PolicyId;
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::policy::validate_manual;
use fogline_core::scaling::{LoadScore, Policy};
use uuid::Uuid;

use super::stage::{Stage, policy, seconds, spec};

/// The seed's default policy.
const DEFAULT: &str = "min_replicas: 1\nmax_replicas: 10\nload_score: {target_cpu_percent: 70, target_memory_percent: 80, \
                       target_request_rate: 1000, scale_up_threshold: 80, scale_down_threshold: 30}\n\
                       scale_up_cooldown: 60\nscale_down_cooldown: 300\n";

fn refused(yaml: &str, field: &str) {
    let errors = Policy::new(PolicyId::from_uuid(Uuid::from_u128(1)), spec(yaml)).expect_err(yaml);
    assert!(errors.iter().any(|error| error.field == field), "{errors:?}");
}

fn loaded(current: u32, [cpu, memory, requests, errors]: [f64; 4]) -> Stage {
    let mut stage = Stage::new(current, &format!("{DEFAULT}scale_down: {{stabilization: 0s}}\n"));
    for (metric, value) in
        [("cpu_percent", cpu), ("memory_percent", memory), ("request_rate", requests), ("error_rate", errors)]
    {
        stage.value(metric, value);
    }
    stage
}

const HIGH: [f64; 4] = [95.0, 90.0, 1_500.0, 2.0];
const LOW: [f64; 4] = [10.0, 20.0, 50.0, 0.0];

#[test]
fn create_policy_with_valid_configuration() {
    let spec = policy(1, DEFAULT).spec().clone();
    assert_eq!((spec.min_replicas, spec.max_replicas), (1, 10));
    assert_eq!(spec.load_score.expect("there"), super::stage::spec("load_score: {}\n").load_score.expect("there"));
}

#[test]
fn reject_invalid_min_replicas() {
    refused("min_replicas: 0\nload_score: {}\n", "min_replicas");
}

#[test]
fn reject_max_replicas_less_than_min_replicas() {
    refused("min_replicas: 5\nmax_replicas: 2\n", "max_replicas");
}

#[test]
fn reject_invalid_cpu_percent() {
    for percent in ["0", "-1", "150"] {
        refused(&format!("load_score: {{target_cpu_percent: {percent}}}\n"), "load_score.target_cpu_percent");
    }
}

#[test]
fn reject_invalid_threshold_configuration() {
    refused("load_score: {scale_up_threshold: 30, scale_down_threshold: 80}\n", "load_score.scale_down_threshold");
}

#[test]
fn calculate_load_score_correctly() {
    let score = LoadScore::new(50.0, 60.0, 500.0, 1.0, 1_000.0).total();
    assert!((score - (0.4 * 50.0 + 0.3 * 60.0 + 0.2 * 50.0 + 0.1)).abs() < 1e-9, "{score}");
}

#[test]
fn cap_load_score_at_100() {
    assert_eq!(LoadScore::new(100.0, 100.0, 50_000.0, 100.0, 1_000.0).total(), 100.0);
    assert_eq!(LoadScore::new(400.0, 400.0, 50_000.0, 100.0, 1_000.0).total(), 100.0);
}

#[test]
fn no_scaling_when_load_within_thresholds() {
    let decision = loaded(3, [50.0, 50.0, 500.0, 1.0]).after(seconds(15));
    assert_eq!((decision.action, decision.replicas), (Action::Hold, 3));
}

#[test]
fn recommend_scale_up_when_load_exceeds_threshold() {
    let decision = loaded(3, HIGH).after(seconds(15));
    assert_eq!((decision.action, decision.replicas), (Action::ScaleUp, 4));
    assert_eq!(decision.reason, "scaled up from 3 to 4: load score 85.2 is above 80");
}

#[test]
fn recommend_scale_down_when_load_below_threshold() {
    let decision = loaded(3, LOW).after(seconds(15));
    assert_eq!((decision.action, decision.replicas), (Action::ScaleDown, 2));
    assert_eq!(decision.reason, "scaled down from 3 to 2: load score 11 is below 30");
}

#[test]
fn respect_minimum_replicas_when_scaling_down() {
    let decision = loaded(1, LOW).after(seconds(15));
    assert_eq!((decision.action, decision.replicas), (Action::Hold, 1));
    assert!(decision.reason.contains("at least 1"), "{}", decision.reason);
}

#[test]
fn respect_maximum_replicas_when_scaling_up() {
    let decision = loaded(10, HIGH).after(seconds(15));
    assert_eq!((decision.action, decision.replicas), (Action::Hold, 10));
    assert!(decision.reason.contains("at most 10"), "{}", decision.reason);
}

#[test]
fn execute_scaling_with_valid_parameters() {
    let mut stage = loaded(3, [50.0, 50.0, 500.0, 1.0]);
    validate_manual(&stage.policies, 5).expect("within the bounds");
    stage.manual(5, "admin", None);
    assert_eq!(stage.after(seconds(15)).replicas, 5);
}

#[test]
fn reject_scaling_with_invalid_replica_count() {
    let stage = loaded(3, HIGH);
    for replicas in [0, 11] {
        validate_manual(&stage.policies, replicas).expect_err("outside the bounds");
    }
}
