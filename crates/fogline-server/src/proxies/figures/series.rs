//! One deployment's requests: what each session told last, the last seconds of all together, and totals.
//!
//! Invariant: at most [`KEPT_SECONDS`] seconds and those under way, and of replicas only those that are in the table. Tests: below.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use fogline_core::id::{ReplicaId, UserId};
use fogline_core::time::Timestamp;
use fogline_core::traffic::{ReplicaTraffic, Service, ServiceTraffic, UpstreamState};

use super::MOST_GAINED;
use super::second::{BUCKETS, Flow, Second};

/// Seconds that are kept.
pub(super) const KEPT_SECONDS: usize = 120;
/// Seconds at the end that are not whole yet, because some proxy has not told of them: they take the place of none that is.
const UNDER_WAY: usize = 5;

const SECOND_US: i64 = 1_000_000;

/// Everything that was counted while this server leads.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Totals {
    pub(super) begun: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) latency: [u64; BUCKETS],
    pub(super) latency_sum: Duration,
    pub(super) cold_starts: [u64; BUCKETS],
    pub(super) cold_start_sum: Duration,
}

impl Totals {
    fn gain(&mut self, before: Option<&ServiceTraffic>, now: &ServiceTraffic) {
        let gained = |of: fn(&ServiceTraffic) -> u64| of(now).saturating_sub(before.map_or(0, of));
        add(&mut self.begun, gained(|traffic| traffic.begun));
        add(&mut self.failed, gained(|traffic| traffic.failed));
        add(&mut self.refused, gained(|traffic| traffic.refused));
        for at in 0..BUCKETS {
            let (latency, cold) = before.map_or((0, 0), |before| (before.latency[at], before.cold_starts[at]));
            add(&mut self.latency[at], now.latency[at].saturating_sub(latency));
            add(&mut self.cold_starts[at], now.cold_starts[at].saturating_sub(cold));
        }
        let sum = |now: Duration, before: Option<Duration>| now.saturating_sub(before.unwrap_or_default());
        self.latency_sum = self.latency_sum.saturating_add(sum(now.latency_sum, before.map(|known| known.latency_sum)));
        self.cold_start_sum =
            self.cold_start_sum.saturating_add(sum(now.cold_start_sum, before.map(|known| known.cold_start_sum)));
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.begun, other.begun);
        add(&mut self.failed, other.failed);
        add(&mut self.refused, other.refused);
        for at in 0..BUCKETS {
            add(&mut self.latency[at], other.latency[at]);
            add(&mut self.cold_starts[at], other.cold_starts[at]);
        }
        self.latency_sum = self.latency_sum.saturating_add(other.latency_sum);
        self.cold_start_sum = self.cold_start_sum.saturating_add(other.cold_start_sum);
    }
}

/// The part of one replica while this server leads.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct OfReplica {
    pub(super) ended: u64,
    pub(super) failed: u64,
    pub(super) latency_sum: Duration,
}

/// What one session told of the deployment last.
#[derive(Debug)]
struct Told {
    traffic: ServiceTraffic,
    replicas: HashMap<ReplicaId, ReplicaTraffic>,
}

/// One deployment.
#[derive(Debug)]
pub(super) struct Series {
    /// Whose it is.
    pub(super) owner: UserId,
    /// Since when it has a route, as far as this server knows.
    pub(super) since: Timestamp,
    /// Whether it has series of its own among the metrics.
    pub(super) shown: bool,
    /// Replicas that are told to stop as soon as nobody needs them.
    pub(super) leaving: usize,
    upstreams: BTreeSet<ReplicaId>,
    told: HashMap<u64, Told>,
    seconds: VecDeque<Second>,
    pub(super) totals: Totals,
    pub(super) replicas: BTreeMap<ReplicaId, OfReplica>,
    /// Rate and concurrency when it was evaluated last; nothing where it never was.
    pub(super) evaluated: Option<(f64, f64)>,
    /// When it was last asked to be evaluated out of its turn.
    pub(super) rung: Timestamp,
}

impl Series {
    pub(super) fn new(service: &Service, since: Timestamp, shown: bool) -> Self {
        let mut series = Self {
            owner: service.owner,
            since,
            shown,
            leaving: 0,
            upstreams: BTreeSet::new(),
            told: HashMap::new(),
            seconds: VecDeque::new(),
            totals: Totals::default(),
            replicas: BTreeMap::new(),
            evaluated: None,
            rung: Timestamp::EPOCH,
        };
        series.follow(service);
        series
    }

    /// Its replicas are others.
    pub(super) fn follow(&mut self, service: &Service) {
        let leaving = service.upstreams.iter().filter(|upstream| upstream.state == UpstreamState::Leaving);
        self.leaving = leaving.count();
        self.owner = service.owner;
        self.upstreams = service.upstreams.iter().map(|upstream| upstream.replica_id).collect();
        self.replicas.retain(|id, _| self.upstreams.contains(id));
        for told in self.told.values_mut() {
            told.replicas.retain(|id, _| self.upstreams.contains(id));
        }
    }

    /// Takes from what a session tells what is more than can have come since it told before. True where there is such.
    pub(super) fn bound(&self, session: u64, now: &mut ServiceTraffic) -> bool {
        let before = self.told.get(&session).map(|told| &told.traffic);
        let mut is_too_much = false;
        let mut cut = |now: &mut u64, before: Option<u64>| {
            let most = before.unwrap_or(0).saturating_add(MOST_GAINED);
            is_too_much |= *now > most;
            *now = most.min(*now);
        };
        cut(&mut now.begun, before.map(|before| before.begun));
        cut(&mut now.ended, before.map(|before| before.ended));
        cut(&mut now.failed, before.map(|before| before.failed));
        cut(&mut now.refused, before.map(|before| before.refused));
        for at in 0..BUCKETS {
            cut(&mut now.latency[at], before.map(|before| before.latency[at]));
            cut(&mut now.cold_starts[at], before.map(|before| before.cold_starts[at]));
        }
        is_too_much
    }

    /// Whether a session has told of it.
    pub(super) fn is_told_by(&self, session: u64) -> bool {
        self.told.contains_key(&session)
    }

    /// A session tells of it. `from` is when that session was heard before; nothing where this is its first report, whose
    /// counters are where it begins. Says whether requests are in hand.
    pub(super) fn heard(
        &mut self,
        session: u64,
        mut traffic: ServiceTraffic,
        (from, to): (Option<Timestamp>, Timestamp),
    ) -> bool {
        let listed = std::mem::take(&mut traffic.replicas).into_iter();
        let replicas: HashMap<_, _> = listed
            .filter(|replica| self.upstreams.contains(&replica.replica_id))
            .map(|replica| (replica.replica_id, replica))
            .collect();
        let before = self.told.remove(&session);
        if let Some(from) = from {
            let known = before.as_ref().map(|before| &before.traffic);
            self.totals.gain(known, &traffic);
            let level = (known.map_or(0.0, level) + level(&traffic)) / 2.0;
            self.spread(&Flow::since(known, &traffic), level, from, to);
            for (id, now) in &replicas {
                let known = before.as_ref().and_then(|before| before.replicas.get(id));
                let of = self.replicas.entry(*id).or_default();
                let gained = |of: fn(&ReplicaTraffic) -> u64| of(now).saturating_sub(known.map_or(0, of));
                add(&mut of.ended, gained(|replica| replica.ended).min(MOST_GAINED));
                add(&mut of.failed, gained(|replica| replica.failed).min(MOST_GAINED));
                let spent = now.latency_sum.saturating_sub(known.map_or(Duration::ZERO, |known| known.latency_sum));
                of.latency_sum = of.latency_sum.saturating_add(spent);
            }
        }
        let is_busy = traffic.open > 0 || traffic.held > 0;
        self.told.insert(session, Told { traffic, replicas });
        is_busy
    }

    /// A session tells nothing of it, so it is as it was.
    pub(super) fn unchanged(&mut self, session: u64, from: Timestamp, to: Timestamp) {
        let level = self.told.get(&session).map_or(0.0, |told| level(&told.traffic));
        self.spread(&Flow::default(), level, from, to);
    }

    /// A session is over: what it had open is not known any more.
    pub(super) fn forget(&mut self, session: u64) {
        self.told.remove(&session);
    }

    /// Requests with a replica, and requests that wait, as last told.
    pub(super) fn open_and_held(&self) -> (u64, u64) {
        let told = || self.told.values().map(|told| &told.traffic);
        (told().map(|traffic| u64::from(traffic.open)).sum(), told().map(|traffic| u64::from(traffic.held)).sum())
    }

    /// The same of one session.
    pub(super) fn of_session(&self, session: u64) -> (u64, u64) {
        self.told.get(&session).map_or((0, 0), |told| (told.traffic.open.into(), told.traffic.held.into()))
    }

    /// Requests that are with a replica, and whether some proxy gives it nothing for a while.
    pub(super) fn replica(&self, id: ReplicaId) -> (u64, bool) {
        let told = || self.told.values().filter_map(|told| told.replicas.get(&id));
        (told().map(|replica| u64::from(replica.open)).sum(), told().any(|replica| replica.ejected))
    }

    /// Its replicas that are in the table.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = ReplicaId> {
        self.upstreams.iter().copied()
    }

    /// One second; of one in which nothing was in hand, nothing is kept.
    pub(super) fn second(&self, start: i64) -> Second {
        let found = self.seconds.binary_search_by_key(&start, |second| second.start);
        found.map_or(Second { start, ..Second::default() }, |at| self.seconds[at])
    }

    /// Shares what came between two moments between the seconds that are between them.
    fn spread(&mut self, flow: &Flow, level: f64, from: Timestamp, to: Timestamp) {
        let end = to.as_micros();
        let begin = from.as_micros().min(end).max(end - KEPT_SECONDS as i64 * SECOND_US);
        let whole = (end - begin) as f64;
        let mut at = begin;
        loop {
            let start = at.div_euclid(SECOND_US);
            let until = ((start + 1) * SECOND_US).min(end);
            let share = if whole > 0.0 { (until - at) as f64 / whole } else { 1.0 };
            let second = self.second_mut(start);
            second.flow.add(flow, share);
            second.busy += level * (until - at) as f64 / SECOND_US as f64;
            at = until;
            if at >= end {
                break;
            }
        }
        let surplus = self.seconds.len().saturating_sub(KEPT_SECONDS + UNDER_WAY);
        self.seconds.drain(..surplus);
    }

    fn second_mut(&mut self, start: i64) -> &mut Second {
        let at = self.seconds.partition_point(|second| second.start < start);
        if self.seconds.get(at).is_none_or(|second| second.start != start) {
            self.seconds.insert(at, Second { start, ..Second::default() });
        }
        &mut self.seconds[at]
    }
}

fn add(to: &mut u64, more: u64) {
    *to = to.saturating_add(more);
}

fn level(traffic: &ServiceTraffic) -> f64 {
    f64::from(traffic.open) + f64::from(traffic.held)
}
