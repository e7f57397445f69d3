//! A scaling decision as a chain that people read: what was known, who voted how, what each step made of it, the end.
//!
//! Must never decide or leave out anything: what the record has is shown. Tests: below, and `tests/it/policies.rs`.

use std::collections::BTreeMap;

use fogline_api::http::DecisionResponse;
use fogline_core::id::PolicyId;
use fogline_core::record::DecisionStatus;
use fogline_core::scaling::decision::{Event, InputRecord, Step};
use fogline_core::scaling::inputs::{Run, Trigger};
use fogline_core::scaling::vote::{Ballot, Vote};
use fogline_core::scaling::{Decision, shown};

use crate::output::{Paint, Table, clean, moment};

/// A decision that was made, with what has become of it.
pub fn kept(name: &str, decision: &DecisionResponse, paint: Paint) -> String {
    let mut text = told(name, &decision.decision, paint);
    let took = decision.duration_ms.filter(|ms| *ms > 0).map(|ms| format!(" after {ms} ms")).unwrap_or_default();
    let why = decision.error.as_ref().map(|error| format!(": {}", clean(error))).unwrap_or_default();
    match decision.status {
        Some(DecisionStatus::Pending) => text.push_str("\nNot carried out yet."),
        Some(DecisionStatus::Failed) => text.push_str(&format!("\nNot carried out{took}{why}")),
        Some(DecisionStatus::Completed) if decision.dry_run => text.push_str("\nOnly recorded."),
        Some(DecisionStatus::Completed) => text.push_str(&format!("\nCarried out{took}{why}")),
        None => {}
    }
    text
}

/// A decision as it stands.
pub fn told(name: &str, decision: &Decision, paint: Paint) -> String {
    let mut parts = vec![headline(name, decision, paint)];
    let names: BTreeMap<PolicyId, &str> =
        decision.policies.iter().map(|policy| (policy.id, policy.name.as_str())).collect();
    if !decision.inputs.is_empty() {
        parts.push(section("inputs", &inputs(&decision.inputs, paint)));
    }
    if !decision.votes.is_empty() {
        parts.push(section("votes", &votes(&decision.votes, &names, paint)));
    }
    if !decision.steps.is_empty() {
        parts.push(section("steps", &steps(&decision.steps, paint)));
    }
    if !decision.events.is_empty() {
        let lines: Vec<String> = decision.events.iter().map(event).collect();
        parts.push(section("events", &lines.join("\n")));
    }
    parts.push(paint.strong(&decision.reason));
    parts.join("\n")
}

fn headline(name: &str, decision: &Decision, paint: Paint) -> String {
    let asked = match decision.trigger {
        Trigger::Auto => "by its policies",
        Trigger::Manual => "by a person",
        Trigger::Admin => "by an administrator",
        Trigger::Schedule => "by a schedule",
        Trigger::Proxy => "for a request that waits",
    };
    let run = match decision.run {
        Run::Live => "",
        Run::DryRun => ", as a dry run",
        Run::Shadow => ", as a shadow",
        Run::Backtest => ", as a trial",
    };
    format!(
        "{} at {}, {asked}{run}: {} replicas, {} of them ready",
        paint.strong(name),
        moment(decision.at),
        decision.current,
        decision.ready
    )
}

fn section(title: &str, lines: &str) -> String {
    let indented: Vec<String> = lines.lines().map(|line| format!("    {line}")).collect();
    format!("  {title}\n{}", indented.join("\n"))
}

fn inputs(inputs: &[InputRecord], paint: Paint) -> String {
    let mut table = Table::new(paint, &["METRIC", "VALUE", "AGE", "SOURCE", "REMARK"]);
    for input in inputs {
        table.row(&input_row(input, &input.metric, String::new()));
        if let Some(other) = &input.outranked {
            table.row(&input_row(other, "", "outranked".to_owned()));
        }
    }
    table.render("none")
}

fn input_row(input: &InputRecord, metric: &str, remark: String) -> [String; 5] {
    let said = match input.outcome.as_str() {
        "value" => String::new(),
        "not_applicable" => "does not apply here".to_owned(),
        other => other.to_owned(),
    };
    let why = [remark, said, input.reason.clone().unwrap_or_default()];
    let why: Vec<String> = why.into_iter().filter(|part| !part.is_empty()).collect();
    [
        metric.to_owned(),
        input.value.map_or_else(|| "-".to_owned(), shown),
        input.age_s.map_or_else(|| "-".to_owned(), |age| format!("{age:.0} s")),
        input.source.map_or("-", |source| source.as_str()).to_owned(),
        why.join(": "),
    ]
}

fn votes(votes: &[Vote], names: &BTreeMap<PolicyId, &str>, paint: Paint) -> String {
    let mut table = Table::new(paint, &["POLICY", "STRATEGY", "UP", "DOWN", "WHY"]);
    for vote in votes {
        let strategy = match &vote.metric {
            Some(metric) => format!("{} {metric}", vote.strategy.as_str()),
            None => vote.strategy.as_str().to_owned(),
        };
        let parts: Vec<String> = vote.parts.iter().map(|(name, value)| format!("{name} {}", shown(*value))).collect();
        let why = if parts.is_empty() { vote.why.clone() } else { format!("{} ({})", vote.why, parts.join(", ")) };
        let id = vote.policy_id.to_string();
        let policy = names.get(&vote.policy_id).copied().unwrap_or(&id);
        table.row(&[policy, &strategy, &ballot(vote.up), &ballot(vote.down), &why]);
    }
    table.render("none")
}

fn ballot(ballot: Ballot) -> String {
    match ballot {
        Ballot::Count(count) => count.to_string(),
        Ballot::Hold => "hold".to_owned(),
        Ballot::Abstain => "-".to_owned(),
        Ballot::NoData => "no data".to_owned(),
    }
}

fn steps(steps: &[Step], paint: Paint) -> String {
    let mut table = Table::new(paint, &["STEP", "COUNT", "WHY"]);
    for step in steps {
        let count = if step.before == step.after {
            step.after.to_string()
        } else {
            format!("{} → {}", step.before, step.after)
        };
        table.row(&[step.name.as_str(), &count, &step.note]);
    }
    table.render("none")
}

fn event(event: &Event) -> String {
    let text = match event {
        Event::TrafficConflict { metric } => {
            format!("{metric} says that there is nothing to do, and the proxy has requests")
        }
        Event::ScheduleMissed { cron_expression, at } => {
            format!("the schedule {cron_expression} was missed at {}", moment(*at))
        }
        Event::Fallback { subject, replicas } => format!("{subject} has no data: the fallback of {replicas} counts"),
    };
    clean(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Paint = Paint { colors: false };

    fn decision() -> Decision {
        serde_json::from_value(json!({
            "at": "2026-01-28T08:00:10.5Z", "run": "live", "trigger": "auto", "action": "scale_up",
            "target": {"target_type": "deployment", "target_id": "web"},
            "policies": [{"id": "00000000-0000-7000-8000-000000000007", "name": "web"}],
            "current": 2, "ready": 2, "replicas": 4, "reason": "scaled up from 2 to 4: request_rate 320 asks for 5",
            "inputs": [
                {"metric": "request_rate", "source": "push", "outcome": "value", "value": 320.0, "age_s": 4.2,
                 "outranked": {"metric": "request_rate", "source": "builtin", "outcome": "value", "value": 12.125, "age_s": 1.0}},
                {"metric": "lag", "outcome": "error", "reason": "connection \u{1b}[31mrefused"},
            ],
            "votes": [{"policy_id": "00000000-0000-7000-8000-000000000007", "strategy": "target", "metric": "request_rate",
                       "up": {"count": 5}, "down": "hold", "why": "320 / 80", "parts": [["ratio", 2.0]]}],
            "steps": [
                {"name": "merge", "before": 2, "after": 5, "note": "the highest vote"},
                {"name": "rate", "before": 5, "after": 4, "note": "at most 2 in 15 s"},
                {"name": "bounds", "before": 4, "after": 4},
            ],
            "events": [{"event": "fallback", "subject": "lag", "replicas": 3}],
        }))
        .expect("a decision")
    }

    #[test]
    fn the_chain_tells_everything_in_order() {
        let text = told("web", &decision(), PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "web at 2026-01-28T08:00:10Z, by its policies: 2 replicas, 2 of them ready",
                "  inputs",
                "    METRIC        VALUE  AGE  SOURCE    REMARK",
                "    request_rate  320    4 s  push",
                "                  12.12  1 s  built-in  outranked",
                "    lag           -      -    -         error: connection \\u{1b}[31mrefused",
                "  votes",
                "    POLICY  STRATEGY             UP  DOWN  WHY",
                "    web     target request_rate  5   hold  320 / 80 (ratio 2)",
                "  steps",
                "    STEP    COUNT  WHY",
                "    merge   2 → 5  the highest vote",
                "    rate    5 → 4  at most 2 in 15 s",
                "    bounds  4",
                "  events",
                "    lag has no data: the fallback of 3 counts",
                "scaled up from 2 to 4: request_rate 320 asks for 5",
            ]
        );
    }

    #[test]
    fn a_figure_beyond_counting_does_not_fill_the_line() {
        let mut decision = decision();
        decision.inputs[0].value = Some(1e290);
        assert!(told("web", &decision, PLAIN).contains("request_rate  1e290  "));
    }

    #[test]
    fn what_became_of_it_follows() {
        let of = |status, error: Option<&str>, dry_run| DecisionResponse {
            id: None,
            resolved_target: "deployment:00000000-0000-7000-8000-000000000001".parse().expect("a target"),
            dry_run,
            status,
            error: error.map(str::to_owned),
            triggered_by: None,
            completed_at: None,
            duration_ms: Some(12),
            decision: decision(),
        };
        for (status, error, dry_run, end) in [
            (Some(DecisionStatus::Completed), None, false, "Carried out after 12 ms"),
            (Some(DecisionStatus::Completed), None, true, "Only recorded."),
            (Some(DecisionStatus::Failed), Some("no answer"), false, "Not carried out after 12 ms: no answer"),
            (Some(DecisionStatus::Pending), None, false, "Not carried out yet."),
            (None, None, false, "scaled up from 2 to 4: request_rate 320 asks for 5"),
        ] {
            let text = kept("web", &of(status, error, dry_run), PLAIN);
            assert_eq!(text.lines().last(), Some(end));
        }
    }
}
