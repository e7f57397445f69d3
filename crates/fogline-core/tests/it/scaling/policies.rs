//! Policies as they are written: the seed's example, durations, and what is refused.

use fogline_core::id::PolicyId;
use fogline_core::scaling::policy::{Operator, Policy, PolicySpec, validate_manual};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{policy, spec};

/// The request body of SCALE-001, as it stands there.
const SCALE_001: &str = include_str!("../../../../../examples/scaling/cdc-worker.json");

fn check(spec: PolicySpec) -> Result<Policy, Vec<String>> {
    let id = PolicyId::from_uuid(Uuid::from_u128(1));
    Policy::new(id, spec).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn the_seeds_example_is_accepted_and_comes_back_with_every_field() {
    let spec: PolicySpec = serde_json::from_str(SCALE_001).expect("parses");
    let rule = &spec.scale_up_rules[0];
    assert_eq!((rule.operator, rule.threshold, rule.duration.0.as_secs(), rule.scale_by), (Operator::Gt, 60.0, 300, 2));
    let answer = serde_json::to_value(&spec).expect("serialises");
    let asked: Value = serde_json::from_str(SCALE_001).expect("parses");
    for (field, value) in asked.as_object().expect("an object") {
        let answered = &answer[field];
        match value {
            Value::Array(items) => {
                for (item, answered) in items.iter().zip(answered.as_array().expect("a list")) {
                    for (field, value) in item.as_object().expect("an object") {
                        let same = match (value.as_f64(), answered[field].as_f64()) {
                            (Some(one), Some(other)) => one == other,
                            _ => *value == answered[field],
                        };
                        assert!(same, "{field}: {value} came back as {}", answered[field]);
                    }
                }
            }
            value => assert_eq!(value, answered, "{field}"),
        }
    }
    assert_eq!(answer["enabled"], json!(true));
    assert_eq!(serde_json::from_value::<PolicySpec>(answer).expect("parses"), spec);
    assert_eq!(spec.scale_up_cooldown().as_secs(), 300, "cooldown_seconds sets both");
    check(spec).expect("every field is fine");
}

#[test]
fn the_seeds_shortest_policy_is_accepted() {
    let text = r#"{"name":"test-policy","target_type":"cdc-worker","min_replicas":1,"max_replicas":5}"#;
    let spec: PolicySpec = serde_json::from_str(text).expect("parses");
    assert!(spec.enabled && spec.schedules.is_empty());
    check(spec).expect("a policy may do nothing but bound");
}

#[test]
fn durations_are_text_or_seconds() {
    let of = |duration: &str| {
        spec(&format!(
            "scale_up_rules: [{{metric: m, operator: gt, threshold: 1, scale_by: 1, duration: {duration}}}]\n"
        ))
        .scale_up_rules[0]
            .duration
            .0
            .as_secs()
    };
    assert_eq!([of("5m"), of("300"), of("\"300\""), of("1h30m")], [300, 300, 300, 5_400]);
}

#[test]
fn cooldowns_are_those_of_the_strategies() {
    let cooldowns = |yaml: &str| {
        let spec = spec(yaml);
        (spec.scale_up_cooldown().as_secs(), spec.scale_down_cooldown().as_secs())
    };
    let rule = "scale_up_rules: [{metric: m, operator: gt, threshold: 1, scale_by: 1}]\n";
    assert_eq!(cooldowns("load_score: {}\n"), (60, 300));
    assert_eq!(cooldowns(rule), (60, 300));
    assert_eq!(cooldowns("targets: [{metric: m, target: 1}]\n"), (0, 0));
    assert_eq!(cooldowns("cooldown_seconds: 120\ntargets: [{metric: m, target: 1}]\n"), (120, 120));
    assert_eq!(cooldowns(&format!("cooldown_seconds: 120\nscale_up_cooldown: 30s\n{rule}")), (30, 120));
}

#[test]
fn every_field_at_fault_is_named_with_what_would_do() {
    let rule = |rest: &str| format!("scale_up_rules: [{{metric: m, operator: gt, {rest}}}]\n");
    let schedule = |rest: &str| format!("schedules: [{{{rest}}}]\n");
    for (yaml, parts) in [
        ("name: \"a b\"\n".to_owned(), &["name: is no name"][..]),
        ("target_type: \"\"\n".to_owned(), &["target_type: is no type"]),
        ("min_replicas: 0\n".to_owned(), &["min_replicas: is 0, and the policy does not scale to zero"]),
        ("min_replicas: 5\nmax_replicas: 4\n".to_owned(), &["max_replicas: 4 is below the minimum, which is 5"]),
        ("max_replicas: 101\n".to_owned(), &["max_replicas: 101 is out of range", "1 to 100"]),
        ("cooldown_seconds: 100000\n".to_owned(), &["cooldown_seconds: 1d3h46m40s is out of range"]),
        ("max_hourly_cost: 0\n".to_owned(), &["max_hourly_cost: 0 is out of range"]),
        (rule("threshold: -1, scale_by: 1"), &["scale_up_rules[0].threshold: -1 is out of range"]),
        (
            rule("threshold: 1, scale_by: -1"),
            &["scale_up_rules[0].scale_by: -1 is out of range", "above 0 in an up rule"],
        ),
        (rule("threshold: 1, scale_by: 0"), &["scale_up_rules[0].scale_by: 0 is out of range"]),
        (
            rule("threshold: .nan, scale_by: 1, duration: 2d"),
            &["scale_up_rules[0].threshold: NaN", "scale_up_rules[0].duration"],
        ),
        (
            "scale_down_rules: [{metric: m, operator: lt, threshold: 1, scale_by: 1}]\n".to_owned(),
            &["scale_down_rules[0].scale_by: 1 is out of range", "below 0 in a down rule"],
        ),
        (schedule("cron_expression: \"0 8 * *\", desired_replicas: 1"), &["schedules[0].cron_expression", "4 fields"]),
        (schedule("cron_expression: \"0 8 * * *\", desired_replicas: 0"), &["schedules[0].desired_replicas: 0"]),
        (
            schedule("cron_expression: \"0 8 * * *\", desired_replicas: 1, timezone: Europe/Budapset"),
            &["schedules[0].timezone: \"Europe/Budapset\" is no time zone", "Europe/Budapest"],
        ),
        (
            schedule(&format!("cron_expression: \"0 {}8 * * *\", desired_replicas: 1", "8,".repeat(200))),
            &["schedules[0].cron_expression: takes", "at most 200 characters"],
        ),
        ("target_id: \"a\\0b\"\n".to_owned(), &["the policy holds a NUL"]),
        ("load_score: {target_cpu_percent: 101}\n".to_owned(), &["load_score.target_cpu_percent: 101 is out of range"]),
        (
            "load_score: {scale_up_threshold: 30, scale_down_threshold: 80}\n".to_owned(),
            &["load_score.scale_down_threshold: 80 is not below the threshold for scaling up, 30"],
        ),
        ("targets: [{metric: m, target: 0}]\n".to_owned(), &["targets[0].target: 0 is out of range"]),
        ("tolerance: 1\n".to_owned(), &["tolerance.up: 1 is out of range", "tolerance.down: 1 is out of range"]),
        ("on_missing: fallback\n".to_owned(), &["fallback: is missing"]),
        ("fallback: {replicas: 11}\n".to_owned(), &["fallback.replicas: 11 is out of range"]),
        (
            "idle: {activation: [{metric: m}]}\n".to_owned(),
            &["idle.activation: is set, but the policy does not scale to zero"],
        ),
        ("max_terminations: 0\n".to_owned(), &["max_terminations: 0 is out of range"]),
        (
            "min_replicas: 0\nmax_hourly_cost: -1\ncooldown_seconds: 900000\n".to_owned(),
            &["min_replicas", "max_hourly_cost", "cooldown_seconds"],
        ),
    ] {
        let errors = check(spec(&yaml)).err().unwrap_or_else(|| panic!("accepted: {yaml}"));
        for part in parts {
            assert!(errors.iter().any(|error| error.contains(part)), "no {part:?} in {errors:?}");
        }
    }
}

#[test]
fn unknown_fields_and_words_are_no_policy() {
    for text in [
        r#"{"name":"a","target_type":"b","min_replica":1}"#,
        r#"{"name":"a","target_type":"b","mode":"sometimes"}"#,
        r#"{"name":"a","target_type":"b","scale_up_rules":[{"metric":"m","operator":"eq","threshold":1,"scale_by":1}]}"#,
        r#"{"name":"a"}"#,
    ] {
        serde_json::from_str::<PolicySpec>(text).expect_err(text);
    }
}

#[test]
fn a_person_stays_within_the_bounds_of_the_active_policies() {
    let policies =
        [policy(1, "min_replicas: 2\nmax_replicas: 5\n"), policy(2, "name: shadow\nmax_replicas: 3\nmode: shadow\n")];
    validate_manual(&policies, 5).expect("within");
    for replicas in [1, 6] {
        let error = validate_manual(&policies, replicas).expect_err("outside").to_string();
        assert!(error.contains("policy web") && error.contains("2 to 5"), "{error}");
    }
}
