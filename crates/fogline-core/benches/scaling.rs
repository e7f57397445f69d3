//! How long it takes to evaluate 10,000 policies once, as a pass of the scaler does every five seconds.
//!
//! Budget (DESIGN): 10,000 policies every 5 s on less than one core, so 500 µs an evaluation is the most. Read the time of
//! `one_evaluation`, which goes round all of them. `cargo bench -p fogline-core --bench scaling`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fogline_core::id::PolicyId;
use fogline_core::scaling::inputs::ReplicaCounts;
use fogline_core::scaling::policy::{
    LoadScoreSpec, Operator, PolicySpec, RuleSpec, ScheduleSpec, Span, TargetSpec, WindowMode,
};
use fogline_core::scaling::sample::{Reading, Source, builtin};
use fogline_core::scaling::state::Memory;
use fogline_core::scaling::{Inputs, Policy, State, evaluate};
use fogline_core::time::Timestamp;
use uuid::Uuid;

const POLICIES: u32 = 10_000;
const START: Timestamp = Timestamp::from_micros(1_769_601_600_000_000);
const EVERY: Duration = Duration::from_secs(5);

fn rule(metric: &str, operator: Operator, threshold: f64, minutes: u64, scale_by: i32) -> RuleSpec {
    let duration = Span(Duration::from_secs(minutes * 60));
    RuleSpec { metric: metric.to_owned(), operator, threshold, duration, scale_by }
}

/// A quarter each: rules with a schedule as in SCALE-001, load score, processor and queue, requests with a panic window
/// inside an open schedule window.
fn spec(number: u32) -> PolicySpec {
    let mut spec = PolicySpec { max_replicas: 50, ..PolicySpec::new(format!("policy-{number}"), "deployment") };
    let schedule = |cron: &str, duration| ScheduleSpec {
        cron_expression: cron.to_owned(),
        desired_replicas: 5,
        timezone: "Europe/Budapest".to_owned(),
        duration,
        mode: WindowMode::Min,
        priority: 0,
        catch_up: Span::seconds(3_600),
    };
    match number % 4 {
        0 => {
            spec.scale_up_rules = vec![rule("lag", Operator::Gt, 60.0, 5, 2)];
            spec.scale_down_rules = vec![rule("lag", Operator::Lt, 10.0, 10, -1)];
            spec.schedules = vec![schedule("0 8 * * 1-5", None)];
        }
        1 => spec.load_score = Some(LoadScoreSpec::default()),
        2 => spec.targets = vec![TargetSpec::new(builtin::CPU_PERCENT, 60.0), TargetSpec::new("lag", 30.0)],
        _ => {
            spec.targets = vec![TargetSpec::new(builtin::REQUEST_RATE, 100.0)];
            spec.schedules = vec![schedule("0 12 * * *", Some(Span::seconds(7_200)))];
        }
    }
    spec
}

struct Target {
    policies: Vec<Policy>,
    inputs: Inputs,
    state: State,
}

fn targets() -> Vec<Target> {
    (0..POLICIES)
        .map(|number| {
            let id = PolicyId::from_uuid(Uuid::from_u128(u128::from(number) + 1));
            let policy = Policy::new(id, spec(number)).expect("every field is fine");
            let inputs = Inputs {
                replicas: ReplicaCounts { current: 5, ready: 5, release_failing: false },
                ..Inputs::default()
            };
            Target { policies: vec![policy], inputs, state: State::resumed(Memory::default(), 5, START) }
        })
        .collect()
}

impl Target {
    /// Shows the metrics of `now`, evaluates, and carries the decision out.
    fn evaluate(&mut self, now: Timestamp) {
        // Values that go up and down, so that every branch is taken.
        let wave = f64::from(u32::try_from(now.as_micros() / 5_000_000 % 40).expect("below 40"));
        let metrics = [
            ("lag", 2.0 * wave),
            (builtin::CPU_PERCENT, 30.0 + wave),
            (builtin::MEMORY_PERCENT, 40.0 + wave),
            (builtin::REQUEST_RATE, 20.0 * wave),
            (builtin::ERROR_RATE, 0.5),
        ];
        for (name, value) in metrics {
            let reading = Reading::value(value, now, Source::Builtin, EVERY);
            if let Some(known) = self.inputs.readings.get_mut(name) {
                *known = reading;
            } else {
                self.inputs.readings.insert(name.to_owned(), reading);
            }
        }
        let (decision, state) = evaluate(&self.policies, &self.inputs, &self.state, now);
        self.state = state;
        self.inputs.replicas.current = decision.replicas;
        self.inputs.replicas.ready = decision.replicas;
        black_box(decision);
    }
}

fn pass(criterion: &mut Criterion) {
    let mut targets = targets();
    let mut group = criterion.benchmark_group("scaling");
    group.sample_size(20).warm_up_time(Duration::from_secs(2)).measurement_time(Duration::from_secs(8));
    let mut now = START;
    group.throughput(Throughput::Elements(u64::from(POLICIES)));
    group.bench_function("pass_of_10k_policies", |bencher| {
        bencher.iter(|| {
            now = now.plus(EVERY);
            for target in &mut targets {
                target.evaluate(now);
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one_evaluation_of_10k_policies", |bencher| {
        let mut next = 0;
        bencher.iter(|| {
            if next == 0 {
                now = now.plus(EVERY);
            }
            targets[next].evaluate(now);
            next = (next + 1) % targets.len();
        });
    });
    group.finish();
}

criterion_group!(benches, pass);
criterion_main!(benches);
