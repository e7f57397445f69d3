//! What is made of proxies' reports: for each deployment with a route the last seconds, totals, and what is open.
//!
//! Proxies tell counters, each in its own moments; here they become seconds that can be compared. A second counts once every
//! proxy that is heard has told of it. Invariants: only what is in the table takes memory; the first report of a session is
//! where its counters begin and adds nothing, so a proxy that comes back makes no spike, and no report adds more than
//! [`MOST_GAINED`]; a time in which no proxy was heard is missing, not 0. Must never wait. [`series`] keeps one
//! deployment, [`measure`] makes readings, [`render`] the figures for monitoring. Tests: in the files, `tests/it/proxies`.

mod measure;
mod render;
mod second;
mod series;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::id::{DeploymentId, UserId};
use fogline_core::record::ScalingTarget;
use fogline_core::time::Timestamp;
use fogline_core::traffic::{Service, ServiceSignal, ServiceTraffic};

pub(crate) use measure::{LoadPoint, Measure, ReplicaLoad};
pub(crate) use render::Detail;

use crate::clock::Clock;
use crate::scaling::Alarm;
use series::{Series, Totals};

/// A proxy that was silent for so long is not waited for.
const SILENT: Duration = Duration::from_secs(3);

/// Deployments with series of their own among the metrics.
const MOST_SHOWN: usize = 1_000;

/// Change of a load since the last evaluation that does not wait for the next: this part of it, and so much.
const MOVED_SHARE: f64 = 0.5;
const MOVED_BY: f64 = 1.0;

/// How often a target is evaluated out of its turn at most.
const BETWEEN_RINGS: Duration = Duration::from_secs(1);

const SECOND_US: i64 = 1_000_000;

/// What one report may add to a counter: more is no proxy's work, and sums must not come to their end.
const MOST_GAINED: u64 = 10_000_000;

/// Deployments of which a session remembers that they have lost their route.
const MOST_LEFT: usize = 100_000;

/// What became of a wake-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Woken {
    /// It was asked for replicas.
    Up,
    /// It did not sleep.
    Awake,
    /// It is not to be woken now.
    Refused,
    /// This server could not.
    Failed,
}

/// Everything that proxies have told in one term.
#[derive(Debug)]
pub(crate) struct Figures {
    clock: Clock,
    alarm: Arc<Alarm>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    sessions: HashMap<u64, Session>,
    services: BTreeMap<DeploymentId, Series>,
    /// Up to when every proxy that is heard has told, and since when without a gap; nothing before the first report.
    covered: Option<(Timestamp, Timestamp)>,
    /// When any of them was heard last.
    heard: Option<Timestamp>,
    /// Totals of deployments that are gone, with series of their own and without: sums never shrink.
    gone_shown: Totals,
    gone: Totals,
    shown: usize,
    wakes: [u64; 4],
}

/// One proxy that is attached.
#[derive(Debug, Default)]
struct Session {
    heard: Option<Timestamp>,
    /// Where it has requests in hand, so that time passes there though it tells nothing new.
    busy: HashSet<DeploymentId>,
    /// What it has told of, and has no route any more: where its counters stand should they come back is not known.
    left: HashSet<DeploymentId>,
    /// Whether it has claimed more than can be.
    overstated: bool,
}

impl Figures {
    pub(crate) fn new(clock: Clock, alarm: Arc<Alarm>) -> Self {
        Self { clock, alarm, book: Mutex::default() }
    }

    /// The whole table is this.
    pub(crate) fn route_all(&self, services: &[Service]) {
        let now = self.clock.now();
        let mut book = self.lock();
        let known: HashSet<DeploymentId> = services.iter().map(|service| service.deployment_id).collect();
        let gone: Vec<_> = book.services.keys().filter(|id| !known.contains(id)).copied().collect();
        for id in gone {
            book.route(id, None, now);
        }
        for service in services {
            book.route(service.deployment_id, Some(service), now);
        }
    }

    /// A service is another than before, or has no route any more.
    pub(crate) fn routed(&self, id: DeploymentId, service: Option<&Service>) {
        let now = self.clock.now();
        self.lock().route(id, service, now);
    }

    /// A proxy has attached.
    pub(super) fn attached(&self, session: u64) {
        self.lock().sessions.insert(session, Session::default());
    }

    /// It is gone.
    pub(super) fn detached(&self, session: u64) {
        let mut book = self.lock();
        book.sessions.remove(&session);
        for series in book.services.values_mut() {
            series.forget(session);
        }
    }

    /// A wake-up has ended.
    pub(super) fn woke(&self, how: Woken) {
        self.lock().wakes[how as usize] += 1;
    }

    /// A proxy tells of these services. Gives what core needs of it; what is not in the table is left out.
    pub(super) fn heard(&self, session: u64, told: Vec<ServiceTraffic>) -> Vec<ServiceSignal> {
        let now = self.clock.now();
        let mut book = self.lock();
        let (signals, touched) = book.heard(session, told, now);
        let moved: Vec<_> = touched.into_iter().filter(|id| book.has_moved(*id, now)).collect();
        drop(book);
        for id in moved {
            self.alarm.ring(ScalingTarget::Deployment(id));
        }
        signals
    }

    /// Whose deployment it is; nobody's where it has no route.
    pub(super) fn owner(&self, id: DeploymentId) -> Option<UserId> {
        self.lock().services.get(&id).map(|series| series.owner)
    }

    /// How many proxies were heard lately.
    pub(crate) fn proxies(&self, now: Timestamp) -> usize {
        self.lock().sessions.values().filter(|session| session.is_heard(now)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is whole at each point where it could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_heard(&self, now: Timestamp) -> bool {
        self.heard.is_some_and(|at| now.since(at) <= SILENT)
    }
}

impl Book {
    fn route(&mut self, id: DeploymentId, service: Option<&Service>, now: Timestamp) {
        match (service, self.services.get_mut(&id)) {
            (Some(service), Some(series)) => series.follow(service),
            (Some(service), None) => {
                let shown = self.shown < MOST_SHOWN;
                self.shown += usize::from(shown);
                self.services.insert(id, Series::new(service, now, shown));
            }
            (None, _) => {
                let Some(series) = self.services.remove(&id) else { return };
                if series.shown {
                    self.shown -= 1;
                    self.gone_shown.add(&series.totals);
                } else {
                    self.gone.add(&series.totals);
                }
                for (number, session) in &mut self.sessions {
                    session.busy.remove(&id);
                    if series.is_told_by(*number) && session.left.len() < MOST_LEFT {
                        session.left.insert(id);
                    }
                }
            }
        }
    }

    fn heard(
        &mut self,
        number: u64,
        told: Vec<ServiceTraffic>,
        now: Timestamp,
    ) -> (Vec<ServiceSignal>, HashSet<DeploymentId>) {
        let (mut signals, mut touched) = (Vec::new(), HashSet::new());
        let Some(session) = self.sessions.get_mut(&number) else { return (signals, touched) };
        let from = session.heard.replace(now);
        for mut traffic in told {
            let id = traffic.deployment_id;
            let Some(series) = self.services.get_mut(&id).filter(|_| touched.insert(id)) else { continue };
            let from = from.filter(|_| !session.left.remove(&id));
            let too_much = from.is_some() && series.bound(number, &mut traffic);
            if too_much && !std::mem::replace(&mut session.overstated, true) {
                tracing::warn!(session = number, deployment_id = %id, "a proxy tells of more requests than can be");
            }
            signals.push(traffic.signal());
            if series.heard(number, traffic, (from, now)) {
                session.busy.insert(id);
            } else {
                session.busy.remove(&id);
            }
        }
        if let Some(from) = from {
            for id in session.busy.iter().filter(|id| !touched.contains(id)) {
                if let Some(series) = self.services.get_mut(id) {
                    series.unchanged(number, from, now);
                }
            }
        }
        touched.extend(&session.busy);
        self.cover(now);
        (signals, touched)
    }

    /// Up to where every proxy that is heard has told.
    fn cover(&mut self, now: Timestamp) {
        let heard = self.sessions.values().filter(|session| session.is_heard(now)).filter_map(|session| session.heard);
        let Some(until) = heard.min() else { return };
        let goes_on = self.heard.replace(now).is_some_and(|before| now.since(before) <= SILENT);
        self.covered = Some(match self.covered {
            Some((since, before)) if goes_on => (since, before.max(until)),
            _ => (until, until),
        });
    }

    /// The last whole second that every proxy has told of, by its start.
    fn last_second(&self) -> Option<i64> {
        self.covered.map(|(_, until)| until.as_micros().div_euclid(SECOND_US) - 1)
    }

    /// Whether the load of a deployment is so much another than when it was evaluated that it should be again.
    fn has_moved(&mut self, id: DeploymentId, now: Timestamp) -> bool {
        let Some(last) = self.last_second() else { return false };
        let Some(series) = self.services.get_mut(&id) else { return false };
        let Some((rate, concurrency)) = series.evaluated else { return false };
        let second = series.second(last);
        let (_, held) = series.open_and_held();
        let moved = |before: f64, now: f64| (now - before).abs() >= MOVED_BY.max(before * MOVED_SHARE);
        if held == 0 && !moved(rate, second.flow.begun) && !moved(concurrency, second.busy) {
            return false;
        }
        let due = now.since(series.rung) >= BETWEEN_RINGS;
        if due {
            series.rung = now;
        }
        due
    }
}

#[cfg(test)]
mod tests;
