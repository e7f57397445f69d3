//! Has sleeping deployments woken for one proxy, at once.
//!
//! Whether one is woken is core's to decide. Invariants: one wake-up of a deployment is on its way at a time, and so many a
//! second, of one owner's and of all, whatever the proxy says; what is beyond that is not heard, for the proxy asks again,
//! and so it does where this server fails; a refusal of core's is told, without anything in it that strangers must not
//! know. Tests: below, `tests/it/proxies/wake.rs`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fogline_core::command::{Command, Outcome, Rejection, Request};
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::time::Timestamp;
use fogline_core::trouble::Trouble;
use tokio::task::JoinSet;

use super::figures::{Figures, Woken};
use super::mailbox::Mailbox;
use crate::writer::{Committed, Desk, WriteError};

/// Wake-ups of one proxy a second, in the long run and at once. One is a commit.
const OF_ALL: Rate = Rate { a_second: 50, at_once: 500 };
/// The same of one owner's deployments, so that nobody's use up everybody's.
const OF_ONE: Rate = Rate { a_second: 10, at_once: 100 };
/// Owners that are counted before those are forgotten who may ask for as much as anybody.
const MOST_OWNERS: usize = 1_000;

/// How soon a refused wake-up may be asked for again at the earliest.
const LEAST_PAUSE: Duration = Duration::from_secs(2);

type Answer = (DeploymentId, Result<Committed, WriteError>);

/// Those of one session.
#[derive(Debug)]
pub(super) struct Wakes {
    desk: Desk,
    under_way: HashSet<DeploymentId>,
    answers: JoinSet<Answer>,
    allowances: Allowances,
}

impl Wakes {
    pub(super) fn new(desk: Desk, now: Timestamp) -> Self {
        Self { desk, under_way: HashSet::new(), answers: JoinSet::new(), allowances: Allowances::new(now) }
    }

    /// Asks for one of `owner`'s; nobody's is one that has no route.
    pub(super) fn wake(&mut self, id: DeploymentId, owner: Option<UserId>, held: u32, now: Timestamp) {
        if self.under_way.contains(&id) || !self.allowances.take(owner, now) {
            return;
        }
        self.under_way.insert(id);
        let desk = self.desk.clone();
        let request = Request::agent(Command::Wake { deployment_id: id, held });
        self.answers.spawn(async move { (id, desk.submit(request).await) });
    }

    /// Waits for the next answer, and passes it on. For ever where none is under way.
    pub(super) async fn answered(&mut self, mailbox: &Mailbox, figures: &Figures) {
        let Some(answer) = self.answers.join_next().await else { return std::future::pending().await };
        // It is one call, which does not panic, and nobody aborts it.
        let Ok((id, result)) = answer else { return };
        self.under_way.remove(&id);
        match result {
            Ok(Committed { outcome: Outcome::Decided { .. }, .. }) => figures.woke(Woken::Up),
            Ok(_) => figures.woke(Woken::Awake),
            Err(WriteError::Rejected(rejection)) => {
                figures.woke(Woken::Refused);
                tracing::debug!(deployment_id = %id, %rejection, "a deployment is not woken");
                let retry_after = match &rejection {
                    Rejection::TooManyWakes { retry_after, .. } => *retry_after,
                    _ => Duration::ZERO,
                };
                mailbox.refuse(id, told(&rejection).words().to_owned(), retry_after.max(LEAST_PAUSE));
            }
            Err(error) => {
                figures.woke(Woken::Failed);
                tracing::debug!(deployment_id = %id, %error, "a deployment could not be woken; its proxy will ask again");
            }
        }
    }
}

/// What those are told who wait.
const fn told(rejection: &Rejection) -> Trouble {
    match rejection {
        Rejection::TooManyWakes { .. } => Trouble::WokenTooOften,
        Rejection::Insufficient { .. } => Trouble::NoRoom,
        Rejection::QuotaExceeded { .. } => Trouble::Quota,
        Rejection::WrongStatus { .. } => Trouble::Stopped,
        _ => Trouble::NotWoken,
    }
}

/// What a proxy may ask for.
#[derive(Debug)]
struct Allowances {
    all: Allowance,
    by_owner: HashMap<UserId, Allowance>,
}

impl Allowances {
    fn new(now: Timestamp) -> Self {
        Self { all: Allowance::new(OF_ALL, now), by_owner: HashMap::new() }
    }

    fn take(&mut self, owner: Option<UserId>, now: Timestamp) -> bool {
        if self.by_owner.len() >= MOST_OWNERS {
            self.by_owner.retain(|_, allowance| !allowance.is_whole(now));
        }
        let of_owner = owner.map(|owner| self.by_owner.entry(owner).or_insert_with(|| Allowance::new(OF_ONE, now)));
        // One owner's surplus takes nothing from the others.
        of_owner.is_none_or(|allowance| allowance.take(now)) && self.all.take(now)
    }
}

/// How much in the long run, and at once.
#[derive(Clone, Copy, Debug)]
struct Rate {
    a_second: u32,
    at_once: u32,
}

/// How much may be asked for: a bucket that fills by the second.
#[derive(Debug)]
struct Allowance {
    rate: Rate,
    left: f64,
    at: Timestamp,
}

impl Allowance {
    fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, left: f64::from(rate.at_once), at: now }
    }

    fn fill(&mut self, now: Timestamp) {
        let gained = now.since(self.at).as_secs_f64() * f64::from(self.rate.a_second);
        (self.left, self.at) = ((self.left + gained).min(f64::from(self.rate.at_once)), now);
    }

    fn is_whole(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.left >= f64::from(self.rate.at_once)
    }

    fn take(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    #[test]
    fn a_burst_is_taken_and_then_so_many_a_second() {
        let mut allowance = Allowance::new(OF_ALL, START);
        let mut taken = |now: Timestamp| (0..10_000).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(START), OF_ALL.at_once as usize);
        assert_eq!(taken(START.plus(Duration::from_secs(1))), OF_ALL.a_second as usize);
        assert_eq!(taken(START.plus(Duration::from_secs(3_600))), OF_ALL.at_once as usize);
    }

    #[test]
    fn nobodys_deployments_use_up_everybodys() {
        let mut ids = IdSource::new(1);
        let mut allowances = Allowances::new(START);
        let loud = ids.next(START);
        assert_eq!((0..10_000).filter(|_| allowances.take(Some(loud), START)).count(), OF_ONE.at_once as usize);
        assert!(allowances.take(Some(ids.next(START)), START), "another one's");
        let later = START.plus(Duration::from_secs(3_600));
        for _ in 0..2 * MOST_OWNERS {
            allowances.take(Some(ids.next(START)), later);
            allowances.all = Allowance::new(OF_ALL, later);
        }
        let much_later = later.plus(Duration::from_secs(60));
        allowances.take(None, much_later);
        assert!(allowances.by_owner.is_empty(), "whoever asks for nothing is forgotten");
    }

    #[test]
    fn a_refusal_tells_strangers_nothing_of_the_account() {
        let secret = Rejection::NameTaken { kind: "deployment", name: "canary".to_owned() };
        assert_eq!(told(&secret), Trouble::NotWoken);
        assert_eq!(
            told(&Rejection::TooManyWakes { woken: 7, retry_after: LEAST_PAUSE }).words(),
            "it was woken too often"
        );
    }
}
