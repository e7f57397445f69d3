//! The ranges a policy must keep. Each error names field, value and what would do.
//!
//! Invariant: every field at fault is reported, not the first one. Tests: `tests/it/scaling/policies.rs`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{MaxChange, Policy, PolicySpec, RuleSpec, ScheduleSpec, TargetSpec, source};
use crate::scaling::policy::OnMissing;
use crate::scaling::strategy::cron::CronSchedule;
use crate::spec::{FieldError, MAX_REPLICAS};

/// The largest count of a target that is no deployment.
pub(crate) const MAX_REPLICAS_ELSEWHERE: u32 = 10_000;
const MAX_LIST: usize = 32;
const MAX_SPEC_BYTES: usize = 65_536;
const MAX_CRON_CHARS: usize = 200;
const MAX_COOLDOWN_S: u64 = 86_400;

/// The fields at fault so far.
pub(super) struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    pub(super) fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String, accepted: &str) {
        if !holds {
            self.errors.push(FieldError::new(field, message(), accepted));
        }
    }

    fn number(&mut self, field: &str, value: f64, fits: RangeInclusive<f64>, accepted: &str) {
        self.that(fits.contains(&value), field, || format!("{value} is out of range"), accepted);
    }

    fn above_zero(&mut self, field: &str, value: f64) {
        self.that(value.is_finite() && value > 0.0, field, || format!("{value} is out of range"), "a number above 0");
    }

    fn span(&mut self, field: &str, value: Duration, seconds: RangeInclusive<u64>, accepted: &str) {
        let fits = Duration::from_secs(*seconds.start())..=Duration::from_secs(*seconds.end());
        self.duration(field, value, fits, accepted);
    }

    pub(super) fn duration(&mut self, field: &str, value: Duration, fits: RangeInclusive<Duration>, accepted: &str) {
        self.that(fits.contains(&value), field, || format!("{} is out of range", super::Span(value)), accepted);
    }

    pub(super) fn metric(&mut self, field: &str, name: &str) {
        let fits = (1..=500).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        self.that(fits, field, || "is no name of a metric".to_owned(), "1 to 500 characters");
    }
}

/// Checks every field, and reads the cron expressions on the way.
pub(super) fn validate(spec: &PolicySpec) -> Result<Vec<CronSchedule>, Vec<FieldError>> {
    let mut check = Check { errors: Vec::new() };
    size(&mut check, spec);
    identity(&mut check, spec);
    bounds(&mut check, spec);
    count(&mut check, "metrics", spec.metrics.len());
    source::metrics(&mut check, spec);
    source::callback(&mut check, spec);
    cost(&mut check, spec);
    rules(&mut check, "scale_up_rules", &spec.scale_up_rules, |by| by > 0, "above 0 in an up rule, at most 1000");
    rules(
        &mut check,
        "scale_down_rules",
        &spec.scale_down_rules,
        |by| by < 0,
        "below 0 in a down rule, at least -1000",
    );
    load_score(&mut check, spec);
    count(&mut check, "targets", spec.targets.len());
    for (index, target) in spec.targets.iter().enumerate() {
        tracking(&mut check, &format!("targets[{index}]"), target);
    }
    forecast(&mut check, spec);
    idle(&mut check, spec);
    speed(&mut check, spec);
    missing(&mut check, spec);
    count(&mut check, "schedules", spec.schedules.len());
    let mut schedules = Vec::with_capacity(spec.schedules.len());
    for (index, one) in spec.schedules.iter().enumerate() {
        schedules.extend(schedule(&mut check, &format!("schedules[{index}]"), one));
    }
    if check.errors.is_empty() { Ok(schedules) } else { Err(check.errors) }
}

fn count(check: &mut Check, field: &str, length: usize) {
    check.that(length <= MAX_LIST, field, || format!("{length} are too many"), "at most 32");
}

/// It is kept in every version, and its words stand in every decision.
fn size(check: &mut Check, spec: &PolicySpec) {
    let text = serde_json::to_string(spec).unwrap_or_default();
    let most = MAX_SPEC_BYTES;
    check.that(text.len() <= most, "", || format!("the policy takes {} bytes", text.len()), "at most 65536 bytes");
    // Databases refuse it in texts.
    check.that(!text.contains("\\u0000"), "", || "the policy holds a NUL".to_owned(), "text without NUL");
}

fn identity(check: &mut Check, spec: &PolicySpec) {
    let name_fits = (1..=100).contains(&spec.name.chars().count())
        && spec.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    check.that(name_fits, "name", || "is no name of a policy".to_owned(), "1 to 100 letters, digits, -, _ and .");
    let kind_fits = (1..=100).contains(&spec.target_type.chars().count())
        && spec.target_type.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    check.that(
        kind_fits,
        "target_type",
        || "is no type of a target".to_owned(),
        "deployment, proxy, node_pool, kubernetes, webhook, or a name of 1 to 100 letters, digits, - and _",
    );
    if let Some(id) = &spec.target_id {
        let fits = (1..=200).contains(&id.chars().count()) && !id.chars().any(char::is_control);
        check.that(fits, "target_id", || "is no id and no name".to_owned(), "1 to 200 characters");
    }
}

fn bounds(check: &mut Check, spec: &PolicySpec) {
    let most = if spec.target_type == "deployment" { MAX_REPLICAS } else { MAX_REPLICAS_ELSEWHERE };
    let PolicySpec { min_replicas: min, max_replicas: max, .. } = *spec;
    check.that(
        min >= 1 || spec.scale_to_zero,
        "min_replicas",
        || "is 0, and the policy does not scale to zero".to_owned(),
        "1 or more, or 0 of a policy that scales to zero",
    );
    check.that(
        (1..=most).contains(&max),
        "max_replicas",
        || format!("{max} is out of range"),
        &format!("1 to {most}, and at least the minimum"),
    );
    check.that(
        max >= min,
        "max_replicas",
        || format!("{max} is below the minimum, which is {min}"),
        "at least the minimum",
    );
    for (field, seconds) in [
        ("cooldown_seconds", spec.cooldown_seconds.map(Duration::from_secs)),
        ("scale_up_cooldown", spec.scale_up_cooldown.map(|span| span.0)),
        ("scale_down_cooldown", spec.scale_down_cooldown.map(|span| span.0)),
    ] {
        check.span(field, seconds.unwrap_or_default(), 0..=MAX_COOLDOWN_S, "0 to 1 day");
    }
    let percent = spec.max_terminations;
    check.that(
        percent > 0.0 && percent <= 100.0,
        "max_terminations",
        || format!("{percent} is out of range"),
        "percent of the replicas, above 0 and at most 100",
    );
}

fn cost(check: &mut Check, spec: &PolicySpec) {
    for (field, value) in [("max_hourly_cost", spec.max_hourly_cost), ("replica_hourly_cost", spec.replica_hourly_cost)]
    {
        check.above_zero(field, value.unwrap_or(1.0));
    }
}

fn rules(check: &mut Check, field: &str, rules: &[RuleSpec], sign_fits: impl Fn(i32) -> bool, accepted: &str) {
    count(check, field, rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let at = |part: &str| format!("{field}[{index}].{part}");
        check.metric(&at("metric"), &rule.metric);
        check.number(&at("threshold"), rule.threshold, 0.0..=f64::MAX, "a number, 0 or more");
        check.span(&at("duration"), rule.duration.0, 0..=86_400, "0 to 1 day");
        let by = rule.scale_by;
        check.that(
            sign_fits(by) && by.unsigned_abs() <= 1_000,
            &at("scale_by"),
            || format!("{by} is out of range"),
            accepted,
        );
    }
}

fn load_score(check: &mut Check, spec: &PolicySpec) {
    let Some(score) = &spec.load_score else { return };
    for (field, value) in [
        ("load_score.target_cpu_percent", score.target_cpu_percent),
        ("load_score.target_memory_percent", score.target_memory_percent),
    ] {
        let fits = value > 0.0 && value <= 100.0;
        check.that(fits, field, || format!("{value} is out of range"), "percent, above 0 and at most 100");
    }
    check.above_zero("load_score.target_request_rate", score.target_request_rate);
    for (field, value) in [
        ("load_score.scale_up_threshold", score.scale_up_threshold),
        ("load_score.scale_down_threshold", score.scale_down_threshold),
    ] {
        check.number(field, value, 0.0..=100.0, "0 to 100");
    }
    check.that(
        score.scale_down_threshold < score.scale_up_threshold,
        "load_score.scale_down_threshold",
        || {
            format!(
                "{} is not below the threshold for scaling up, {}",
                score.scale_down_threshold, score.scale_up_threshold
            )
        },
        "less than the threshold for scaling up",
    );
}

fn tracking(check: &mut Check, field: &str, target: &TargetSpec) {
    check.metric(&format!("{field}.metric"), &target.metric);
    check.above_zero(&format!("{field}.target"), target.target);
    check.span(&format!("{field}.stable_window"), target.stable_window.0, 6..=3_600, "6 s to 1 h");
    let percent = target.panic_window_percentage;
    check.number(&format!("{field}.panic_window_percentage"), percent, 1.0..=100.0, "1 to 100");
    let percent = target.panic_threshold_percentage;
    check.number(&format!("{field}.panic_threshold_percentage"), percent, 110.0..=1_000.0, "110 to 1000");
}

fn forecast(check: &mut Check, spec: &PolicySpec) {
    let Some(forecast) = &spec.forecast else { return };
    check.metric("forecast.metric", &forecast.metric);
    check.above_zero("forecast.target", forecast.target);
    check.span("forecast.season", forecast.season.0, 3_600..=7 * 86_400, "1 h to 7 days");
    check.span("forecast.look_ahead", forecast.look_ahead.unwrap_or_default().0, 0..=3_600, "0 to 1 h");
    let fits = forecast.max_error > 0.0 && forecast.max_error <= 100.0;
    let error = forecast.max_error;
    let accepted = "percent, above 0 and at most 100";
    check.that(fits, "forecast.max_error", || format!("{error} is out of range"), accepted);
}

fn idle(check: &mut Check, spec: &PolicySpec) {
    check.span("idle.idle_period", spec.idle.idle_period.0, 10..=7 * 86_400, "10 s to 7 days");
    check.span("idle.pre_wake", spec.idle.pre_wake.0, 0..=3_600, "0 to 1 h");
    count(check, "idle.activation", spec.idle.activation.len());
    for (index, one) in spec.idle.activation.iter().enumerate() {
        check.metric(&format!("idle.activation[{index}].metric"), &one.metric);
        let field = format!("idle.activation[{index}].activation");
        check.number(&field, one.activation, 0.0..=f64::MAX, "a number, 0 or more");
    }
    check.that(
        spec.scale_to_zero || spec.idle.activation.is_empty(),
        "idle.activation",
        || "is set, but the policy does not scale to zero".to_owned(),
        "activation metrics of a policy that scales to zero",
    );
}

fn speed(check: &mut Check, spec: &PolicySpec) {
    for (field, value) in [("tolerance.up", spec.tolerance.up()), ("tolerance.down", spec.tolerance.down())] {
        check.number(field, value, 0.0..=0.99, "0 to 0.99");
    }
    let (up, down) = (&spec.scale_up, &spec.scale_down);
    for (name, stabilization, change, period) in [
        ("scale_up", up.stabilization, up.max_change, up.period),
        ("scale_down", down.stabilization, down.max_change, down.period),
    ] {
        check.span(&format!("{name}.stabilization"), stabilization.0, 0..=3_600, "0 to 1 h");
        check.span(&format!("{name}.period"), period.0, 1..=1_800, "1 s to 30 min");
        let MaxChange { percent, .. } = change;
        let field = format!("{name}.max_change.percent");
        check.number(&field, percent.unwrap_or(0.0), 0.0..=1_000_000.0, "0 or more");
    }
}

fn missing(check: &mut Check, spec: &PolicySpec) {
    check.that(
        spec.on_missing != OnMissing::Fallback || spec.fallback.is_some(),
        "fallback",
        || "is missing, and on_missing is fallback".to_owned(),
        "fallback: {replicas: N}",
    );
    let Some(fallback) = spec.fallback else { return };
    let after = fallback.after_failures;
    check.that(
        (1..=1_000).contains(&after),
        "fallback.after_failures",
        || format!("{after} is out of range"),
        "1 to 1000",
    );
    let replicas = fallback.replicas;
    check.that(
        (spec.min_replicas.max(1)..=spec.max_replicas).contains(&replicas),
        "fallback.replicas",
        || format!("{replicas} is out of range"),
        "from the minimum to the maximum",
    );
}

fn schedule(check: &mut Check, field: &str, spec: &ScheduleSpec) -> Option<CronSchedule> {
    let desired = spec.desired_replicas;
    check.that(
        (1..=MAX_REPLICAS_ELSEWHERE).contains(&desired),
        &format!("{field}.desired_replicas"),
        || format!("{desired} is out of range"),
        "1 or more; only idleness sets 0",
    );
    if let Some(duration) = spec.duration {
        check.span(&format!("{field}.duration"), duration.0, 1..=31 * 86_400, "1 s to 31 days");
    }
    check.span(&format!("{field}.catch_up"), spec.catch_up.0, 0..=86_400, "0 to 1 day");
    let short = spec.cron_expression.len() <= MAX_CRON_CHARS && spec.timezone.len() <= MAX_CRON_CHARS;
    if !short {
        let message = format!("takes {} characters", spec.cron_expression.len().max(spec.timezone.len()));
        check.errors.push(FieldError::new(format!("{field}.cron_expression"), message, "at most 200 characters"));
        return None;
    }
    match CronSchedule::read(&spec.cron_expression, &spec.timezone) {
        Ok(cron) => Some(cron),
        Err(error) => {
            check.errors.push(FieldError::new(format!("{field}.{}", error.field), error.message, error.accepted));
            None
        }
    }
}

/// Checks a count that a person asks for against the bounds of the active policies on the target.
///
/// # Errors
/// The first policy whose bounds it is outside of, by name.
pub fn validate_manual(policies: &[Policy], replicas: u32) -> Result<(), FieldError> {
    let active = policies.iter().map(Policy::spec).filter(|spec| spec.enabled && spec.mode == super::Mode::Active);
    for spec in active {
        let (min, max) = (spec.min_replicas.max(1), spec.max_replicas);
        if !(min..=max).contains(&replicas) {
            return Err(FieldError::new(
                "replicas",
                format!("{replicas} is outside the bounds of the scaling policy {}", spec.name),
                format!("{min} to {max}, or another policy"),
            ));
        }
    }
    Ok(())
}
