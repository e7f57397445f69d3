//! What holds for any policy, any series and any moment.

use std::time::Duration;

use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::{Run, Trigger};
use fogline_core::scaling::policy::WindowMode;
use fogline_core::scaling::state::State;
use fogline_core::scaling::{PolicySpec, evaluate, metrics};
use proptest::prelude::*;

use super::stage::{Shows, Stage, policy, seconds};

/// Parts that policies are put together from, a line each.
const STRATEGIES: [&str; 6] = [
    "scale_up_rules: [{metric: lag, operator: gt, threshold: 60, duration: 1m, scale_by: 2}]\n\
     scale_down_rules: [{metric: lag, operator: lt, threshold: 10, duration: 2m, scale_by: -1}]\n",
    "load_score: {aggressiveness: aggressive}\n",
    "targets: [{metric: cpu_percent, target: 50}, {metric: queue, target: 10, type: average_value}]\n",
    "targets: [{metric: request_rate, target: 10}]\n",
    "load_score: {}\ntargets: [{metric: lag, target: 20}]\n",
    "scale_up_rules: [{metric: queue, operator: gte, threshold: 5, scale_by: 30}]\nmatch: any\n",
];
const LIMITS: [&str; 5] = [
    "",
    "scale_down: {stabilization: 0s}\nmax_terminations: 100\n",
    "scale_up: {stabilization: 1m, max_change: {replicas: 1}}\ncooldown_seconds: 45\n",
    "max_hourly_cost: 1.5\nreplica_hourly_cost: 0.25\ntolerance: {up: 0, down: 0.3}\n",
    "on_missing: up\nscale_down: {stabilization: 30s, period: 1m, max_change: {percent: 50}}\n",
];
const SCHEDULES: [&str; 3] = [
    "",
    "schedules: [{cron_expression: \"*/7 * * * *\", desired_replicas: 6}]\n",
    "schedules: [{cron_expression: \"*/20 * * * *\", desired_replicas: 5, duration: 5m, mode: exact}]\n",
];
const METRICS: [&str; 7] =
    ["lag", "queue", "cpu_percent", "memory_percent", "request_rate", "error_rate", "concurrency"];

#[derive(Clone, Debug)]
enum Step {
    Show { metric: usize, shows: Shows },
    Pass { seconds: u64 },
    Proxy { open: u32, held: u32 },
    Manual { replicas: u32, minutes: u64 },
    Release { fails: bool },
    Ready { missing: u32 },
    Nothing,
}

fn shows() -> impl Strategy<Value = Shows> {
    prop_oneof![
        6 => (0_u32..400).prop_map(|value| Shows::Value(f64::from(value) / 2.0)),
        1 => Just(Shows::Missing),
        1 => Just(Shows::Stale(3.0)),
        1 => Just(Shows::Error),
        1 => Just(Shows::Value(f64::NAN)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..METRICS.len(), shows()).prop_map(|(metric, shows)| Step::Show { metric, shows }),
        8 => (1_u64..120).prop_map(|seconds| Step::Pass { seconds }),
        1 => (600_u64..7_200).prop_map(|seconds| Step::Pass { seconds }),
        2 => (0_u32..2, 0_u32..2).prop_map(|(open, held)| Step::Proxy { open, held }),
        1 => (1_u32..12, 0_u64..20).prop_map(|(replicas, minutes)| Step::Manual { replicas, minutes }),
        1 => any::<bool>().prop_map(|fails| Step::Release { fails }),
        1 => (0_u32..3).prop_map(|missing| Step::Ready { missing }),
        1 => Just(Step::Nothing),
    ]
}

prop_compose! {
    fn yaml()(
        strategy in 0..STRATEGIES.len(), limits in 0..LIMITS.len(), schedule in 0..SCHEDULES.len(),
        min in 1_u32..5, more in 0_u32..9, sleeps: bool,
    ) -> String {
        let zero = if sleeps { "scale_to_zero: true\nidle: {idle_period: 1m}\n" } else { "" };
        let bounds = format!("min_replicas: {min}\nmax_replicas: {}\n{zero}", min + more);
        format!("{bounds}{}{}{}", STRATEGIES[strategy], LIMITS[limits], SCHEDULES[schedule])
    }
}

fn play(stage: &mut Stage, step: &Step) {
    match step {
        Step::Show { metric, shows } => stage.show(METRICS[*metric], shows.clone()),
        Step::Pass { seconds } => stage.now = stage.now.plus(Duration::from_secs(*seconds)),
        Step::Proxy { open, held } => stage.proxy(*open, *held),
        Step::Manual { replicas, minutes } => {
            let until = (*minutes > 0).then(|| stage.now.plus(Duration::from_secs(minutes * 60)));
            stage.manual(*replicas, "ann", until);
        }
        Step::Release { fails } => stage.inputs.replicas.release_failing = *fails,
        Step::Ready { missing } => {
            let replicas = &mut stage.inputs.replicas;
            replicas.ready = replicas.current.saturating_sub(*missing);
        }
        Step::Nothing => {}
    }
}

fn is_within_bounds(spec: &PolicySpec, replicas: u32) -> bool {
    (spec.min_replicas.max(1)..=spec.max_replicas).contains(&replicas) || (replicas == 0 && spec.scale_to_zero)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_count_never_leaves_the_bounds(yaml in yaml(), current in 0_u32..20, steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new(current, &yaml);
        for step in &steps {
            play(&mut stage, step);
            let decision = stage.evaluate();
            prop_assert!(is_within_bounds(stage.policies[0].spec(), decision.replicas), "{}\n{yaml}", decision.reason);
            let mut count = decision.current;
            for step in &decision.steps {
                prop_assert_eq!(step.before, count, "each step begins where the one before ended");
                count = step.after;
            }
            prop_assert_eq!(count, decision.replicas);
            prop_assert_eq!(decision.action, Action::between(decision.current, decision.replicas));
        }
    }

    #[test]
    fn nothing_goes_down_without_data(yaml in yaml(), current in 1_u32..14, steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new(current, &yaml);
        for step in &steps {
            play(&mut stage, step);
            stage.evaluate();
            // At this moment every metric fails, in one way or another; or only one of those that the policy names.
            let named = metrics(&stage.policies).into_iter().map(|metric| vec![metric]);
            let all = METRICS.iter().map(|metric| (*metric).to_owned()).collect();
            for failing in named.chain([all]) {
                let mut dark = stage.clone();
                dark.now = dark.now.plus(seconds(15));
                for (index, metric) in failing.iter().enumerate() {
                    let ways = [Shows::Missing, Shows::Error, Shows::Stale(0.0), Shows::Value(f64::NAN)];
                    dark.show(metric, ways[index % ways.len()].clone());
                }
                let before = dark.inputs.replicas.current;
                let decision = dark.evaluate();
                let spec = dark.policies[0].spec();
                // What is no judgement of a metric: bounds that moved, a command, idleness that the proxy itself saw.
                let window = spec.schedules.iter().any(|one| one.duration.is_some() && one.mode != WindowMode::Min);
                let commanded = dark.state.memory.held.is_some() || decision.trigger != Trigger::Auto;
                if window || commanded || decision.replicas == 0 || before > spec.max_replicas {
                    continue;
                }
                prop_assert!(decision.replicas >= before, "without {failing:?}: {}\n{yaml}", decision.reason);
            }
        }
    }

    #[test]
    fn dry_run_shadow_and_backtest_decide_as_live_does(yaml in yaml(), steps in prop::collection::vec(step(), 1..40)) {
        let mut stage = Stage::new(3, &yaml);
        for step in &steps {
            play(&mut stage, step);
            let (before, inputs) = (stage.state.clone(), stage.look());
            let (live, state) = evaluate(&stage.policies, &inputs, &before, stage.now);
            for run in [Run::DryRun, Run::Shadow, Run::Backtest] {
                let mut inputs = inputs.clone();
                inputs.run = run;
                let (mut other, other_state) = evaluate(&stage.policies, &inputs, &before, stage.now);
                prop_assert_eq!(other.run, run);
                other.run = live.run;
                prop_assert_eq!(format!("{other:?}"), format!("{live:?}"));
                prop_assert_eq!(format!("{other_state:?}"), format!("{state:?}"));
            }
            prop_assert_eq!(&stage.state, &before, "it was given by reference, and nothing changed it");
            stage.evaluate();
        }
    }

    #[test]
    fn a_state_that_was_written_and_read_decides_the_same(
        yaml in yaml(), steps in prop::collection::vec(step(), 1..40), at in 0_usize..40,
    ) {
        let mut stage = Stage::new(3, &yaml);
        let mut other = stage.clone();
        for (index, step) in steps.iter().enumerate() {
            play(&mut stage, step);
            play(&mut other, step);
            if index == at % steps.len() {
                let text = serde_json::to_string(&other.state).expect("serialises");
                other.state = serde_json::from_str::<State>(&text).expect("parses");
            }
            let (one, two) = (stage.evaluate(), other.evaluate());
            prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
        }
        prop_assert_eq!(stage.state, other.state);
    }

    #[test]
    fn the_order_of_policies_does_not_matter(
        yamls in prop::collection::vec(yaml(), 2..4), steps in prop::collection::vec(step(), 1..40), turn in 1_usize..4,
    ) {
        let mut stage = Stage::new(3, "");
        stage.policies = yamls.iter().zip(1..).map(|(yaml, number)| policy(number, yaml)).collect();
        let mut other = stage.clone();
        let places = other.policies.len();
        other.policies.rotate_left(turn % places);
        for step in &steps {
            play(&mut stage, step);
            play(&mut other, step);
            let (one, two) = (stage.evaluate(), other.evaluate());
            prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
        }
        prop_assert_eq!(format!("{:?}", stage.state), format!("{:?}", other.state));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_delays_a_decision_and_changes_none(
        strategy in 0..STRATEGIES.len(), limits in 0..LIMITS.len(), values in prop::collection::vec(0_u32..150, METRICS.len()),
        current in 1_u32..10, before in 1_u64..25, down_s in 0_u64..150,
    ) {
        // Under a load that stays, the count goes one way; a restart at any moment may only make it later.
        let yaml = format!("max_replicas: 10\n{}{}", STRATEGIES[strategy], LIMITS[limits]);
        let mut stage = Stage::new(current, &yaml);
        for (metric, value) in METRICS.iter().zip(values) {
            stage.value(metric, f64::from(value));
        }
        stage.run(stage.interval * u32::try_from(before).expect("small"));
        let mut restarted = stage.clone();
        restarted.now = restarted.now.plus(seconds(down_s / 15 * 15));
        restarted.restart();
        while stage.now < restarted.now {
            stage.after(stage.interval);
        }
        let way = |count: u32| (i64::from(count) - i64::from(current)).abs();
        for _ in 0..600 {
            let (one, two) = (stage.after(stage.interval), restarted.after(restarted.interval));
            prop_assert!(way(two.replicas) <= way(one.replicas), "{}\n{}\n{yaml}", one.reason, two.reason);
        }
        prop_assert_eq!(stage.inputs.replicas.current, restarted.inputs.replicas.current, "{}", yaml);
    }
}
