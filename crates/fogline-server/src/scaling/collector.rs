//! Asks metric sources in the background, each on its own interval and with its own deadline.
//!
//! Equal questions are asked once for all who want to know, and forgotten when nobody does any more. Must never keep an
//! evaluation waiting: [`Asked::reading`] is what is known now. Invariant: at most one question of a kind is open, and
//! what is kept of each is bounded. Tests: below, `tests/it/scaling/sources.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_core::scaling::sample::{Point, Reading, Sample, Source};
use fogline_core::time::Timestamp;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::figures::Figures;
use super::lanes::{Lane, Traffic, Way};
use super::{Answer, Sources};
use crate::clock::Clock;

/// Points of one source that are kept between two evaluations: a source may be faster than they are.
const MOST_POINTS: usize = 64;
/// Between the first questions of sources that come at once, as after a take-over.
const SPREAD: Duration = Duration::from_millis(5);
/// What a source is given beyond its deadline, which it keeps by itself.
const GRACE: Duration = Duration::from_secs(2);

/// All questions.
#[derive(Debug)]
pub(super) struct Collector {
    sources: Sources,
    clock: Clock,
    figures: Arc<Figures>,
    traffic: Traffic,
    asked: Mutex<HashMap<Arc<MetricSpec>, Arc<Asked>>>,
    /// By the time since boot, when another source may be asked for the first time.
    free: Mutex<Duration>,
}

/// One question that is asked for as long as somebody holds this.
#[derive(Debug)]
pub(super) struct Asked {
    known: Arc<Known>,
    _asking: AbortOnDropHandle<()>,
}

/// What is known of one question.
#[derive(Debug)]
struct Known {
    spec: Arc<MetricSpec>,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    /// When it was answered.
    at: Timestamp,
    sample: Sample,
    /// Of a range query: everything that the source remembers.
    history: Arc<[Point]>,
    /// What was answered before, oldest first.
    points: VecDeque<Point>,
}

impl Collector {
    pub(super) fn new(sources: Sources, clock: Clock, figures: Arc<Figures>) -> Self {
        Self { sources, clock, figures, traffic: Traffic::default(), asked: Mutex::default(), free: Mutex::default() }
    }

    /// Has these questions asked, from now on until nobody holds what is returned, in their order.
    pub(super) fn want<'a>(&self, specs: impl IntoIterator<Item = &'a MetricSpec>) -> Vec<Arc<Asked>> {
        let mut asked = self.lock();
        let mut want = |spec: &MetricSpec| {
            if let Some(known) = asked.get(spec) {
                return Arc::clone(known);
            }
            let spec = Arc::new(spec.clone());
            let first = self.wait(spec.interval.0);
            let started = Arc::new(self.start(Arc::clone(&spec), first));
            asked.insert(spec, Arc::clone(&started));
            started
        };
        specs.into_iter().map(&mut want).collect()
    }

    /// Forgets what nobody wants to know any more.
    pub(super) fn sweep(&self) {
        self.lock().retain(|_, asked| Arc::strong_count(asked) > 1);
    }

    /// The answer that is known, where there is one, or that of a question of its own.
    pub(super) async fn once(&self, spec: &MetricSpec) -> Reading {
        let known = self.lock().get(spec).map(Arc::clone);
        let now = self.clock.now();
        let known = known.and_then(|known| known.reading(Timestamp::EPOCH, Timestamp::EPOCH));
        if let Some(reading) = known.filter(|reading| reading.fresh(now).is_some()) {
            return reading;
        }
        let spec = Arc::new(spec.clone());
        let known = Known { spec: Arc::clone(&spec), last: Mutex::default() };
        let within = spec.timeout.0 + GRACE;
        let asking = async {
            let _room = self.traffic.way(&spec).enter(Lane::Once).await;
            self.sources.ask(&spec, self.clock.now()).await
        };
        known.put(timeout(within, asking).await.unwrap_or_else(|_| out_of_time(&spec)), self.clock.now());
        known.reading(Timestamp::EPOCH, Timestamp::EPOCH).expect("it was put a moment ago")
    }

    /// How many questions there are, and how many of them have no value.
    pub(super) fn count(&self) -> (usize, usize) {
        let asked = self.lock();
        let failing = asked.values().filter(|asked| asked.is_failing()).count();
        (asked.len(), failing)
    }

    /// How long another first question waits for those that came just before it, whoever wanted them: less than an
    /// interval, into which the others fit as well.
    fn wait(&self, interval: Duration) -> Duration {
        let now = self.clock.since_boot();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let at = now.max(*free);
        *free = at + SPREAD;
        let (wait, interval) = ((at - now).as_micros(), interval.as_micros().max(1));
        Duration::from_micros((wait % interval) as u64)
    }

    fn start(&self, spec: Arc<MetricSpec>, first: Duration) -> Asked {
        let known = Arc::new(Known { spec: Arc::clone(&spec), last: Mutex::default() });
        let asking = Asking {
            known: Arc::clone(&known),
            way: self.traffic.way(&spec),
            sources: self.sources.clone(),
            clock: self.clock.clone(),
            figures: Arc::clone(&self.figures),
        };
        Asked { known, _asking: AbortOnDropHandle::new(tokio::spawn(asking.on_and_on(first))) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<MetricSpec>, Arc<Asked>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// What is known, with all points after `since`; nothing before the first answer. What a range query gave is told to
    /// who asked last at `seen`, before it came.
    pub(super) fn reading(&self, seen: Timestamp, since: Timestamp) -> Option<Reading> {
        self.known.reading(seen, since)
    }

    fn is_failing(&self) -> bool {
        self.known.lock().as_ref().is_some_and(|last| !matches!(last.sample, Sample::Value { .. }))
    }
}

impl Known {
    fn reading(&self, seen: Timestamp, since: Timestamp) -> Option<Reading> {
        let last = self.lock();
        let last = last.as_ref()?;
        let mut reading = Reading::of(last.sample.clone(), source_of(self.spec.source), self.spec.interval.0);
        // What a reader has counted it does not need again, and a range may hold thousands.
        if last.at > seen {
            let first = last.points.front().map_or(last.at, |point| point.at);
            reading.history.extend(last.history.iter().filter(|point| point.at < first));
        }
        reading.history.extend(last.points.iter().filter(|point| point.at > since));
        Some(reading)
    }

    fn put(&self, answer: Answer, now: Timestamp) {
        let mut last = self.lock();
        let mut points = last.take().map(|last| last.points).unwrap_or_default();
        if let Sample::Value { value, at } = answer.sample
            && points.back().is_none_or(|newest| newest.at < at)
        {
            points.push_back(Point { at, value });
            if points.len() > MOST_POINTS {
                points.pop_front();
            }
        }
        *last = Some(Last { at: now, sample: answer.sample, history: answer.history.into(), points });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that asks one question.
struct Asking {
    known: Arc<Known>,
    way: Way,
    sources: Sources,
    clock: Clock,
    figures: Arc<Figures>,
}

impl Asking {
    async fn on_and_on(self, first: Duration) {
        let spec = Arc::clone(&self.known.spec);
        let mut due = interval_at(tokio::time::Instant::now() + first, spec.interval.0.max(Duration::from_millis(100)));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut slow = false;
        loop {
            due.tick().await;
            let room = self.way.enter(if slow { Lane::Slow } else { Lane::Quick }).await;
            let began = self.clock.now();
            let answer = timeout(spec.timeout.0 + GRACE, self.sources.ask(&spec, began)).await;
            drop(room);
            let now = self.clock.now();
            slow = now.since(began) >= spec.timeout.0.mul_f64(0.9);
            let answer = answer.unwrap_or_else(|_| out_of_time(&spec));
            self.figures.asked(spec.source, &answer.sample, now.since(began));
            self.known.put(answer, now);
        }
    }
}

fn out_of_time(spec: &MetricSpec) -> Answer {
    let reason = format!("no answer within {}", spec.timeout);
    Answer { sample: Sample::Error { reason }, history: Vec::new() }
}

const fn source_of(kind: SourceKind) -> Source {
    match kind {
        SourceKind::Prometheus => Source::Prometheus,
        SourceKind::HttpJson => Source::HttpJson,
        SourceKind::Postgresql => Source::Postgresql,
        SourceKind::Redis => Source::Redis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn known() -> Known {
        Known { spec: Arc::new(MetricSpec::new(SourceKind::Redis)), last: Mutex::default() }
    }

    fn value(seconds: u64, value: f64) -> Answer {
        Answer { sample: Sample::Value { value, at: at(seconds) }, history: Vec::new() }
    }

    #[test]
    fn every_point_since_the_last_look_is_told_once() {
        let known = known();
        assert_eq!(known.reading(at(0), at(0)), None);
        for second in 1..=5 {
            known.put(value(second, second as f64), at(second));
        }
        let seconds = |since| -> Vec<f64> {
            let reading = known.reading(at(since), at(since)).expect("a reading");
            reading.points(at(6)).map(|point| point.value).collect()
        };
        assert_eq!(seconds(2), [3.0, 4.0, 5.0]);
        assert_eq!(seconds(5), [5.0]);
    }

    #[test]
    fn a_failure_is_told_at_once_and_what_was_before_it_is_not_lost() {
        let known = known();
        known.put(value(1, 1.0), at(1));
        known.put(Answer { sample: Sample::Error { reason: "away".to_owned() }, history: Vec::new() }, at(2));
        let reading = known.reading(at(0), at(0)).expect("a reading");
        assert!(matches!(reading.sample, Sample::Error { .. }));
        assert_eq!(reading.history, [Point { at: at(1), value: 1.0 }]);
    }

    #[test]
    fn a_range_is_told_when_it_is_new() {
        let known = known();
        let history: Vec<_> = (1..=9).map(|second| Point { at: at(second), value: 0.0 }).collect();
        known.put(Answer { history, ..value(10, 1.0) }, at(10));
        assert_eq!(known.reading(at(0), at(0)).expect("a reading").history.len(), 10);
        assert_eq!(known.reading(at(10), at(10)).expect("a reading").history.len(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let known = known();
        for second in 0..10_000 {
            known.put(value(second, 0.0), at(second));
        }
        assert_eq!(known.reading(at(0), at(0)).expect("a reading").history.len(), MOST_POINTS);
    }
}
