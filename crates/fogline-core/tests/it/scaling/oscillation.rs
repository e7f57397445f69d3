//! Fault 24: a load that swings at whatever period is the worst for the loop turns it round only so often.

use std::time::Duration;

use fogline_core::scaling::backtest::{Figures, Row, Series, Setup, backtest};

use super::stage::{NOON, policy, seconds};

/// Two hours in which load swings between its extremes with this period.
fn swinging(yaml: &str, period_s: u64) -> Figures {
    let rows = (0..1_440)
        .map(|step| {
            let now = step * 5;
            let load = if now % period_s < period_s / 2 { 100.0 } else { 900.0 };
            Row { at: NOON.plus(Duration::from_secs(now)), values: vec![Some(load)] }
        })
        .collect();
    let series = Series::new(vec!["request_rate".to_owned()], rows).expect("a series");
    let setup = Setup {
        load: "request_rate".to_owned(),
        capacity: 100.0,
        start_time: seconds(15),
        interval: seconds(5),
        initial: None,
        replica_hourly_cost: None,
    };
    backtest(&policy(1, yaml), &series, &setup).expect("it can be tried").policy.figures
}

/// The most reversals over all periods from ten seconds to forty minutes, and the period that has them.
fn worst(yaml: &str) -> (u32, u64) {
    let periods = (2..=48).map(|step| step * 5).chain((5..=40).map(|minutes| minutes * 60));
    periods.map(|period| (swinging(yaml, period).reversals, period)).max().expect("there are periods")
}

/// A way down and the way up again need a whole down window between them, or cooldown: in two hours that is so often.
const MOST: u32 = 2 * 7_200 / 300;

#[test]
fn each_strategy_turns_round_no_more_often_than_its_windows_allow() {
    let bounds = "max_replicas: 20\nmax_terminations: 100\n";
    for (strategy, yaml) in [
        ("target", "targets: [{metric: request_rate, target: 100}]\n"),
        (
            "rules",
            "scale_up_rules: [{metric: request_rate, operator: gt, threshold: 500, duration: 0s, scale_by: 4}]\n\
             scale_down_rules: [{metric: request_rate, operator: lt, threshold: 500, duration: 0s, scale_by: -4}]\n",
        ),
    ] {
        let (reversals, period) = worst(&format!("{bounds}{yaml}"));
        assert!(reversals <= MOST, "{strategy}: {reversals} reversals at a period of {period} s");
        assert!(reversals > 0, "{strategy}: it should follow a slow swing");
    }
}

#[test]
fn without_its_windows_it_would_turn_round_far_more_often() {
    let none = "max_replicas: 20\nmax_terminations: 100\nscale_down: {stabilization: 0s}\n\
                targets: [{metric: cpu_percent, target: 50}]\n";
    let (reversals, period) = worst(none);
    assert!(reversals > 2 * MOST, "only {reversals}, at a period of {period} s: the bound above would show nothing");
}
