//! The scaling engine of one term: asks for metrics, has core decide, has the decisions carried out.
//!
//! [`collector`] asks sources in the background, [`pushed`] and [`builtin`] know what was told, [`resolve`] says which of
//! them a name means, [`engine`] evaluates every target each interval, [`executors`] carry out what is not a commit alone.
//! Must never decide a count itself, wait for a source in a round, or change anything but through the desk of its term.
//! Invariant: nothing acts for a term that is over. Tests: in the files, and `tests/it/scaling`.

mod alarm;
mod arbitration;
mod archive;
mod builtin;
mod collector;
mod engine;
mod executors;
mod figures;
mod forecasts;
mod health;
mod lanes;
mod look;
mod pushed;
mod resolve;
mod resume;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::inputs::Run;
use fogline_core::scaling::sample::{Point, Reading};
use fogline_core::scaling::state::{Memory, State};
use fogline_core::scaling::{Decision, Policy, evaluate};
use fogline_core::time::Timestamp;
use fogline_source::guard::GuardedClient;
use fogline_source::{Answer, Sources};
pub(crate) use fogline_store::{Bucket, SampleStore, SeriesKey};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use alarm::Alarm;
pub(crate) use health::ScalerHealth;

use crate::clock::Clock;
use crate::leadership::Mandate;
use crate::proxies::{Figures as Traffic, Measure};
use crate::telemetry::Telemetry;
use crate::writer::{Desk, WriteError};
use arbitration::Shown;
use archive::Archive;
use collector::Collector;
use engine::Engine;
use executors::{Carrying, Webhook};
use figures::Figures;
use forecasts::Forecasts;
use look::Seen;
pub(crate) use pushed::NoRoom;
use pushed::Pushed;
use resolve::Readings;
use target::{Key, Target};

/// Rounds do not follow each other faster, whatever the settings say.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// How long the last samples of a term may take to be stored.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// A sample that somebody has pushed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PushedSample {
    /// Of what.
    pub(crate) target: ScalingTarget,
    /// Its name.
    pub(crate) metric: String,
    /// What was measured: a number, since whoever takes samples in refuses what is none.
    pub(crate) value: f64,
    /// When. A time that is yet to come counts as now.
    pub(crate) at: Timestamp,
    /// How long it is good; 90 s when nothing is said.
    pub(crate) stale_after: Option<Duration>,
}

/// Why there is no evaluation.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub(crate) enum EvaluateError {
    /// There is nothing to evaluate.
    #[error("no policy is on {0}: create one first")]
    NoPolicy(ScalingTarget),
    /// The cluster cannot be looked at now.
    #[error(transparent)]
    Unavailable(#[from] WriteError),
}

/// What the engine of every term works with.
#[derive(Clone, Debug)]
pub(crate) struct ScalingStanding {
    /// Metric sources.
    pub(crate) sources: Sources,
    /// Whether there is a Prometheus server for all.
    pub(crate) prometheus: bool,
    /// Raw samples.
    pub(crate) samples: SampleStore,
    /// How often each target is evaluated.
    pub(crate) interval: Duration,
}

/// What the engine of one term works with.
pub(crate) struct ScalerParts {
    pub(crate) standing: ScalingStanding,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) mandate: Arc<Mandate>,
    pub(crate) desk: Desk,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) traffic: Arc<Traffic>,
}

/// The engine of one term.
#[derive(Debug)]
pub(crate) struct Scaler {
    clock: Clock,
    desk: Desk,
    interval: Duration,
    began: Timestamp,
    readings: Readings,
    forecasts: Forecasts,
    figures: Arc<Figures>,
    alarm: Arc<Alarm>,
    targets: Mutex<HashMap<ScalingTarget, Target>>,
    last: Mutex<Option<LastRound>>,
    loops: Mutex<Vec<AbortOnDropHandle<()>>>,
}

#[derive(Clone, Copy, Debug)]
struct LastRound {
    at: Timestamp,
    lag: Duration,
    targets: usize,
}

impl Scaler {
    /// Starts the engine, which runs until [`Self::stop`].
    pub(crate) fn begin(parts: ScalerParts) -> Arc<Self> {
        let ScalerParts { standing, clock, telemetry, mandate, desk, alarm, traffic } = parts;
        let figures = Arc::new(Figures::new(telemetry));
        let client = GuardedClient::new(standing.sources.guard().clone());
        let forecasts = Forecasts::new(standing.samples.clone(), clock.clone());
        let readings = Readings {
            collector: Collector::new(standing.sources, clock.clone(), Arc::clone(&figures)),
            pushed: Pushed::default(),
            archive: Archive::new(standing.samples, clock.clone(), Arc::clone(&figures)),
            traffic,
            prometheus: standing.prometheus,
        };
        let scaler = Arc::new(Self {
            clock: clock.clone(),
            desk: desk.clone(),
            interval: standing.interval.max(SHORTEST_INTERVAL),
            began: clock.now(),
            readings,
            forecasts,
            figures: Arc::clone(&figures),
            alarm,
            targets: Mutex::default(),
            last: Mutex::default(),
            loops: Mutex::default(),
        });
        let carrying = Carrying::new(desk, mandate, clock, figures, Webhook::new(client));
        let engine = Engine::new(Arc::clone(&scaler), carrying);
        let (upkeep, fitting) = (Arc::clone(&scaler), Arc::clone(&scaler));
        let loops = [
            AbortOnDropHandle::new(tokio::spawn(engine.run())),
            AbortOnDropHandle::new(tokio::spawn(async move { upkeep.readings.archive.upkeep().await })),
            AbortOnDropHandle::new(tokio::spawn(async move { fitting.forecasts.upkeep().await })),
        ];
        locked(&scaler.loops).extend(loops);
        scaler
    }

    /// Nothing is evaluated or carried out any more. Whoever still holds this for a request finds an engine that stands.
    pub(crate) fn stop(&self) {
        locked(&self.loops).clear();
        locked(&self.targets).clear();
    }

    /// Stores what was sampled last, if that is quick.
    pub(crate) async fn flush(&self) {
        let flushed = tokio::time::timeout(LAST_FLUSH, self.readings.archive.flush(false)).await;
        if flushed.is_err() {
            tracing::debug!("the last samples were not stored in time");
        }
    }

    /// Takes note of pushed samples, of all or of none: they count from the next evaluation on.
    ///
    /// # Errors
    /// Where there is no room for one of their series.
    pub(crate) fn push(&self, mut batch: Vec<PushedSample>) -> Result<(), NoRoom> {
        self.readings.pushed.put_all(&mut batch, self.clock.now())?;
        for sample in batch {
            let point = Point { at: sample.at, value: sample.value };
            self.readings.archive.keep_pushed(&sample.target, &sample.metric, point);
        }
        Ok(())
    }

    /// The last reading of each pushed and built-in metric of a target.
    pub(crate) fn latest(&self, target: &ScalingTarget) -> BTreeMap<String, Reading> {
        let now = self.clock.now();
        let usage = locked(&self.targets).get(target).and_then(|target| target.usage);
        let names = usage.iter().flat_map(|_| builtin::Usage::MEASURED).chain(Measure::ALL.map(|(name, _)| name));
        let measured = names.filter_map(|name| {
            let reading = self.readings.builtin(name, target, usage.as_ref(), now, now)?;
            // Without a route there are no requests to tell of.
            (!reading.not_applicable).then(|| (name.to_owned(), Reading { history: Vec::new(), ..reading }))
        });
        let mut latest: BTreeMap<String, Reading> = measured.collect();
        for (name, pushed) in self.readings.pushed.all(target) {
            let builtin = latest.remove(&name);
            latest.extend(resolve::ranked(Some(pushed), builtin, now).map(|reading| (name, reading)));
        }
        latest
    }

    /// The same code as a live evaluation, on live inputs, changing nothing. With `instead`, that policy counts in place of
    /// the stored one of its id, or beside the others where there is none. Asks sources that were not asked yet, within
    /// their deadlines. Without a policy that acts, those that go to the log are shown, else the shadows.
    ///
    /// # Errors
    /// See [`EvaluateError`].
    pub(crate) async fn evaluate(
        &self,
        target: &ScalingTarget,
        instead: Option<Policy>,
    ) -> Result<Decision, EvaluateError> {
        let asked = target.clone();
        let seen = self.desk.view(move |cluster, now| Seen::at(cluster, &asked, now)).await?;
        let Some(Seen { view, usage, proxy }) = seen else { return Err(EvaluateError::NoPolicy(target.clone())) };
        let is_dry = |policy: &Policy| policy.spec().dry_run;
        let mut policies: Vec<Policy> = view.policies.iter().filter(|policy| !is_dry(policy)).cloned().collect();
        if let Some(draft) = instead {
            policies.retain(|policy| policy.id() != draft.id());
            policies.push(draft);
        } else if policies.is_empty() {
            let logged = if view.policies.is_empty() { &view.shadows } else { &view.policies };
            policies.extend(logged.iter().cloned());
        }
        let readings = self.readings.once(&policies, target, usage.as_ref(), self.clock.now()).await;
        let now = self.clock.now();
        let known = locked(&self.targets).get_mut(target).and_then(|target| {
            let key = if target.group_of(Key::Live).is_some() { Key::Live } else { Key::DryRun };
            target.group_of(key).and_then(|group| group.arbitration.state().cloned())
        });
        let state = known.unwrap_or_else(|| State::resumed(Memory::clone(&view.memory), view.counts.current, now));
        let forecasts = self.forecasts.known(target, &policies);
        let start_time = usage.and_then(|usage| usage.start_time());
        let shown = Shown { readings, forecasts, start_time, proxy };
        Ok(evaluate(&policies, &shown.inputs(Run::DryRun, view.counts), &state, now).0)
    }

    /// The latest decisions, newest first: at most 120.
    pub(crate) fn recent(&self, target: &ScalingTarget) -> Vec<Arc<Decision>> {
        locked(&self.targets).get(target).map(Target::recent).unwrap_or_default()
    }

    /// Raw samples.
    pub(crate) const fn history(&self) -> &SampleStore {
        self.readings.archive.store()
    }

    /// How the engine is.
    pub(crate) fn health(&self) -> ScalerHealth {
        let last = *locked(&self.last);
        let (sources, failing_sources) = self.readings.collector.count();
        let running = locked(&self.loops).first().is_some_and(|engine| !engine.is_finished());
        ScalerHealth {
            running,
            interval: self.interval,
            began: self.began,
            last_round: last.map(|last| last.at),
            lag: last.map(|last| last.lag).unwrap_or_default(),
            targets: last.map(|last| last.targets).unwrap_or_default(),
            sources,
            failing_sources,
        }
    }

    fn targets(&self) -> MutexGuard<'_, HashMap<ScalingTarget, Target>> {
        locked(&self.targets)
    }

    fn evaluated(&self) {
        self.figures.evaluations.increment(1);
    }

    fn round_ended(&self, targets: usize, took: Duration, lag: Duration) {
        *locked(&self.last) = Some(LastRound { at: self.clock.now(), lag, targets });
        let (sources, failing) = self.readings.collector.count();
        self.figures.round.record(took.as_secs_f64());
        let counts = [
            (&self.figures.targets, targets),
            (&self.figures.sources, sources),
            (&self.figures.failing_sources, failing),
        ];
        for (gauge, count) in counts {
            #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 of them")]
            gauge.set(count as f64);
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
