//! The models of policies that forecast, fitted in the background to what was recorded.
//!
//! Must never keep an evaluation waiting: it is given the last model, or none yet. Invariant: each is fitted again once a
//! bucket of its season has passed, one after the other, and forgotten when nobody asks for it any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fogline_core::id::PolicyId;
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::Policy;
use fogline_core::scaling::forecast::{Model, NoModel};
use fogline_core::scaling::policy::ForecastSpec;
use fogline_core::scaling::sample::Point;
use fogline_core::time::Timestamp;
use fogline_store::KEPT_FOR;
use tokio::time::{MissedTickBehavior, interval};

use super::{SampleStore, SeriesKey, locked};
use crate::clock::Clock;

/// Seasons that are looked back on.
const SEASONS: u32 = 8;
/// Between two looks for models that are old.
const LOOK: Duration = Duration::from_secs(2);
/// A model that nobody asked for in this long is forgotten.
const KEPT: Duration = Duration::from_secs(900);

/// A model, or why there is none.
type Fit = Result<Arc<Model>, NoModel>;

/// All models.
#[derive(Debug)]
pub(super) struct Forecasts {
    store: SampleStore,
    clock: Clock,
    wanted: Mutex<HashMap<(ScalingTarget, PolicyId), Wanted>>,
}

#[derive(Clone, Debug)]
struct Wanted {
    metric: String,
    season: Duration,
    /// When somebody asked last.
    asked: Timestamp,
    fitted: Option<(Timestamp, Fit)>,
}

impl Wanted {
    fn is_of(&self, spec: &ForecastSpec) -> bool {
        self.metric == spec.metric && self.season == spec.season.0
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.fitted.as_ref().is_none_or(|(at, _)| now.since(*at) >= Model::bucket(self.season))
    }
}

impl Forecasts {
    pub(super) fn new(store: SampleStore, clock: Clock) -> Self {
        Self { store, clock, wanted: Mutex::default() }
    }

    /// The models of these policies, as far as there are any by now.
    pub(super) fn of(&self, target: &ScalingTarget, policies: &[Policy], now: Timestamp) -> BTreeMap<PolicyId, Fit> {
        let mut models = BTreeMap::new();
        for policy in policies {
            let Some(spec) = &policy.spec().forecast else { continue };
            let mut wanted = locked(&self.wanted);
            let key = (target.clone(), policy.id());
            let new = || Wanted { metric: spec.metric.clone(), season: spec.season.0, asked: now, fitted: None };
            let known = wanted.entry(key).or_insert_with(new);
            if !known.is_of(spec) {
                *known = new();
            }
            known.asked = now;
            models.extend(known.fitted.as_ref().map(|(_, fit)| (policy.id(), fit.clone())));
        }
        models
    }

    /// As [`Self::of`], for who only wants to know: nothing is fitted, kept or replaced for it.
    pub(super) fn known(&self, target: &ScalingTarget, policies: &[Policy]) -> BTreeMap<PolicyId, Fit> {
        let wanted = locked(&self.wanted);
        let known = policies.iter().filter_map(|policy| {
            let spec = policy.spec().forecast.as_ref()?;
            let known = wanted.get(&(target.clone(), policy.id()))?;
            let (_, fit) = known.fitted.as_ref().filter(|_| known.is_of(spec))?;
            Some((policy.id(), fit.clone()))
        });
        known.collect()
    }

    /// Fits what is due, again and again.
    pub(super) async fn upkeep(&self) {
        let mut due = interval(LOOK);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let now = self.clock.now();
            let waiting: Vec<_> = {
                let mut wanted = locked(&self.wanted);
                wanted.retain(|_, one| now.since(one.asked) < KEPT);
                wanted.iter().filter(|(_, one)| one.is_due(now)).map(|(key, one)| (key.clone(), one.clone())).collect()
            };
            for (key, one) in waiting {
                let Some(fit) = self.fit(&key.0, &one, now).await else { continue };
                if let Some(known) = locked(&self.wanted).get_mut(&key) {
                    known.fitted = Some((now, fit));
                }
            }
        }
    }

    async fn fit(&self, target: &ScalingTarget, wanted: &Wanted, now: Timestamp) -> Option<Fit> {
        let Wanted { metric, season, .. } = wanted;
        let back = season.saturating_mul(SEASONS).min(KEPT_FOR);
        let key = SeriesKey { target: target.to_string(), metric: metric.clone() };
        match self.store.range(&key, now.minus(back), now, Model::bucket(*season)).await {
            Ok(buckets) => {
                let points = buckets.into_iter().map(|bucket| Point { at: bucket.at, value: bucket.mean });
                Some(Model::fit(*season, &points.collect::<Vec<_>>(), now).map(Arc::new))
            }
            Err(error) => {
                tracing::debug!(%error, "cannot read recorded samples for a forecast");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_store::SamplesConfig;

    use super::*;

    #[tokio::test]
    async fn a_draft_is_told_what_is_known_and_replaces_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let samples = SamplesConfig::Sqlite { file: directory.path().join("samples.db") };
        let samples = SampleStore::open(&samples).await.expect("a store");
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let forecasts = Forecasts::new(samples, Clock::by_hand(now));
        let target = ScalingTarget::Deployment(fogline_core::id::DeploymentId::from_uuid(uuid::Uuid::nil()));
        let policy = |season: &str| {
            let forecast = format!(r#"{{"metric": "queue", "target": 5, "season": "{season}"}}"#);
            let spec = format!(
                r#"{{"name": "a", "target_type": "node_pool", "target_id": "a", "forecast": {forecast},
                    "targets": [{{"metric": "queue", "target": 5}}]}}"#
            );
            let spec: fogline_core::scaling::PolicySpec = serde_json::from_str(&spec).expect("a spec");
            [Policy::new(PolicyId::from_uuid(uuid::Uuid::nil()), spec).expect("a policy")]
        };
        let (live, draft) = (policy("1d"), policy("2h"));
        assert!(forecasts.known(&target, &live).is_empty() && locked(&forecasts.wanted).is_empty());
        assert!(forecasts.of(&target, &live, now).is_empty(), "it is not fitted yet");
        let fit: Fit = Err(NoModel::TooShort { recorded: 0.5 });
        for wanted in locked(&forecasts.wanted).values_mut() {
            wanted.fitted = Some((now, fit.clone()));
        }
        assert!(forecasts.known(&target, &draft).is_empty());
        for models in [forecasts.known(&target, &live), forecasts.of(&target, &live, now)] {
            assert_eq!(models.into_values().collect::<Vec<_>>(), std::slice::from_ref(&fit));
        }
    }
}
