//! Forecasts: a floor before the load, never a reason to go down, and off while they are wrong.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::scaling::backtest::{Row, Series, Setup, backtest};
use fogline_core::scaling::forecast::Model;
use fogline_core::scaling::sample::Point;
use fogline_core::time::Timestamp;

use super::stage::{NOON, Shows, Stage, policy, seconds};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

const POLICY: &str = "max_replicas: 20\nmax_terminations: 100\nscale_down: {stabilization: 0s}\n\
                      targets: [{metric: request_rate, target: 100}]\n\
                      forecast: {metric: request_rate, target: 100, season: 1h, look_ahead: 5m}\n";

/// The second half of each hour is busy.
fn wave(minute: u32) -> f64 {
    if minute % 60 < 30 { 200.0 } else { 900.0 }
}

/// A target whose last three hours, up to `NOON` and `minute` more, were `load`.
fn stage(current: u32, minute: u32, load: impl Fn(u32) -> f64) -> Stage {
    let mut stage = Stage::new(current, POLICY);
    stage.now = NOON.plus(MINUTE * minute);
    let begin = Timestamp::from_micros(NOON.as_micros() - 3 * 3_600_000_000);
    let history: Vec<Point> =
        (0..180 + minute).map(|minute| Point { at: begin.plus(MINUTE * minute), value: load(minute) }).collect();
    let model = Model::fit(HOUR, &history, stage.now).map(Arc::new);
    stage.inputs.forecasts.insert(stage.policies[0].id(), model);
    stage
}

#[test]
fn replicas_are_there_before_the_load() {
    let mut stage = stage(5, 26, wave);
    stage.value("request_rate", 200.0);
    let decision = stage.evaluate();
    assert_eq!(decision.replicas, 9, "{}", decision.reason);
    assert!(decision.reason.contains("request_rate will be 900 within 5m"), "{}", decision.reason);
    let vote = decision.votes.iter().find(|vote| vote.strategy.as_str() == "forecast").expect("it voted");
    assert!(vote.parts.contains(&("error_percent".to_owned(), 0.0)), "{:?}", vote.parts);
}

#[test]
fn a_forecast_is_a_floor_and_no_reason_to_go_down() {
    // Load is low, the forecast says 9: others go down to there and no further.
    let mut lower = stage(15, 40, wave);
    lower.value("request_rate", 300.0);
    let decision = lower.evaluate();
    assert_eq!(decision.replicas, 9, "{}", decision.reason);
    assert!(decision.reason.contains("not below 9"), "{}", decision.reason);
    // The forecast says 2, load says 12: nothing goes down.
    let mut calm = stage(12, 5, wave);
    calm.value("request_rate", 1_200.0);
    assert_eq!(calm.evaluate().replicas, 12);
    // Nor where the load is not known.
    let mut blind = stage(12, 5, wave);
    blind.show("request_rate", Shows::Missing);
    assert_eq!(blind.evaluate().replicas, 12);
}

#[test]
fn a_forecast_that_was_wrong_is_off_and_says_so() {
    let fickle = |minute: u32| if minute >= 120 { 1_100.0 - wave(minute) } else { wave(minute) };
    let mut stage = stage(2, 0, fickle);
    stage.now = NOON.plus(MINUTE * 26);
    stage.value("request_rate", 200.0);
    let decision = stage.evaluate();
    assert_eq!(decision.replicas, 2);
    let vote = decision.votes.iter().find(|vote| vote.strategy.as_str() == "forecast").expect("it is told");
    assert!(vote.why.contains("is off: it was wrong by"), "{}", vote.why);
}

#[test]
fn a_backtest_shows_what_a_forecast_is_worth() {
    let rows =
        (0..360_u32).map(|minute| Row { at: NOON.plus(MINUTE * minute), values: vec![Some(wave(minute))] }).collect();
    let series = Series::new(vec!["request_rate".to_owned()], rows).expect("a series");
    let setup = Setup {
        load: "request_rate".to_owned(),
        capacity: 100.0,
        start_time: seconds(120),
        interval: seconds(15),
        initial: None,
        replica_hourly_cost: None,
    };
    let run = |yaml: &str| backtest(&policy(1, yaml), &series, &setup).expect("it can be tried").policy.figures;
    let with = run(POLICY);
    let without = run(POLICY.split("forecast:").next().expect("the head"));
    assert!(
        with.time_under_percent < without.time_under_percent,
        "{} with, {} without",
        with.time_under_percent,
        without.time_under_percent
    );
}

#[test]
fn a_load_that_is_about_to_come_wakes_and_keeps_awake() {
    const SLEEPY: &str = "max_replicas: 20\nscale_to_zero: true\nidle: {idle_period: 1m, pre_wake: 2m}\n\
                          forecast: {metric: request_rate, target: 100, season: 1h}\n";
    // Nothing in the first half of each hour, and less than one replica carries in the last ten minutes.
    let load = |minute: u32| match minute % 60 {
        0..30 => 0.0,
        30..50 => 900.0,
        _ => 40.0,
    };
    let at = |minute, asks: &dyn Fn(&mut Stage)| {
        let mut stage = Stage { policies: vec![policy(1, SLEEPY)], ..stage(0, minute, load) };
        stage.proxy(0, 0);
        asks(&mut stage);
        stage.evaluate()
    };
    assert_eq!(at(26, &|_| {}).replicas, 0);
    let woken = at(28, &|_| {});
    assert_eq!(woken.replicas, 1, "{}", woken.reason);
    assert!(woken.reason.contains("request_rate is expected to be 900"), "{}", woken.reason);
    let slow = at(26, &|stage| stage.inputs.start_time = Some(MINUTE * 3));
    assert_eq!(slow.replicas, 1, "what takes long to start is woken earlier: {}", slow.reason);
    assert_eq!(at(52, &|_| {}).replicas, 0, "not worth a replica");

    let mut awake = Stage { policies: vec![policy(1, SLEEPY)], ..stage(1, 28, load) };
    awake.proxy(0, 0);
    let quiet = awake.run(seconds(120));
    assert!(quiet.iter().all(|decision| decision.replicas > 0), "{}", quiet[0].reason);
}
