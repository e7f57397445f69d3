//! One batch: which of the waiting commands are decided together, and what each is told. Without I/O.
//!
//! Decides nothing itself, core does. Invariant: whatever a verdict says is in `changes`, was durable before, or is a
//! refusal; so once `changes` are committed every verdict may be told. Tests: below.

use std::collections::HashMap;
use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::cluster::Changes;
use fogline_core::command::{Actor, Outcome, Rejection, Request};
use fogline_core::id::UserId;
use fogline_core::record::IdempotencyRecord;
use fogline_core::time::Timestamp;

/// Most commands of one batch: beyond it the transaction gets long and those behind it wait.
pub(super) const MAX_COMMANDS: usize = 2_048;

/// Longest time that deciding commands may take, for the same reason.
const APPLY_LIMIT: Duration = Duration::from_millis(20);

/// What planning gets on top. Its own share, so that a flood of commands does not starve the mending of what broke.
const SETTLE_LIMIT: Duration = Duration::from_millis(10);

/// Answers that were given before, by user and idempotency key.
pub(super) type Answered = HashMap<(UserId, String), IdempotencyRecord>;

/// What became of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Done, once the batch is committed.
    Accepted(Outcome),
    /// Done by an earlier command of the same batch with the same key.
    Repeated(Outcome),
    /// Done by an earlier batch, which is durable.
    Replayed(Outcome),
    /// Not done.
    Rejected(Rejection),
}

/// What was decided.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Changes,
    /// For the first commands of those that waited. The others were not looked at.
    pub(super) verdicts: Vec<Verdict>,
    /// Whether everything that was to be planned is.
    pub(super) settled: bool,
}

/// The key under which the answer to a request is kept.
pub(super) fn key_of(request: &Request) -> Option<(UserId, &str)> {
    match (&request.actor, &request.idempotency) {
        (Actor::User { id, .. }, Some(idempotency)) => Some((*id, &idempotency.key)),
        _ => None,
    }
}

/// Takes in what agents and proxies have `told`, and decides what time allows of `requests`, at least the first.
pub(super) fn decide<'a>(
    cluster: &mut Cluster,
    told: &[Request],
    requests: impl IntoIterator<Item = &'a Request>,
    answered: &Answered,
    now: Timestamp,
    elapsed: &mut dyn FnMut() -> Duration,
) -> Batch {
    let mut changes = Changes::default();
    // Signs of life first: whoever has been heard must not be declared silent by the same batch. And reports: what is
    // decided on somebody's requests is decided on the latest word of them.
    for told in told {
        if let Err(rejection) = cluster.apply(told, now, &mut changes) {
            tracing::debug!(%rejection, "a heartbeat or a report was ignored");
        }
    }
    cluster.tick(now, &mut changes);

    let mut verdicts = Vec::new();
    let mut fresh: HashMap<(UserId, &str), usize> = HashMap::new();
    for request in requests.into_iter().take(MAX_COMMANDS) {
        if !verdicts.is_empty() && elapsed() >= APPLY_LIMIT {
            break;
        }
        let key = key_of(request);
        let verdict = match key.and_then(|key| known(key, answered, &fresh, &changes)) {
            Some((record, durable)) => repeat(request, record, durable),
            None => match cluster.apply(request, now, &mut changes) {
                Ok(outcome) => Verdict::Accepted(outcome),
                Err(rejection) => Verdict::Rejected(rejection),
            },
        };
        if let (Verdict::Accepted(_), Some(key)) = (&verdict, key) {
            fresh.insert(key, changes.idempotency.len() - 1);
        }
        verdicts.push(verdict);
    }

    let settle_until = elapsed() + SETTLE_LIMIT;
    let mut planned_any = false;
    let settled = cluster.settle(now, &mut changes, &mut || {
        // The first is always planned, or a slow machine would never get anywhere.
        !std::mem::replace(&mut planned_any, true) || elapsed() < settle_until
    });
    Batch { changes, verdicts, settled }
}

/// The answer that was given under a key, and whether it is durable already.
fn known<'a>(
    (user, key): (UserId, &str),
    answered: &'a Answered,
    fresh: &HashMap<(UserId, &str), usize>,
    changes: &'a Changes,
) -> Option<(&'a IdempotencyRecord, bool)> {
    if let Some(&at) = fresh.get(&(user, key)) {
        return changes.idempotency.get(at).map(|record| (record, false));
    }
    if answered.is_empty() {
        return None;
    }
    answered.get(&(user, key.to_owned())).map(|record| (record, true))
}

fn repeat(request: &Request, record: &IdempotencyRecord, durable: bool) -> Verdict {
    if request.idempotency.as_ref().is_some_and(|key| key.fingerprint != record.fingerprint) {
        return Verdict::Rejected(Rejection::KeyReused { key: record.key.clone() });
    }
    let outcome = record.outcome.clone();
    if durable { Verdict::Replayed(outcome) } else { Verdict::Repeated(outcome) }
}

#[cfg(test)]
mod tests {
    use fogline_core::cluster::Durable;
    use fogline_core::command::{Command, IdempotencyKey};
    use fogline_core::id::IdSource;
    use fogline_core::record::{PasswordHash, Role, Tier};
    use fogline_core::settings::Settings;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    fn cluster() -> Cluster {
        Cluster::load(Durable::default(), Settings::default(), IdSource::new(1), NOW).expect("nothing contradicts")
    }

    /// A cluster with an administrator, and a way to make requests of theirs.
    fn with_admin() -> (Cluster, UserId) {
        let mut cluster = cluster();
        let outcome = cluster.apply(&Request::system(create("admin")), NOW, &mut Changes::default());
        let Ok(Outcome::UserCreated { user_id }) = outcome else { panic!("{outcome:?}") };
        (cluster, user_id)
    }

    fn create(username: &str) -> Command {
        let password_hash = PasswordHash::new("$argon2id$".to_owned());
        Command::CreateUser { username: username.to_owned(), password_hash, role: Role::Admin, tier: Tier::Free }
    }

    fn keyed(user: UserId, username: &str, key: &str, fingerprint: u8) -> Request {
        Request {
            actor: Actor::User { id: user, name: "admin".to_owned(), role: Role::Admin },
            command: create(username),
            idempotency: Some(IdempotencyKey { key: key.to_owned(), fingerprint: [fingerprint; 32] }),
            remote: None,
        }
    }

    fn no_time_passes() -> Duration {
        Duration::ZERO
    }

    #[test]
    fn a_key_that_comes_twice_in_one_batch_is_done_once() {
        let (mut cluster, admin) = with_admin();
        let requests = [keyed(admin, "ann", "k", 1), keyed(admin, "ann", "k", 1), keyed(admin, "bob", "k", 2)];
        let batch = decide(&mut cluster, &[], &requests, &Answered::new(), NOW, &mut no_time_passes);
        let [Verdict::Accepted(first), Verdict::Repeated(second), Verdict::Rejected(third)] = &batch.verdicts[..]
        else {
            panic!("{:?}", batch.verdicts)
        };
        assert_eq!(first, second);
        assert_eq!(*third, Rejection::KeyReused { key: "k".to_owned() });
        assert_eq!((batch.changes.users.len(), batch.changes.idempotency.len()), (1, 1));
    }

    #[test]
    fn a_key_that_was_answered_before_is_answered_again() {
        let (mut cluster, admin) = with_admin();
        let outcome = Outcome::UserCreated { user_id: admin };
        let record = IdempotencyRecord {
            user_id: admin,
            key: "k".to_owned(),
            fingerprint: [1; 32],
            outcome: outcome.clone(),
            created_at: NOW,
        };
        let answered = Answered::from([((admin, "k".to_owned()), record)]);
        let requests = [keyed(admin, "ann", "k", 1), keyed(admin, "ann", "k", 2)];
        let batch = decide(&mut cluster, &[], &requests, &answered, NOW, &mut no_time_passes);
        let reused = Rejection::KeyReused { key: "k".to_owned() };
        assert_eq!(batch.verdicts, [Verdict::Replayed(outcome), Verdict::Rejected(reused)]);
        assert!(batch.changes.is_empty());
    }

    #[test]
    fn the_keys_of_two_users_do_not_meet() {
        let (mut cluster, admin) = with_admin();
        let first =
            decide(&mut cluster, &[], &[keyed(admin, "ann", "k", 1)], &Answered::new(), NOW, &mut no_time_passes);
        let Verdict::Accepted(Outcome::UserCreated { user_id: ann }) = first.verdicts[0] else { panic!("{first:?}") };
        let requests = [keyed(admin, "bob", "k", 1), keyed(ann, "cid", "k", 1)];
        let batch = decide(&mut cluster, &[], &requests, &Answered::new(), NOW, &mut no_time_passes);
        assert!(batch.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Accepted(_))), "{:?}", batch.verdicts);
    }

    #[test]
    fn a_refused_command_does_not_use_up_its_key() {
        let (mut cluster, admin) = with_admin();
        let requests = [keyed(admin, "admin", "k", 1), keyed(admin, "ann", "k", 1)];
        let batch = decide(&mut cluster, &[], &requests, &Answered::new(), NOW, &mut no_time_passes);
        assert!(matches!(batch.verdicts[..], [Verdict::Rejected(_), Verdict::Accepted(_)]), "{:?}", batch.verdicts);
    }

    #[test]
    fn a_batch_ends_when_its_time_is_up_but_not_before_its_first_command() {
        let (mut cluster, admin) = with_admin();
        let requests: Vec<_> = (0..10).map(|i| keyed(admin, &format!("user-{i}"), &format!("k{i}"), 1)).collect();
        let mut clock = Duration::ZERO;
        let mut slow = || {
            clock += Duration::from_millis(8);
            clock
        };
        let batch = decide(&mut cluster, &[], &requests, &Answered::new(), NOW, &mut slow);
        assert_eq!(batch.verdicts.len(), 3);
        let batch = decide(&mut cluster, &[], &requests[3..], &Answered::new(), NOW, &mut || Duration::from_secs(1));
        assert_eq!(batch.verdicts.len(), 1);
    }

    #[test]
    fn a_batch_has_a_size() {
        let mut cluster = cluster();
        let request = Request::system(create("admin"));
        let requests = vec![request; MAX_COMMANDS + 1];
        let batch = decide(&mut cluster, &[], &requests, &Answered::new(), NOW, &mut no_time_passes);
        assert_eq!(batch.verdicts.len(), MAX_COMMANDS);
    }
}
