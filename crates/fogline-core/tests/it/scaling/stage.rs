//! A target with its policies, on which a test lets time pass.

use std::time::Duration;

use fogline_core::id::PolicyId;
use fogline_core::scaling::inputs::{ManualScale, ProxySignal, Trigger};
use fogline_core::scaling::sample::{Coverage, Reading, Sample, Source, builtin};
use fogline_core::scaling::{Decision, Inputs, Policy, PolicySpec, State, evaluate};
use fogline_core::time::Timestamp;
use uuid::Uuid;

/// 2026-01-28T12:00:00Z, a Wednesday.
pub const NOON: Timestamp = Timestamp::from_micros(1_769_601_600_000_000);
/// How often sources measure in these tests.
pub const INTERVAL: Duration = Duration::from_secs(15);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn time(text: &str) -> Timestamp {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).expect("a time")
}

/// A policy from YAML; name and type of the target may be left out.
pub fn spec(yaml: &str) -> PolicySpec {
    let mut text = yaml.to_owned();
    for (field, value) in [("name:", "name: web\n"), ("target_type:", "target_type: deployment\n")] {
        if !text.lines().any(|line| line.starts_with(field)) {
            text.push_str(value);
        }
    }
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub fn policy(number: u128, yaml: &str) -> Policy {
    Policy::new(PolicyId::from_uuid(Uuid::from_u128(number)), spec(yaml))
        .unwrap_or_else(|errors| panic!("{errors:?}\n{yaml}"))
}

/// What a metric shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Shows {
    Value(f64),
    Missing,
    Stale(f64),
    Error,
}

#[derive(Clone)]
pub struct Stage {
    pub policies: Vec<Policy>,
    pub inputs: Inputs,
    pub state: State,
    pub now: Timestamp,
    pub interval: Duration,
    pub metrics: Vec<(String, Shows)>,
    pub coverage: Vec<(String, Coverage)>,
    /// What the proxy sees; `quiet_since` follows by itself.
    pub proxy: Option<ProxySignal>,
    /// Whether replicas are ready as soon as they are asked for.
    pub follows: bool,
}

impl Stage {
    pub fn new(current: u32, yaml: &str) -> Self {
        let mut stage = Self {
            policies: vec![policy(1, yaml)],
            inputs: Inputs::default(),
            state: State::default(),
            now: NOON,
            interval: INTERVAL,
            metrics: Vec::new(),
            coverage: Vec::new(),
            proxy: None,
            follows: true,
        };
        stage.replicas(current);
        stage
    }

    pub fn replicas(&mut self, current: u32) {
        self.inputs.replicas.current = current;
        self.inputs.replicas.ready = current;
    }

    pub fn show(&mut self, metric: &str, shows: Shows) {
        self.metrics.retain(|(name, _)| name != metric);
        self.metrics.push((metric.to_owned(), shows));
    }

    pub fn value(&mut self, metric: &str, value: f64) {
        self.show(metric, Shows::Value(value));
    }

    pub fn proxy(&mut self, open: u32, held: u32) {
        let before = self.proxy;
        let sequence = before.map_or(0, |proxy| proxy.sequence) + u64::from(held > 0);
        let was_quiet = before.is_some_and(|proxy| !proxy.is_busy());
        let quiet_since = before.filter(|_| was_quiet && open + held == 0).map_or(self.now, |proxy| proxy.quiet_since);
        self.proxy = Some(ProxySignal { at: self.now, open, held, quiet_since, sequence });
    }

    /// The inputs of this moment.
    pub fn look(&self) -> Inputs {
        let mut inputs = self.inputs.clone();
        inputs.readings = self
            .metrics
            .iter()
            .map(|(name, shows)| {
                let known = [
                    builtin::CPU_PERCENT,
                    builtin::MEMORY_PERCENT,
                    builtin::REQUEST_RATE,
                    builtin::CONCURRENCY,
                    builtin::ERROR_RATE,
                ];
                let source = if known.contains(&name.as_str()) { Source::Builtin } else { Source::Prometheus };
                let sample = match shows {
                    Shows::Value(value) => Sample::Value { value: *value, at: self.now },
                    Shows::Missing => Sample::Missing,
                    Shows::Stale(value) => Sample::Value {
                        value: *value,
                        at: Timestamp::from_micros(self.now.as_micros() - 3_600_000_000),
                    },
                    Shows::Error => Sample::Error { reason: "the server answered 500".to_owned() },
                };
                let mut reading = Reading::of(sample, source, self.interval);
                reading.coverage =
                    self.coverage.iter().find(|(metric, _)| metric == name).map(|(_, coverage)| *coverage);
                (name.clone(), reading)
            })
            .collect();
        inputs.proxy = self.proxy.map(|proxy| ProxySignal { at: self.now, ..proxy });
        inputs
    }

    /// One evaluation that is carried out.
    pub fn evaluate(&mut self) -> Decision {
        let (decision, state) = evaluate(&self.policies, &self.look(), &self.state, self.now);
        self.state = state;
        self.inputs.manual = None;
        self.inputs.replicas.current = decision.replicas;
        if self.follows {
            self.inputs.replicas.ready = decision.replicas;
        }
        decision
    }

    /// Lets time pass, evaluates, and gives the last decision.
    pub fn after(&mut self, time: Duration) -> Decision {
        self.now = self.now.plus(time);
        self.evaluate()
    }

    /// Evaluates every `interval` for so long; all decisions.
    pub fn run(&mut self, time: Duration) -> Vec<Decision> {
        let rounds = time.as_millis() / self.interval.as_millis();
        (0..rounds).map(|_| self.after(self.interval)).collect()
    }

    pub fn manual(&mut self, replicas: u32, by: &str, until: Option<Timestamp>) {
        self.inputs.manual = Some(ManualScale { replicas, by: by.to_owned(), trigger: Trigger::Manual, until });
    }

    /// Ends the process and starts another, which knows only what was committed.
    pub fn restart(&mut self) {
        let rows = serde_json::to_string(&self.state.memory).expect("serialises");
        let memory = serde_json::from_str(&rows).expect("parses");
        self.state = State::resumed(memory, self.inputs.replicas.current, self.now);
    }
}
