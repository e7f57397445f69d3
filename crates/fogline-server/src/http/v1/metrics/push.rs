//! `POST /api/v1/metrics`.
//!
//! Invariant: either every sample of a batch counts, or none does and each fault is named with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::State;
use fogline_api::http::{ProblemKind, PushMetricsRequest, PushMetricsResponse, PushedMetric};
use fogline_core::command::Actor;
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::sample::builtin;
use fogline_core::spec::FieldError;
use fogline_core::time::Timestamp;

use crate::http::answer::Changed;
use crate::http::app::{App, Http};
use crate::http::extract::{Body, Caller, named_target};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;
use crate::scaling::{NoRoom, PushedSample};

const MOST: usize = 1_000;
/// Faults that one answer names; more help nobody.
const MOST_FAULTS: usize = 20;
const MOST_NAME_CHARS: usize = 200;
/// Clocks of others may be ahead of ours, a little.
const AHEAD: Duration = Duration::from_secs(60);
/// What is older says nothing of the present: it would only rewrite charts.
const BACK: Duration = Duration::from_secs(3_600);
/// Sums and squares of values must stay finite.
const MOST_VALUE: f64 = 1e290;
const STALE_AFTER: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Takes samples of metrics: what rules and targets of policies know under these names from the next evaluation on. Each
/// target must be the caller's, and each user may push 20,000 samples a minute.
#[utoipa::path(
    post, path = "/api/v1/metrics", operation_id = "pushMetrics", tag = "scaling",
    request_body = PushMetricsRequest,
    responses((status = 202, description = "Taken", body = PushMetricsResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Body { value, .. }: Body<PushMetricsRequest>,
) -> ApiResult<Changed<PushMetricsResponse>> {
    caller.must_write("telling what was measured")?;
    let now = app.shared.clock.now();
    let samples = value.samples;
    if !(1..=MOST).contains(&samples.len()) {
        return Err(ApiError::field("samples", format!("there are {}", samples.len()), format!("1 to {MOST}")));
    }
    // Samples that turn out to be at fault have cost their check, so they count too.
    app.pushes.admit(caller.user.id, samples.len(), now)?;
    let mut faults = Faults::default();
    for (index, sample) in samples.iter().enumerate() {
        check(&mut faults, index, sample, now);
    }
    let targets = resolved(&app, caller.actor(), &samples, &mut faults).await?;
    faults.none()?;
    let batch: Vec<PushedSample> = samples
        .into_iter()
        .filter_map(|sample| {
            let target = targets.get(&name_of(&sample)?)?.clone();
            let (at, stale_after) = (sample.at.unwrap_or(now), sample.stale_after.map(|span| span.0));
            Some(PushedSample { target, metric: sample.metric, value: sample.value, at, stale_after })
        })
        .collect();
    let distinct: BTreeSet<&ScalingTarget> = batch.iter().map(|sample| &sample.target).collect();
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let body = PushMetricsResponse { accepted: count(batch.len()), targets: count(distinct.len()) };
    app.scaler()?.push(batch).map_err(|refused| no_room(&refused))?;
    Ok(Changed::accepted(body, false))
}

/// What is said where there is no room for another series.
pub fn no_room(refused: &NoRoom) -> ApiError {
    match refused {
        NoRoom::OfTarget { index, most } => ApiError::field(
            format!("samples[{index}].metric"),
            "is one more series than the target may have",
            format!("at most {most} metrics a target; one that nobody pushes for a week is forgotten"),
        ),
        NoRoom::InAll => {
            let detail = "the server keeps as many series as it can: nothing of this was taken, try again later";
            ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(60)
        }
    }
}

#[derive(Default)]
struct Faults {
    found: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, index: usize, field: &str, message: impl Into<String>, accepted: &str) {
        if self.found.len() < MOST_FAULTS {
            self.found.push(FieldError::new(format!("samples[{index}].{field}"), message, accepted));
        }
    }

    fn none(self) -> ApiResult<()> {
        if self.found.is_empty() { Ok(()) } else { Err(ApiError::fields(ProblemKind::InvalidRequest, self.found)) }
    }
}

fn check(faults: &mut Faults, index: usize, sample: &PushedMetric, now: Timestamp) {
    let named = (1..=MOST_NAME_CHARS).contains(&sample.metric.chars().count());
    if !named || sample.metric.chars().any(char::is_control) {
        faults.add(index, "metric", "is no name of a metric", "1 to 200 characters");
    }
    let least = if is_amount(&sample.metric) { 0.0 } else { -MOST_VALUE };
    if !(least..=MOST_VALUE).contains(&sample.value) {
        let accepted =
            if least < 0.0 { "-1e290 to 1e290" } else { "0 to 1e290: it is a percentage, a rate or a count" };
        faults.add(index, "value", "is out of range", accepted);
    }
    if let Some(at) = sample.at
        && (at.since(now) > AHEAD || now.since(at) > BACK)
    {
        faults.add(index, "at", format!("{at} is out of range"), "at most a minute ahead, and at most an hour ago");
    }
    if let Some(stale_after) = sample.stale_after
        && !STALE_AFTER.contains(&stale_after.0)
    {
        faults.add(index, "stale_after", format!("{stale_after} is out of range"), "1 s to 1 day");
    }
    if sample.deployment.is_some() == sample.target.is_some() {
        let accepted = "either `deployment`, an id or name, or `target`, as policies show it";
        faults.add(
            index,
            "target",
            if sample.target.is_some() { "is there beside `deployment`" } else { "is missing" },
            accepted,
        );
    }
}

/// Whether a metric is one that the system itself measures, none of which is ever negative.
fn is_amount(metric: &str) -> bool {
    let amounts = [
        builtin::CPU_PERCENT,
        builtin::MEMORY_PERCENT,
        builtin::REQUEST_RATE,
        builtin::ERROR_RATE,
        builtin::CONCURRENCY,
        builtin::AVERAGE_LATENCY_MS,
        builtin::LATENCY_P95_MS,
        builtin::LATENCY_P99_MS,
    ];
    amounts.contains(&metric)
}

/// As [`named_target`] has it.
fn name_of(sample: &PushedMetric) -> Option<String> {
    match (&sample.deployment, &sample.target) {
        (Some(deployment), None) => Some(format!("deployment:{deployment}")),
        (None, Some(target)) => Some(target.clone()),
        _ => None,
    }
}

/// The target of each name, found in one look.
async fn resolved(
    app: &Http,
    actor: Actor,
    samples: &[PushedMetric],
    faults: &mut Faults,
) -> ApiResult<BTreeMap<String, ScalingTarget>> {
    let names: BTreeSet<String> = samples.iter().filter_map(name_of).collect();
    let view = app.shared.writer.view(move |cluster, _| {
        let found = |name: String| named_target(cluster, &actor, &name).ok().map(|target| (name, target));
        names.into_iter().filter_map(found).collect::<BTreeMap<String, ScalingTarget>>()
    });
    let targets = view.await?;
    for (index, sample) in samples.iter().enumerate() {
        if name_of(sample).is_some_and(|name| !targets.contains_key(&name)) {
            let field = if sample.deployment.is_some() { "deployment" } else { "target" };
            faults.add(index, field, "does not exist, or is not yours", "a deployment, or the target of a policy");
        }
    }
    Ok(targets)
}
