//! The latest changes of one term, in a ring.
//!
//! A watcher is a position in it and nothing else. Invariant: at most [`CAPACITY`] changes are kept, and only whole
//! commits; from a position that is not lost every later change is read, once and in order.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fogline_api::http::EventResponse;
use fogline_core::Cluster;
use fogline_core::cluster::Changes;
use fogline_core::id::UserId;
use tokio::sync::watch;

use super::change::{self, Change};

/// Changes that are kept: some ten megabytes.
const CAPACITY: usize = 50_000;

/// Changes that are looked at in one go, so that nobody keeps the writer from the ring for long.
const CHUNK: usize = 512;

/// The ring.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    /// The revision of the last commit.
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    changes: VecDeque<Change>,
    /// The number of the first of them. Grows with each that is let go of.
    first: u64,
    /// Every change after this revision is here.
    floor: u64,
    /// The last commit that is known here.
    latest: u64,
    capacity: usize,
}

/// What was asked for is not here (any more).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lost {
    /// Changes after this revision are here,
    pub(crate) floor: u64,
    /// up to this one.
    pub(crate) latest: u64,
}

/// Up to where somebody has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// The number of the next change.
    next: u64,
    /// Everything up to this revision was read, and nothing or a part of the next.
    pub(crate) revision: u64,
}

/// Some changes that were read.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Those that the reader may see.
    pub(crate) events: Vec<EventResponse>,
    /// Whether there was nothing more at that moment.
    pub(crate) caught_up: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Feed {
    fn with_capacity(capacity: usize) -> Self {
        Self { ring: Mutex::new(Ring { capacity, ..Ring::default() }), latest: watch::Sender::new(0) }
    }

    /// The cluster was loaded at `revision`: what happened before is not known here.
    pub(crate) fn restart(&self, revision: u64) {
        self.ring().restart(revision);
        self.latest.send_replace(revision);
    }

    /// A commit has made `revision`.
    pub(crate) fn committed(&self, cluster: &Cluster, changes: &Changes, revision: u64) {
        if change::count(changes) > self.ring().capacity {
            return self.restart(revision);
        }
        let changed = change::of(cluster, changes, revision);
        self.ring().push(revision, changed);
        self.latest.send_replace(revision);
    }

    /// Where to read on: after a revision, or after all that is here.
    ///
    /// # Errors
    /// When not everything after that revision is here, or it is yet to come.
    pub(crate) fn position(&self, since: Option<u64>) -> Result<Position, Lost> {
        let ring = self.ring();
        let since = since.unwrap_or(ring.latest);
        if !(ring.floor..=ring.latest).contains(&since) {
            return Err(ring.lost());
        }
        let known = ring.changes.partition_point(|change| change.event.revision <= since);
        Ok(Position { next: ring.first + known as u64, revision: since })
    }

    /// Reads on from `position`, for somebody who sees the objects of this user, or of all.
    ///
    /// # Errors
    /// When the reader was too slow.
    pub(crate) fn read(&self, position: &mut Position, sees: Option<UserId>) -> Result<Chunk, Lost> {
        let ring = self.ring();
        let from = position.next.checked_sub(ring.first).ok_or_else(|| ring.lost())?;
        // Positions come from here, so one that is not lost is in the ring or at its end.
        let from = usize::try_from(from).map_or(ring.changes.len(), |from| from.min(ring.changes.len()));
        let to = (from + CHUNK).min(ring.changes.len());
        let read = ring.changes.range(from..to).filter(|change| change.is_visible(sees));
        let events = read.map(|change| change.event.clone()).collect();
        let revision_at = |at: usize| ring.changes.get(at).map(|change| change.event.revision);
        let next = ring.first + to as u64;
        let revision = match (to.checked_sub(1).and_then(revision_at), revision_at(to)) {
            (_, None) => ring.latest,
            (Some(last), Some(next)) if last < next => last,
            _ => position.revision,
        };
        *position = Position { next, revision };
        Ok(Chunk { events, caught_up: to == ring.changes.len() })
    }

    /// Says when there is more. What is there by now counts as seen.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    const fn lost(&self) -> Lost {
        Lost { floor: self.floor, latest: self.latest }
    }

    fn end(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    fn restart(&mut self, revision: u64) {
        // One more than there were: whoever had read all of them has missed something now, too.
        self.first = self.end() + 1;
        self.changes.clear();
        (self.floor, self.latest) = (revision, revision);
    }

    fn push(&mut self, revision: u64, changes: Vec<Change>) {
        self.changes.extend(changes);
        self.latest = revision;
        while self.changes.len() > self.capacity
            && let Some(oldest) = self.changes.front().map(|change| change.event.revision)
        {
            let gone = self.changes.partition_point(|change| change.event.revision <= oldest);
            self.changes.drain(..gone);
            self.first += gone as u64;
            self.floor = oldest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::cluster::Durable;
    use fogline_core::id::IdSource;
    use fogline_core::quantity::Resources;
    use fogline_core::record::{Liveness, NodeRecord};
    use fogline_core::settings::Settings;
    use fogline_core::time::Timestamp;

    /// Commits with so many changed nodes each, from revision 1.
    fn feed(capacity: usize, commits: &[usize]) -> Feed {
        let feed = Feed::with_capacity(capacity);
        for (revision, nodes) in (1..).zip(commits) {
            commit(&feed, revision, *nodes);
        }
        feed
    }

    fn commit(feed: &Feed, revision: u64, nodes: usize) {
        let mut changes = Changes::default();
        for number in 0..nodes {
            let id = format!("0192f0c1-2d3e-7a4b-8c5d-{number:012}").parse().expect("an id");
            let node = NodeRecord {
                id,
                name: format!("{revision}-{number}"),
                region: String::new(),
                zone: String::new(),
                capacity: Resources::ZERO,
                runtimes: Default::default(),
                labels: Default::default(),
                liveness: Liveness::Online,
                cordoned: false,
                draining: false,
                created_at: Timestamp::EPOCH,
                updated_at: Timestamp::EPOCH,
            };
            changes.nodes.record(id, None, Some(node));
        }
        let nobody = Cluster::load(Durable::default(), Settings::default(), IdSource::new(1), Timestamp::EPOCH);
        feed.committed(&nobody.expect("an empty cluster"), &changes, revision);
    }

    /// Revisions of everything from there to the end.
    fn rest(feed: &Feed, position: &mut Position) -> Result<Vec<u64>, Lost> {
        let mut read = Vec::new();
        loop {
            let chunk = feed.read(position, None)?;
            read.extend(chunk.events.iter().map(|event| event.revision));
            if chunk.caught_up {
                return Ok(read);
            }
        }
    }

    #[test]
    fn everything_after_a_revision_is_read_once_and_in_order() {
        let feed = feed(100, &[2, 1, 0, 3]);
        for (since, expected) in
            [(0, vec![1, 1, 2, 4, 4, 4]), (1, vec![2, 4, 4, 4]), (2, vec![4, 4, 4]), (3, vec![4, 4, 4]), (4, vec![])]
        {
            let mut position = feed.position(Some(since)).expect("it is here");
            assert_eq!(rest(&feed, &mut position), Ok(expected), "since {since}");
        }
        let mut position = feed.position(None).expect("always");
        commit(&feed, 5, 1);
        assert_eq!(rest(&feed, &mut position), Ok(vec![5]));
        assert_eq!(rest(&feed, &mut position), Ok(vec![]));
        assert_eq!(feed.position(Some(6)), Err(Lost { floor: 0, latest: 5 }), "yet to come");
    }

    #[test]
    fn whole_commits_are_let_go_of_and_who_needs_them_hears_it() {
        let feed = feed(5, &[2, 2, 1]);
        let mut slow = feed.position(Some(0)).expect("it is here");
        let mut quick = feed.position(Some(2)).expect("it is here");
        commit(&feed, 4, 1);
        let lost = Lost { floor: 1, latest: 4 };
        assert_eq!((rest(&feed, &mut slow), feed.position(Some(0))), (Err(lost), Err(lost)));
        assert_eq!(rest(&feed, &mut quick), Ok(vec![3, 4]));
        assert_eq!(rest(&feed, &mut feed.position(Some(1)).expect("it is here")), Ok(vec![2, 2, 3, 4]));
    }

    #[test]
    fn a_commit_that_is_larger_than_the_ring_and_a_reload_cut_everybody_off() {
        let feed = feed(5, &[2]);
        for restart in [(|feed: &Feed| commit(feed, 2, 6)) as fn(&Feed), |feed| feed.restart(2)] {
            let mut position = feed.position(None).expect("always");
            restart(&feed);
            assert_eq!(rest(&feed, &mut position), Err(Lost { floor: 2, latest: 2 }));
            assert_eq!(rest(&feed, &mut feed.position(Some(2)).expect("it is here")), Ok(vec![]));
        }
        commit(&feed, 3, 5);
        assert_eq!(rest(&feed, &mut feed.position(Some(2)).expect("it is here")), Ok(vec![3; 5]));
    }

    #[test]
    fn a_revision_is_complete_only_at_its_end() {
        let feed = feed(10_000, &[CHUNK - 1, 1, CHUNK + 1, 1, 0]);
        let mut position = feed.position(Some(0)).expect("it is here");
        let mut read = || {
            let chunk = feed.read(&mut position, None).expect("it is here");
            (chunk.events.len(), position.revision)
        };
        let complete = [read(), read(), read(), read()];
        assert_eq!(complete, [(CHUNK, 2), (CHUNK, 2), (2, 5), (0, 5)]);
    }
}
