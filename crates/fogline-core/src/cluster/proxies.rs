//! The proxies that are there, and what they see of requests. Observed: no rows, no commits, never taken back.
//!
//! Decides nothing but what counts: what a proxy that went away last saw still counts for a while, and so does that
//! nobody knows what it has seen since. Invariants: a deployment's `sequence` only grows while the program runs, and
//! grows with every request that is told of; memory is bounded by the proxies that are attached times the deployments
//! that have a route. Tests: `tests/it/front/traffic.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::Cluster;
use crate::id::{DeploymentId, ReplicaId};
use crate::scaling::inputs::ProxySignal;
use crate::time::Timestamp;
use crate::traffic::ServiceSignal;

/// How long a proxy that went away counts. It may only have lost its connection, and serve from its last table.
const GONE_COUNTS_FOR: Duration = Duration::from_secs(60);
/// Proxies that may be known at a time; whoever has the agents' token may present more.
pub(crate) const MAX_PROXIES: usize = 1_000;
/// Requests that one report may add to a deployment's, so that no proxy can use up the numbers there are: a `sequence`
/// at its end would tell of nothing any more.
const MOST_GAINED: u64 = 10_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    begun: u64,
    open: u32,
    held: u32,
}

#[derive(Clone, Debug)]
struct Proxy {
    /// When it went away; nothing while it is attached.
    gone_at: Option<Timestamp>,
    last_heard: Timestamp,
    /// Whether it has told nothing in this session: its counters may start over.
    is_new: bool,
    let_go: BTreeSet<ReplicaId>,
    seen: HashMap<DeploymentId, Seen>,
}

impl Proxy {
    fn counts(&self, now: Timestamp) -> bool {
        self.gone_at.is_none_or(|gone_at| now.since(gone_at) < GONE_COUNTS_FOR)
    }
}

/// What is known of a deployment's requests, whichever proxies saw them.
#[derive(Clone, Copy, Debug)]
struct Heard {
    sequence: u64,
    quiet_since: Timestamp,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct ProxyBook {
    proxies: BTreeMap<String, Proxy>,
    /// Exactly the deployments that have a route.
    heard: HashMap<DeploymentId, Heard>,
    last_heard: Option<Timestamp>,
    /// Since when anybody could be heard.
    listening_since: Timestamp,
    /// Until then proxies may be there that have not been heard.
    complete_at: Timestamp,
}

impl ProxyBook {
    /// Nothing heard yet.
    pub(super) fn new(now: Timestamp, arrival: Duration) -> Self {
        let complete_at = now.plus(arrival);
        Self { proxies: BTreeMap::new(), heard: HashMap::new(), last_heard: None, listening_since: now, complete_at }
    }

    pub(super) const fn listening_since(&self) -> Timestamp {
        self.listening_since
    }

    pub(super) const fn complete_at(&self) -> Timestamp {
        self.complete_at
    }

    /// Whether every proxy that is there has had the time to be heard.
    pub(crate) fn is_complete(&self, now: Timestamp) -> bool {
        now >= self.complete_at
    }

    /// Has a deployment's requests counted from `since`, or no more.
    pub(super) fn count(&mut self, id: DeploymentId, since: Option<Timestamp>) {
        match since {
            // What came in before could not be heard, and whoever saw it may be gone.
            Some(since) => {
                let quiet_since = since.max(self.listening_since);
                self.heard.entry(id).or_insert(Heard { sequence: 0, quiet_since });
            }
            None if self.heard.remove(&id).is_some() => {
                for proxy in self.proxies.values_mut() {
                    proxy.seen.remove(&id);
                }
            }
            None => {}
        }
    }

    /// Takes over what was heard of the deployments that are there.
    pub(super) fn keep(&mut self, earlier: &Self) {
        for (id, heard) in &mut self.heard {
            if let Some(known) = earlier.heard.get(id) {
                *heard = *known;
            }
        }
        self.proxies.clone_from(&earlier.proxies);
        for proxy in self.proxies.values_mut() {
            proxy.seen.retain(|id, _| self.heard.contains_key(id));
        }
        self.last_heard = earlier.last_heard;
        self.complete_at = earlier.complete_at;
    }

    pub(crate) fn has_room_for(&self, name: &str) -> bool {
        self.proxies.len() < MAX_PROXIES || self.proxies.contains_key(name)
    }

    pub(crate) fn is_attached(&self, name: &str) -> bool {
        self.proxies.get(name).is_some_and(|proxy| proxy.gone_at.is_none())
    }

    pub(crate) fn attach(&mut self, name: &str, now: Timestamp) {
        let new =
            || Proxy { gone_at: None, last_heard: now, is_new: true, let_go: BTreeSet::new(), seen: HashMap::new() };
        let proxy = self.proxies.entry(name.to_owned()).or_insert_with(new);
        // What it last saw counts until it has told what it sees now.
        (proxy.gone_at, proxy.last_heard, proxy.is_new) = (None, now, true);
        proxy.let_go.clear();
    }

    pub(crate) fn detach(&mut self, name: &str, now: Timestamp) {
        let Some(proxy) = self.proxies.get_mut(name).filter(|proxy| proxy.gone_at.is_none()) else { return };
        // What it has let go of it sends nothing to, with whichever table.
        proxy.gone_at = Some(now);
        // What it saw since its last word is not known: nothing that was decided from that is still true.
        for id in proxy.seen.keys() {
            if let Some(heard) = self.heard.get_mut(id) {
                heard.sequence += 1;
            }
        }
    }

    pub(crate) fn note(
        &mut self,
        name: &str,
        let_go: impl Iterator<Item = ReplicaId>,
        signals: &[ServiceSignal],
        now: Timestamp,
    ) {
        let Some(proxy) = self.proxies.get_mut(name) else { return };
        if std::mem::take(&mut proxy.is_new) {
            proxy.seen.clear();
        }
        (proxy.last_heard, proxy.gone_at, self.last_heard) = (now, None, Some(now));
        proxy.let_go = let_go.collect();
        for signal in signals {
            // Of a deployment that has lost its route meanwhile there is nothing to decide.
            let Some(heard) = self.heard.get_mut(&signal.deployment_id) else { continue };
            let ServiceSignal { begun, open, held, .. } = *signal;
            let before = proxy.seen.insert(signal.deployment_id, Seen { begun, open, held }).unwrap_or_default();
            let more = begun.checked_sub(before.begun).unwrap_or(begun.saturating_add(1)).min(MOST_GAINED);
            heard.sequence = heard.sequence.saturating_add(more);
            heard.quiet_since = heard.quiet_since.max(now.minus(signal.quiet));
        }
    }

    /// A request waits for it. Reports tell of that later, and nothing that was decided before is true any more.
    pub(crate) fn woken(&mut self, id: DeploymentId, now: Timestamp) {
        if let Some(heard) = self.heard.get_mut(&id) {
            heard.sequence = heard.sequence.saturating_add(1);
            heard.quiet_since = heard.quiet_since.max(now);
        }
    }

    /// Forgets proxies that have been gone for long. What each of them had let go of.
    pub(super) fn forget_gone(&mut self, now: Timestamp) -> Vec<BTreeSet<ReplicaId>> {
        self.proxies.extract_if(.., |_, proxy| !proxy.counts(now)).map(|(_, proxy)| proxy.let_go).collect()
    }

    /// Whether some proxy may still have requests with a leaving replica. One that has gone away lets go of
    /// nothing more.
    pub(super) fn may_hold(&self, replica: ReplicaId, now: Timestamp) -> bool {
        !self.is_complete(now) || self.proxies.values().any(|proxy| !proxy.let_go.contains(&replica))
    }

    fn signal(&self, id: DeploymentId, now: Timestamp) -> Option<ProxySignal> {
        let Heard { sequence, mut quiet_since } = *self.heard.get(&id)?;
        // There may be requests that nobody has told of.
        if !self.is_complete(now) {
            return Some(ProxySignal { at: Timestamp::EPOCH, open: 0, held: 0, quiet_since: now, sequence });
        }
        let (mut open, mut held, mut at) = (0u32, 0u32, None::<Timestamp>);
        for proxy in self.proxies.values().filter(|proxy| proxy.counts(now)) {
            let seen = proxy.seen.get(&id).copied().unwrap_or_default();
            open = open.saturating_add(seen.open);
            held = held.saturating_add(seen.held);
            if proxy.is_new || proxy.gone_at.is_some() {
                quiet_since = now;
            }
            at = Some(at.map_or(proxy.last_heard, |at| at.min(proxy.last_heard)));
        }
        // Without a proxy nothing is known but what was heard once, and where none ever was, no request can come in.
        Some(ProxySignal { at: at.or(self.last_heard)?, open, held, quiet_since, sequence })
    }
}

impl Cluster {
    /// What all proxies see of a deployment's requests; nothing where it has no route, or there is no proxy. `at` is when
    /// the proxy was heard that was heard least recently: never, while some may be there that have not found this leader.
    #[must_use]
    pub fn proxy_signal(&self, id: DeploymentId, now: Timestamp) -> Option<ProxySignal> {
        self.proxies.signal(id, now)
    }
}
