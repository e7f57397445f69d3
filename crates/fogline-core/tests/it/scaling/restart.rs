//! What a restart keeps, and what has to be written for it.

use fogline_core::scaling::State;
use fogline_core::scaling::sample::{Point, Reading, Source};
use fogline_core::scaling::{evaluate, metrics};

use super::stage::{INTERVAL, Stage, seconds};

const RULES: &str =
    "max_replicas: 10\nscale_up_rules: [{metric: lag, operator: gt, threshold: 60, duration: 5m, scale_by: 2}]\n";

#[test]
fn only_transitions_need_a_commit() {
    let mut stage = Stage::new(2, RULES);
    stage.value("lag", 10.0);
    stage.after(seconds(15));
    let mut commits = Vec::new();
    for round in 0..60 {
        if round == 20 {
            stage.value("lag", 70.0);
        }
        let before = stage.state.memory.clone();
        stage.after(INTERVAL);
        if stage.state.memory.needs_commit(&before) {
            commits.push(round);
        }
    }
    // The rule begins to hold, and five minutes later it acts; then it may act every minute.
    assert_eq!(commits, [20, 40, 44, 48, 52]);
}

#[test]
fn downtime_breaks_a_duration_unless_the_store_fills_it() {
    for (filled, replicas) in [(false, 2), (true, 4)] {
        let mut stage = Stage::new(2, RULES);
        stage.value("lag", 70.0);
        stage.run(seconds(150));
        let stopped = stage.now;
        stage.now = stage.now.plus(seconds(180));
        stage.restart();
        let mut inputs = stage.look();
        if filled {
            let reading = inputs.readings.get_mut("lag").expect("shown");
            reading.history = (1..12).map(|step| Point { at: stopped.plus(INTERVAL * step), value: 70.0 }).collect();
        }
        let (decision, _) = evaluate(&stage.policies, &inputs, &stage.state, stage.now);
        assert_eq!(decision.replicas, replicas, "{}", decision.reason);
    }
}

#[test]
fn a_failed_execution_starts_no_cooldown_and_keeps_what_was_seen() {
    let mut stage = Stage::new(2, RULES);
    stage.value("lag", 70.0);
    stage.run(seconds(300));
    let before = stage.state.clone();
    stage.now = stage.now.plus(INTERVAL);
    let (decision, after) = evaluate(&stage.policies, &stage.look(), &before, stage.now);
    assert_eq!(decision.replicas, 4);
    assert_eq!(after.memory.last_up, Some(stage.now));
    let undone = after.clone().without_change(&before);
    assert_eq!((undone.memory.last_up, undone.memory.changes.len()), (None, 0));
    assert_eq!(undone.memory.policies, after.memory.policies);
    stage.now = stage.now.plus(INTERVAL);
    assert_eq!(evaluate(&stage.policies, &stage.look(), &undone, stage.now).0.replicas, 4, "it is tried again");
}

#[test]
fn what_a_policy_names_is_asked_for_and_nothing_else() {
    let stage = Stage::new(
        2,
        &format!("{RULES}load_score: {{}}\nscale_to_zero: true\nidle: {{activation: [{{metric: queue}}]}}\n"),
    );
    let names: Vec<String> = metrics(&stage.policies).into_iter().collect();
    assert_eq!(names, ["cpu_percent", "error_rate", "lag", "memory_percent", "queue", "request_rate"]);
}

#[test]
fn the_memory_of_a_removed_policy_or_rule_goes_with_it() {
    let mut stage = Stage::new(2, RULES);
    stage.value("lag", 70.0);
    stage.after(seconds(15));
    assert_eq!(stage.state.memory.policies.len(), 1);
    stage.policies.clear();
    let decision = stage.after(seconds(15));
    assert!(stage.state.memory.policies.is_empty() && stage.state.recent.policies.is_empty());
    assert_eq!(decision.reason, "held at 2: no policy is enabled");
}

#[test]
fn a_state_of_an_older_version_is_read() {
    let state: State = serde_json::from_str(r#"{"memory": {}}"#).expect("every field has a default");
    assert_eq!(state, State::default());
    let reading =
        serde_json::to_string(&Reading::value(1.0, super::stage::NOON, Source::Push, INTERVAL)).expect("serialises");
    serde_json::from_str::<Reading>(&reading).expect("parses");
}
