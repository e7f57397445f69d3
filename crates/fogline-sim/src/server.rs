//! A server: the real `Cluster`, and around it what the real writer does, step by step, so that it can be cut off
//! between any two of them.

use std::collections::BTreeMap;

use fogline_core::assignment::{Assignment, Authority};
use fogline_core::cluster::{Changes, Cluster};
use fogline_core::command::{Command, Outcome, Rejection, Request};
use fogline_core::id::{IdSource, NodeId, ReplicaId};
use fogline_core::settings::Settings;
use fogline_core::time::Timestamp;

use crate::bug::Bug;
use crate::store::{CommitError, Disk, Store};

/// The cluster that everything here belongs to.
pub const CLUSTER_ID: &str = "simulated";

/// Whom an answer is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    Person { number: usize, request: u64 },
    Hello { agent: usize, connection: u64 },
    Observation { agent: usize, connection: u64, number: u64 },
    Heartbeat,
}

/// What a server says, and to whom.
#[derive(Clone, Debug)]
pub enum Said {
    Answer {
        person: usize,
        request: u64,
        result: Result<Outcome, Refusal>,
    },
    Welcome {
        agent: usize,
        connection: u64,
        authority: Authority,
        node_ids: BTreeMap<String, NodeId>,
    },
    Assignment {
        agent: usize,
        connection: u64,
        authority: Authority,
        node: NodeId,
        assignment: Assignment,
    },
    Acknowledge {
        agent: usize,
        connection: u64,
        number: u64,
    },
    /// The connection is closed.
    Closed {
        agent: usize,
        connection: u64,
    },
}

/// Why a person was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nothing was changed.
    Rejected(Rejection),
    /// Nothing was changed: the disk is full.
    Full,
    /// Nobody knows whether it was done.
    Unknown,
}

struct Attached {
    connection: u64,
    nodes: Vec<NodeId>,
}

/// A batch that was decided, and is not durable yet.
pub struct Batch {
    changes: Changes,
    answers: Vec<(Caller, Request, Result<Outcome, Rejection>)>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A server that runs.
pub struct Server {
    cluster: Cluster,
    epoch: u64,
    holder: u64,
    revision: u64,
    waiting: Vec<(Caller, Request)>,
    attached: BTreeMap<usize, Attached>,
    /// Seen running without a place in the cluster: their rows are to be looked at.
    unlisted: Vec<(NodeId, ReplicaId)>,
    bug: Option<Bug>,
    /// When it last looked, so that it notices if it was away itself.
    looked_at: Timestamp,
}

/// A pause after which a server takes itself, and not the nodes, for the one that was away.
const AWAY_US: u64 = 5_000_000;

impl Server {
    /// Takes over and loads, as after a start.
    pub fn start(store: &mut Store, holder: u64, now: Timestamp, bug: Option<Bug>) -> Self {
        let epoch = store.take_over(holder);
        let cluster = Cluster::load(store.load(), Settings::default(), IdSource::new(holder), now)
            .expect("the rows of a store that only this program has written do not contradict each other");
        Self {
            cluster,
            epoch,
            holder,
            revision: 0,
            waiting: Vec::new(),
            attached: BTreeMap::new(),
            unlisted: Vec::new(),
            bug,
            looked_at: now,
        }
    }

    /// The cluster it decides by.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A request arrives.
    pub fn receive(&mut self, caller: Caller, request: Request) {
        self.waiting.push((caller, request));
    }

    /// How much is waiting.
    #[must_use]
    pub const fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Decides on everything that waits.
    pub fn decide(&mut self, now: Timestamp) -> Batch {
        if now.since(self.looked_at).as_micros() > u128::from(AWAY_US) {
            self.cluster.forgive(now);
        }
        self.looked_at = now;
        let mut changes = Changes::default();
        self.cluster.tick(now, &mut changes);
        let mut answers = Vec::new();
        for (caller, request) in std::mem::take(&mut self.waiting) {
            let result = self.cluster.apply(&request, now, &mut changes);
            answers.push((caller, request, result));
        }
        self.cluster.settle(now, &mut changes, &mut || true);
        Batch { changes, answers }
    }

    /// What is said too early, where that is the bug.
    pub fn blurt(&self, batch: &Batch) -> Vec<Said> {
        if self.bug != Some(Bug::AnswersBeforeTheCommit) {
            return Vec::new();
        }
        batch.answers.iter().filter_map(answer_to_person).collect()
    }

    /// Commits a batch and says what is to be said then. `Err`: the server is no more.
    pub fn commit(
        &mut self,
        batch: Batch,
        store: &mut Store,
        disk: Disk,
        lost: bool,
        now: Timestamp,
    ) -> Result<Vec<Said>, CommitError> {
        if batch.changes.is_empty() {
            return Ok(self.say(batch));
        }
        match store.commit(self.epoch, self.holder, &batch.changes, disk, lost) {
            Ok(revision) => {
                self.revision = revision;
                self.cluster.committed(&batch.changes);
                Ok(self.say(batch))
            }
            Err(CommitError::Full) => {
                if self.bug != Some(Bug::KeepsWhatWasNotCommitted) {
                    self.cluster.revert(&batch.changes);
                }
                Ok(self.refuse(batch, &Refusal::Full))
            }
            Err(CommitError::Unknown) => {
                self.cluster = Cluster::load(
                    store.load(),
                    Settings::default(),
                    IdSource::new(self.holder ^ now.as_micros() as u64),
                    now,
                )
                .expect("the rows do not contradict each other");
                Ok(self.refuse(batch, &Refusal::Unknown))
            }
            Err(gone @ (CommitError::Fenced | CommitError::Broken)) => Err(gone),
        }
    }

    fn say(&mut self, batch: Batch) -> Vec<Said> {
        let mut said = Vec::new();
        let mut fresh = Vec::new();
        for answer in batch.answers {
            said.extend(answer_to_person(&answer));
            match (answer.0, answer.1.command, answer.2) {
                (
                    Caller::Hello { agent, connection },
                    Command::DeclareNodes { nodes },
                    Ok(Outcome::NodesDeclared { node_ids }),
                ) => {
                    let names = nodes.into_iter().map(|node| node.name);
                    let authority = self.authority();
                    let by_name = names.zip(node_ids.iter().copied()).collect();
                    said.push(Said::Welcome { agent, connection, authority, node_ids: by_name });
                    fresh.extend(node_ids.iter().copied());
                    self.attached.insert(agent, Attached { connection, nodes: node_ids });
                }
                (Caller::Observation { agent, connection, number }, command, Ok(outcome)) => {
                    said.push(Said::Acknowledge { agent, connection, number });
                    if let (Command::Observe { node_id, .. }, Outcome::Observed { unlisted }) = (command, outcome) {
                        self.unlisted.extend(unlisted.into_iter().map(|replica| (node_id, replica)));
                    }
                }
                _ => {}
            }
        }
        let touched = batch.changes.replicas.iter().flat_map(|(_, edit)| {
            [&edit.before, &edit.after].into_iter().flatten().filter_map(|replica| replica.node_id)
        });
        let released = batch.changes.released.iter().copied();
        let touched: std::collections::BTreeSet<NodeId> = touched.chain(released).chain(fresh).collect();
        for node in touched {
            said.extend(self.assignment_of(node));
        }
        said
    }

    /// Looks at the rows of replicas that run without a place. One that has ended by its row was told to stop before.
    pub fn look_up_unlisted(&mut self, store: &Store) {
        for (node_id, replica_id) in std::mem::take(&mut self.unlisted) {
            let Some(row) = store.replica(replica_id).filter(|row| row.status.is_terminal()) else { continue };
            let (deployment_id, revision) = (row.deployment_id, row.revision);
            let command = Command::StopUnlisted { node_id, replica_id, deployment_id, revision };
            self.waiting.push((Caller::Heartbeat, Request::system(command)));
        }
    }

    /// Every list again, as a real server does from time to time: whatever was lost on the way is mended by that.
    #[must_use]
    pub fn repeat(&self) -> Vec<Said> {
        let nodes = self.attached.values().flat_map(|attached| &attached.nodes);
        nodes.filter_map(|node| self.assignment_of(*node)).collect()
    }

    fn assignment_of(&self, node: NodeId) -> Option<Said> {
        let (agent, attached) = self.attached.iter().find(|(_, attached)| attached.nodes.contains(&node))?;
        Some(Said::Assignment {
            agent: *agent,
            connection: attached.connection,
            authority: self.authority(),
            node,
            assignment: self.cluster.assignment(node),
        })
    }

    fn refuse(&mut self, batch: Batch, refusal: &Refusal) -> Vec<Said> {
        let mut said = Vec::new();
        for (caller, _, result) in batch.answers {
            match caller {
                Caller::Person { number: person, request } => {
                    let result = Err(result.err().map_or_else(|| refusal.clone(), Refusal::Rejected));
                    said.push(Said::Answer { person, request, result });
                }
                // Not acknowledged: it will be told again. A hello gets a closed door and knocks again.
                Caller::Hello { agent, connection } => said.push(Said::Closed { agent, connection }),
                Caller::Observation { .. } | Caller::Heartbeat => {}
            }
        }
        said
    }

    /// An agent's connection is gone.
    pub fn detach(&mut self, agent: usize, connection: u64) {
        if self.attached.get(&agent).is_some_and(|attached| attached.connection == connection) {
            self.attached.remove(&agent);
        }
    }

    fn authority(&self) -> Authority {
        Authority {
            cluster_id: CLUSTER_ID.to_owned(),
            epoch: self.epoch,
            holder: format!("{:016x}", self.holder),
            generation: self.revision,
        }
    }
}

fn answer_to_person((caller, _, result): &(Caller, Request, Result<Outcome, Rejection>)) -> Option<Said> {
    let Caller::Person { number, request } = caller else { return None };
    let result = result.clone().map_err(Refusal::Rejected);
    Some(Said::Answer { person: *number, request: *request, result })
}
