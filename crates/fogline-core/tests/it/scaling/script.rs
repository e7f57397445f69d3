//! A small language for golden traces: what a target shows, and how its count follows.
//!
//! `for 5m` evaluates every 15 s and prints each change and the last decision; `eval` evaluates once more and prints every step that
//! had something to do.

use std::fmt::Write;

use fogline_core::scaling::policy::Span;
use fogline_core::scaling::sample::Coverage;
use fogline_core::scaling::{Decision, decision::Action};
use fogline_core::time::Timestamp;

use super::stage::{Shows, Stage, policy, time};

pub fn run(script: &str) -> String {
    let mut player =
        Player { stage: None, yaml: None, policies: Vec::new(), start: Timestamp::EPOCH, out: String::new() };
    for line in script.lines() {
        if let Some(yaml) = &mut player.yaml {
            if let Some(inner) = line.strip_prefix("  ") {
                writeln!(yaml, "{inner}").expect("writes");
                writeln!(player.out, "{line}").expect("writes");
                continue;
            }
            let number = player.policies.len() as u128 + 1;
            let read = policy(number, yaml);
            player.policies.push(read);
            player.yaml = None;
        }
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            writeln!(player.out, "{line}").expect("writes");
            continue;
        }
        writeln!(player.out, "> {line}").expect("writes");
        player.line(line);
    }
    player.out
}

struct Player {
    stage: Option<Stage>,
    yaml: Option<String>,
    policies: Vec<fogline_core::scaling::Policy>,
    start: Timestamp,
    out: String,
}

impl Player {
    fn stage(&mut self) -> &mut Stage {
        self.stage.as_mut().expect("`start` comes first")
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let option = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let number = |key: &str| option(key).map_or(0, |text| text.parse().expect("a number"));
        match word {
            "policy" => self.yaml = Some(String::new()),
            "start" => {
                let mut stage = Stage::new(words[0].parse().expect("a count"), "");
                stage.policies = self.policies.clone();
                if let Some(at) = option("at") {
                    stage.now = time(at);
                }
                self.start = stage.now;
                self.stage = Some(stage);
            }
            "show" => {
                for word in &words {
                    let (metric, value) = word.split_once('=').expect("metric=value");
                    let shows = match value {
                        "missing" => Shows::Missing,
                        "stale" => Shows::Stale(1.0),
                        "error" => Shows::Error,
                        "nan" => Shows::Value(f64::NAN),
                        value => Shows::Value(value.parse().expect("a value")),
                    };
                    self.stage().show(metric, shows);
                }
            }
            "covered" => {
                let coverage =
                    Coverage { sampled: number("sampled"), missing: number("missing"), not_ready: number("not_ready") };
                let metric = words[0].to_owned();
                self.stage().coverage = vec![(metric, coverage)];
            }
            "ready" => {
                let ready = words[0].parse().expect("a count");
                self.stage().follows = false;
                self.stage().inputs.replicas.ready = ready;
            }
            "release" => self.stage().inputs.replicas.release_failing = words[0] == "fails",
            "price" => self.stage().inputs.replica_hourly_cost = Some(words[0].parse().expect("a price")),
            "proxy" => {
                let (open, held) = (number("open"), number("held"));
                self.stage().proxy(open, held);
            }
            "manual" => {
                let (count, by) = (words[0].parse().expect("a count"), option("by").unwrap_or("ann"));
                let now = self.stage().now;
                let until = option("for").map(|span| now.plus(Span::parse(span).expect("a span").0));
                self.stage().manual(count, by, until);
            }
            "pause" => {
                let until = self.stage().now.plus(Span::parse(words[0]).expect("a span").0);
                for memory in self.stage().state.memory.policies.values_mut() {
                    memory.paused_until = Some(until);
                }
            }
            "restart" => self.stage().restart(),
            "wait" => {
                let span = Span::parse(words[0]).expect("a span").0;
                let stage = self.stage();
                stage.now = stage.now.plus(span);
            }
            "eval" => {
                let interval = self.stage().interval;
                let decision = self.stage().after(interval);
                self.tell(&decision);
                self.tell_steps(&decision);
            }
            "for" => {
                let span = Span::parse(words[0]).expect("a span").0;
                let decisions = self.stage().run(span);
                for (index, decision) in decisions.iter().enumerate() {
                    if decision.action != Action::Hold || !decision.events.is_empty() || index + 1 == decisions.len() {
                        self.tell(decision);
                    }
                }
            }
            other => panic!("no command {other}"),
        }
    }

    fn tell(&mut self, decision: &Decision) {
        let at = Span(decision.at.since(self.start));
        writeln!(self.out, "  +{at} [{}] {}", decision.trigger.as_str(), decision.reason).expect("writes");
        for event in &decision.events {
            writeln!(self.out, "      event {}", serde_json::to_string(event).expect("serialises")).expect("writes");
        }
    }

    fn tell_steps(&mut self, decision: &Decision) {
        for input in &decision.inputs {
            let value = input.value.map_or(String::new(), |value| format!(" {value}"));
            writeln!(self.out, "      input {} {}{value}", input.metric, input.outcome).expect("writes");
        }
        for vote in &decision.votes {
            writeln!(
                self.out,
                "      vote {} up {:?} down {:?}: {}",
                vote.strategy.as_str(),
                vote.up,
                vote.down,
                vote.why
            )
            .expect("writes");
        }
        for step in decision.steps.iter().filter(|step| step.before != step.after || !step.note.is_empty()) {
            writeln!(self.out, "      {} {} -> {} {}", step.name.as_str(), step.before, step.after, step.note)
                .expect("writes");
        }
        while self.out.ends_with(" \n") {
            self.out.truncate(self.out.len() - 2);
            self.out.push('\n');
        }
    }
}
