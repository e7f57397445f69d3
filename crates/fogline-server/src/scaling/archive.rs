//! Raw samples on their way to their store, in batches and in the background.
//!
//! Must never keep an evaluation or a push waiting. Invariant: what waits is bounded; where the store is too slow, new
//! samples are dropped and counted, for charts may have holes and evaluations may not be late. Tests: `tests/it/scaling`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::sample::Point;
use tokio::time::{MissedTickBehavior, interval};

use super::figures::Figures;
use super::{SampleStore, SeriesKey};
use crate::clock::Clock;

/// Samples that may wait: some tens of megabytes.
const MOST_WAITING: usize = 200_000;
/// Where so many wait, pushed ones are dropped: the rest is for what the system and its sources measure.
const MOST_BEFORE_PUSHED: usize = MOST_WAITING / 2;
/// Samples that are stored in one go.
const BATCH: usize = 5_000;
const FLUSH: Duration = Duration::from_secs(2);
const COMPACT: Duration = Duration::from_secs(600);

/// Where samples wait.
#[derive(Debug)]
pub(super) struct Archive {
    store: SampleStore,
    clock: Clock,
    figures: Arc<Figures>,
    waiting: Mutex<Vec<(SeriesKey, Point)>>,
}

impl Archive {
    pub(super) fn new(store: SampleStore, clock: Clock, figures: Arc<Figures>) -> Self {
        Self { store, clock, figures, waiting: Mutex::default() }
    }

    /// Where they are kept.
    pub(super) const fn store(&self) -> &SampleStore {
        &self.store
    }

    /// Keeps a sample, some time soon.
    pub(super) fn keep(&self, target: &ScalingTarget, metric: &str, point: Point) {
        self.wait(target, metric, point, MOST_WAITING);
    }

    /// Keeps a sample that somebody pushed, some time soon: never in the place of others.
    pub(super) fn keep_pushed(&self, target: &ScalingTarget, metric: &str, point: Point) {
        self.wait(target, metric, point, MOST_BEFORE_PUSHED);
    }

    fn wait(&self, target: &ScalingTarget, metric: &str, point: Point, most: usize) {
        if !point.value.is_finite() {
            return;
        }
        let mut waiting = self.lock();
        if waiting.len() >= most {
            self.figures.samples_dropped.increment(1);
            return;
        }
        waiting.push((SeriesKey { target: target.to_string(), metric: metric.to_owned() }, point));
    }

    /// Stores what waits, again and again, and lets go of what is old.
    pub(super) async fn upkeep(&self) {
        let (mut flush, mut compact) = (interval(FLUSH), interval(COMPACT));
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        compact.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = flush.tick() => failing = self.flush(failing).await,
                _ = compact.tick() => {
                    if let Err(error) = self.store.compact(self.clock.now()).await {
                        tracing::warn!(%error, "cannot let go of old samples");
                    }
                }
            }
        }
    }

    /// Stores what waits. Says whether that failed, and logs it where it did not fail `before`.
    pub(super) async fn flush(&self, before: bool) -> bool {
        loop {
            let batch = {
                let mut waiting = self.lock();
                if waiting.is_empty() {
                    return false;
                }
                let batch = waiting.len().min(BATCH);
                let rest = waiting.split_off(batch);
                std::mem::replace(&mut *waiting, rest)
            };
            if let Err(error) = self.store.append(&batch).await {
                self.figures.samples_dropped.increment(batch.len() as u64);
                if !before {
                    tracing::warn!(%error, "cannot store raw samples: charts will have a hole, decisions go on");
                }
                return true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SeriesKey, Point)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
