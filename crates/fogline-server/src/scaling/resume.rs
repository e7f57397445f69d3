//! What a new leader, or a server that was away, reads of the recorded samples, so that a condition's clock runs on
//! where no sample was missed.
//!
//! Only of targets that are new here and whose clocks run. Invariant: bounded in time and in what is read; without an
//! answer a clock starts over, which is later and never earlier. Tests: `tests/it/scaling/restart.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::Policy;
use fogline_core::scaling::sample::{INTERVALS_TO_STALE, Point};
use fogline_core::time::Timestamp;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::look::Seen;
use super::target::{Key, Target};
use super::{Scaler, SeriesKey};

/// Reads that are open at once.
const MOST_OPEN: usize = 16;
/// How long the first round may be kept waiting.
const WITHIN: Duration = Duration::from_secs(5);
/// The width of what is recorded.
const STEP: Duration = Duration::from_secs(10);
/// The most that is read.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Conditions that are in no rule take no longer.
const SHORTEST: Duration = Duration::from_secs(60);
/// How often a metric comes that has no source of its own.
const INTERVAL: Duration = Duration::from_secs(30);

/// What one target's arbiter has missed.
struct Missed {
    target: ScalingTarget,
    key: Key,
    metrics: Vec<String>,
    since: Timestamp,
}

/// Reads what new targets need of what was recorded.
pub(super) async fn recall(scaler: &Scaler, seen: &[Seen]) {
    let missed = missed(scaler, seen);
    if missed.is_empty() {
        return;
    }
    let reading = async {
        let mut reads = stream::iter(missed).map(|missed| read(scaler, missed)).buffer_unordered(MOST_OPEN);
        while let Some((missed, history)) = reads.next().await {
            let mut targets = scaler.targets();
            if let Some(group) = targets.get_mut(&missed.target).and_then(|target| target.group_of(missed.key)) {
                group.arbitration.recall(history);
            }
        }
    };
    if timeout(WITHIN, reading).await.is_err() {
        tracing::warn!("the recorded samples were not read in time: some conditions start over");
    }
}

fn missed(scaler: &Scaler, seen: &[Seen]) -> Vec<Missed> {
    let mut missed = Vec::new();
    let now = scaler.clock.now();
    let mut targets = scaler.targets();
    for Seen { view, .. } in seen {
        if view.memory.policies.is_empty() || targets.contains_key(&view.target) {
            continue;
        }
        let target = targets.entry(view.target.clone()).or_insert_with(|| Target::new(view, &scaler.readings));
        for group in &target.groups {
            if let Some(since) = group.arbitration.lacks_since(view) {
                let metrics = group.plan.names().map(str::to_owned).collect();
                let since = since.max(now.minus(needed(&group.policies)));
                missed.push(Missed { target: view.target.clone(), key: group.key, metrics, since });
            }
        }
    }
    missed
}

/// How far back samples can matter to the clocks of these policies: as long as their longest condition takes, and a
/// gap.
fn needed(policies: &[Policy]) -> Duration {
    let mut longest = SHORTEST;
    let mut interval = INTERVAL;
    for policy in policies {
        let spec = policy.spec();
        let rules = spec.scale_up_rules.iter().chain(&spec.scale_down_rules);
        longest = rules.map(|rule| rule.duration.0).fold(longest, Duration::max);
        if !spec.idle.activation.is_empty() {
            longest = longest.max(spec.idle.idle_period.0);
        }
        interval = spec.metrics.values().map(|source| source.interval.0).fold(interval, Duration::max);
    }
    longest.saturating_add(interval.saturating_mul(INTERVALS_TO_STALE)).min(LONGEST)
}

async fn read(scaler: &Scaler, missed: Missed) -> (Missed, BTreeMap<String, Vec<Point>>) {
    let mut history = BTreeMap::new();
    let now = scaler.clock.now();
    for metric in &missed.metrics {
        let key = SeriesKey { target: missed.target.to_string(), metric: metric.clone() };
        match scaler.history().range(&key, missed.since, now, STEP).await {
            Ok(buckets) => {
                let points = buckets.into_iter().map(|bucket| Point { at: bucket.at, value: bucket.mean });
                history.insert(metric.clone(), points.filter(|point| point.at > missed.since).collect());
            }
            Err(error) => tracing::debug!(%error, "cannot read recorded samples"),
        }
    }
    (missed, history)
}

#[cfg(test)]
mod tests {
    use fogline_core::id::PolicyId;

    use super::*;

    #[test]
    fn no_more_is_read_than_conditions_take() {
        let needed = |duration: &str| {
            let rule = format!(
                r#"{{"metric": "queue", "operator": "gt", "threshold": 1, "scale_by": 1, "duration": "{duration}"}}"#
            );
            let spec = format!(
                r#"{{"name": "queue", "target_type": "node_pool", "target_id": "a", "scale_up_rules": [{rule}]}}"#
            );
            let spec: fogline_core::scaling::PolicySpec = serde_json::from_str(&spec).expect("a spec");
            needed(&[Policy::new(PolicyId::from_uuid(uuid::Uuid::nil()), spec).expect("a policy")]).as_secs()
        };
        assert_eq!([needed("0s"), needed("10m"), needed("20h")], [150, 690, 3_600]);
    }
}
