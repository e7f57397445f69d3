//! Commands in replicas, relayed to the agents that run them.
//!
//! Nothing is kept here but who waits. Invariants: whoever waits is answered once, at the latest a moment after the
//! command's own deadline, also when its agent goes away or says nothing; a session has few commands under way, and so
//! has a user. Tests: below, and `tests/it/exec.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_api::protocol::{ExecAnswer, ExecEnd, ExecOutput, ExecQuestion, FromServer, MAX_EXEC_OUTPUT_BYTES};
use fogline_core::id::{NodeId, ReplicaId, UserId};
use tokio::sync::oneshot;

use crate::leadership::Leadership;

/// Commands that one session has under way.
const MAX_OF_SESSION: usize = 16;
/// Commands that one user has under way.
const MAX_OF_USER: usize = 4;
/// How long after a command's deadline its agent may take to say so.
const GRACE: Duration = Duration::from_secs(3);

/// Why there is nothing to tell of a command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExecError {
    /// Agents are attached to whoever leads, and this server does not.
    #[error("this server does not lead, and agents are attached to the one that does: try again in a second")]
    NotLeader,
    /// No agent presents the node.
    #[error("the agent of node {0} is not connected, so nothing can be run there: try again once the node is back")]
    NotAttached(NodeId),
    /// The agent went away in between.
    #[error("the agent of the replica's node went away before the command ended: what has become of it is not known")]
    Detached,
    /// The replica does not run.
    #[error("replica {0} does not run on its node")]
    NotRunning(ReplicaId),
    /// It took too long; in its agent's words.
    #[error("{0}")]
    TimedOut(String),
    /// The agent could not run it; in its words.
    #[error("{0}")]
    Agent(String),
    /// The session has as many commands under way as it will.
    #[error("{MAX_OF_SESSION} commands are being run on that node already: try again later")]
    TooMany,
    /// The user has as many commands under way as one may.
    #[error("you are running {MAX_OF_USER} commands already: wait for one to end")]
    TooManyOfYours,
}

/// Runs commands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Commands {
    leadership: Leadership,
    users: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Commands {
    pub(crate) fn new(leadership: Leadership) -> Self {
        Self { leadership, users: Arc::default() }
    }

    /// Runs a command in a replica and waits for its end. `node_id` is the node on the replica's row. Whether `user` may
    /// have it run is for the caller to check.
    ///
    /// # Errors
    /// When it was not run, or nobody knows how it ended.
    pub async fn run(
        &self,
        user: UserId,
        node_id: NodeId,
        replica_id: ReplicaId,
        command: Vec<String>,
        deadline: Duration,
    ) -> Result<ExecOutput, ExecError> {
        let term = self.leadership.term().ok_or(ExecError::NotLeader)?;
        let session = term.registry.session_of(node_id).ok_or(ExecError::NotAttached(node_id))?;
        let _place = self.place(user)?;
        let answer = session.run_command(replica_id, command, deadline)?;
        match tokio::time::timeout(deadline + GRACE, answer).await {
            Ok(Ok(ExecEnd::Exited(output))) => Ok(output),
            Ok(Ok(ExecEnd::NotRunning)) => Err(ExecError::NotRunning(replica_id)),
            Ok(Ok(ExecEnd::TimedOut(why))) => Err(ExecError::TimedOut(why)),
            Ok(Ok(ExecEnd::Failed(why))) => Err(ExecError::Agent(why)),
            Ok(Err(_)) => Err(ExecError::Detached),
            Err(_) => {
                let text = "the replica's node has not said how the command ended: it may still be running";
                Err(ExecError::TimedOut(text.to_owned()))
            }
        }
    }

    fn place(&self, user: UserId) -> Result<Place, ExecError> {
        let mut users = lock(&self.users);
        let count = users.entry(user).or_default();
        if *count >= MAX_OF_USER {
            return Err(ExecError::TooManyOfYours);
        }
        *count += 1;
        Ok(Place { users: Arc::clone(&self.users), user })
    }
}

/// One of a user's commands. Dropping it gives its place back.
struct Place {
    users: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = lock(&self.users);
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is whole at each point where it could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The commands of one session: what is to be sent, and who waits for which.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    unsent: VecDeque<ExecQuestion>,
    callers: HashMap<u64, oneshot::Sender<ExecEnd>>,
}

impl Waiting {
    /// A command that is to be sent, and where its end will be told.
    pub(super) fn ask(&mut self, question: ExecQuestion) -> Result<oneshot::Receiver<ExecEnd>, ExecError> {
        // Whoever gave up waiting makes room, though the agent may still be at it: it has a bound of its own.
        self.callers.retain(|_, caller| !caller.is_closed());
        if self.callers.len() >= MAX_OF_SESSION {
            return Err(ExecError::TooMany);
        }
        let (caller, answer) = oneshot::channel();
        self.callers.insert(question.request, caller);
        self.unsent.push_back(question);
        Ok(answer)
    }

    /// The next one to be sent, that somebody still waits for.
    pub(super) fn next(&mut self) -> Option<FromServer> {
        while let Some(question) = self.unsent.pop_front() {
            if self.callers.get(&question.request).is_some_and(|caller| !caller.is_closed()) {
                return Some(FromServer::ExecRequest(question));
            }
            self.callers.remove(&question.request);
        }
        None
    }

    /// One has ended. Of one that nobody waits for, nothing is to be done.
    pub(super) fn answered(&mut self, answer: ExecAnswer) {
        if let Some(caller) = self.callers.remove(&answer.request) {
            let _ = caller.send(answer.end);
        }
    }

    /// The session is over: everybody who waits hears that.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }
}

/// What an agent is asked.
pub(super) const fn question(
    request: u64,
    replica_id: ReplicaId,
    command: Vec<String>,
    deadline: Duration,
) -> ExecQuestion {
    ExecQuestion { request, replica_id, command, deadline, max_output: MAX_EXEC_OUTPUT_BYTES }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    fn ask(waiting: &mut Waiting, request: u64) -> Result<oneshot::Receiver<ExecEnd>, ExecError> {
        let replica_id = IdSource::new(1).next(Timestamp::from_micros(1));
        waiting.ask(question(request, replica_id, vec!["true".to_owned()], Duration::from_secs(1)))
    }

    #[test]
    fn each_hears_of_its_own_and_the_end_of_the_session() {
        let mut waiting = Waiting::default();
        let (mut first, mut second) = (ask(&mut waiting, 1).expect("room"), ask(&mut waiting, 2).expect("room"));
        assert!(matches!(waiting.next(), Some(FromServer::ExecRequest(ExecQuestion { request: 1, .. }))));
        for request in [7, 1, 1] {
            waiting.answered(ExecAnswer { request, end: ExecEnd::NotRunning });
        }
        assert_eq!(first.try_recv(), Ok(ExecEnd::NotRunning));
        assert!(matches!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        waiting.close();
        assert!(matches!(second.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn commands_under_way_have_a_limit_and_who_gives_up_makes_room() {
        let mut waiting = Waiting::default();
        let mut answers: Vec<_> = (0..MAX_OF_SESSION as u64).map(|n| ask(&mut waiting, n).expect("room")).collect();
        assert_eq!(ask(&mut waiting, 100).expect_err("full"), ExecError::TooMany);
        drop(answers.remove(0));
        answers.push(ask(&mut waiting, 101).expect("room again"));
        let sent: Vec<_> = std::iter::from_fn(|| waiting.next()).collect();
        assert_eq!(sent.len(), MAX_OF_SESSION, "what nobody waits for is not even asked");
    }
}
