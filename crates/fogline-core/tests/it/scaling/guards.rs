//! Guards that look at single votes: what is not known, or not of all replicas, is no reason to go down.

use fogline_core::scaling::sample::Coverage;

use super::stage::{Stage, seconds};

const NINE_OF_TEN_SILENT: Coverage = Coverage { sampled: 1, missing: 9, not_ready: 0 };

#[test]
fn a_mean_over_one_of_ten_replicas_takes_nobody_down() {
    for yaml in [
        "scale_down_rules: [{metric: cpu_percent, operator: lt, threshold: 20, duration: 0s, scale_by: -1}]\n",
        "load_score: {}\n",
    ] {
        let mut stage = Stage::new(10, yaml);
        for (metric, value) in
            [("cpu_percent", 5.0), ("memory_percent", 5.0), ("request_rate", 0.0), ("error_rate", 0.0)]
        {
            stage.value(metric, value);
        }
        stage.coverage = vec![("cpu_percent".to_owned(), NINE_OF_TEN_SILENT)];
        let held = stage.after(seconds(600));
        assert_eq!(held.replicas, 10, "{yaml}: {}", held.reason);
        assert!(held.reason.contains("not every ready replica has given cpu_percent"), "{}", held.reason);
        stage.coverage.clear();
        let down = stage.after(seconds(600));
        assert!(down.replicas < 10, "{yaml}: {}", down.reason);
    }
}

#[test]
fn too_much_load_on_too_few_ready_replicas_is_no_reason_to_have_fewer() {
    let mut stage = Stage::new(10, "max_terminations: 100\ntargets: [{metric: queue, target: 100}]\n");
    stage.follows = false;
    stage.inputs.replicas.ready = 5;
    stage.value("queue", 150.0);
    let held = stage.after(seconds(600));
    assert_eq!(held.replicas, 10, "{}", held.reason);
    assert!(held.reason.contains("only 5 of 10 replicas are ready"), "{}", held.reason);
}

#[test]
fn texts_of_a_decision_are_bounded_whatever_a_metric_is_called() {
    let rules: Vec<String> = (0..32)
        .map(|n| {
            let name = format!("{}{n}", "x".repeat(400));
            format!("  - {{metric: {name}, operator: gt, threshold: 1, duration: 0s, scale_by: 1}}\n")
        })
        .collect();
    let mut stage = Stage::new(1, &format!("scale_up_rules:\n{}", rules.concat()));
    for n in 0..32 {
        stage.value(&format!("{}{n}", "x".repeat(400)), 1e300);
    }
    let decision = stage.evaluate();
    assert!(decision.replicas > 1);
    assert!(decision.reason.chars().count() <= 2_001 && decision.votes[0].why.chars().count() <= 1_001);
}
