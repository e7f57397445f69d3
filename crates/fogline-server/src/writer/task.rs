//! The writer's loop: what waits is decided ([`batch`](super::batch)), committed, answered, published, in this order.
//!
//! Must never answer or publish before the commit has. What becomes of a failed commit is in [`Self::failed`]
//! and nowhere else. Tests: `tests/it/writer.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::cluster::{Durable, LoadError};
use fogline_core::id::IdSource;
use fogline_core::settings::Settings;
use fogline_core::time::Timestamp;
use fogline_store::{CommitError, Lease, Store, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{self, Answered, Batch, MAX_COMMANDS, Verdict};
use super::publish::Publisher;
use super::{Committed, Read, Status, VIEW_QUEUE, Waiting, WriteError, Writer, narrate};
use crate::auth::random_bytes;
use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// Longest time without a look around, though nobody wants anything: heartbeats are taken in at least this often.
const IDLE: Duration = Duration::from_secs(1);

/// A pause between two looks that proves that this program was away (stopped, starved, waiting for its disk), so that
/// the silence of nodes was its own.
const AWAY: Duration = Duration::from_secs(5);

/// How long reads may keep the writer from its next batch, but for one that is slower by itself.
const READ_LIMIT: Duration = Duration::from_millis(5);

/// How long a write that nobody waits for is put off after one that found the disk full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// How often in a row the database may refuse what the writer itself wants before it gives up.
const MAX_CONTRADICTIONS: u32 = 3;

/// Why the writer has ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(
        "another server has taken over the database: this one has stepped down. Nothing that it acknowledged is lost"
    )]
    NotLeader,
    #[error(
        "the database's disk failed: {0}. Nothing that was acknowledged is lost, but nothing more can be saved: check the \
         disk, then start again"
    )]
    Disk(String),
    #[error("the database could not be loaded again after an error: {0}")]
    Store(#[from] StoreError),
    #[error("the database contradicts itself: {0}. Restore a backup, and please report this")]
    Load(#[from] LoadError),
    #[error("the database refuses what must be written: {0}. Please report this")]
    Contradiction(String),
}

/// Everything the loop holds. There is one for each server.
pub(crate) struct WriterTask {
    store: Store,
    lease: Lease,
    settings: Settings,
    clock: Clock,
    cluster: Cluster,
    commands: mpsc::Receiver<Waiting>,
    reads: mpsc::Receiver<Read>,
    /// Taken from the queue, not looked at yet.
    backlog: VecDeque<Waiting>,
    status: Arc<Status>,
    publisher: Publisher,
    telemetry: Telemetry,
    /// Whether planning was cut short, so that the next batch must not wait for anything.
    unsettled: bool,
    last_turn: Timestamp,
    /// Until when only a command makes the writer try again to write.
    paused_until: Option<Timestamp>,
    contradictions: u32,
}

/// Loads the cluster as its rows say it is.
pub(crate) async fn load(store: &Store, settings: &Settings, clock: &Clock) -> Result<Cluster, Stopped> {
    let durable = store.load().await?;
    // No row may be newer than what is decided next: see there.
    clock.start_no_earlier_than(newest(&durable));
    let ids = IdSource::new(u64::from_ne_bytes(random_bytes()));
    Ok(Cluster::load(durable, settings.clone(), ids, clock.now())?)
}

/// The newest time in the rows.
fn newest(durable: &Durable) -> Timestamp {
    let nodes = durable.nodes.iter().map(|node| node.updated_at);
    let deployments = durable.deployments.iter().map(|deployment| deployment.updated_at);
    let replicas = durable.replicas.iter().map(|replica| replica.updated_at);
    nodes.chain(deployments).chain(replicas).max().unwrap_or(Timestamp::EPOCH)
}

impl WriterTask {
    /// A writer over a cluster that was just loaded under `lease`, and the handle to it.
    pub(crate) fn new(
        store: Store,
        lease: Lease,
        cluster: Cluster,
        clock: Clock,
        queue: usize,
        mut publisher: Publisher,
        telemetry: Telemetry,
    ) -> (Writer, Self) {
        let (send_command, commands) = mpsc::channel(queue.max(1));
        let (send_read, reads) = mpsc::channel(VIEW_QUEUE);
        let status = Arc::new(Status::default());
        status.revision.store(lease.revision, Ordering::SeqCst);
        publisher.loaded(&cluster, lease.revision);
        let writer = Writer { commands: send_command, reads: send_read, status: Arc::clone(&status) };
        let task = Self {
            store,
            lease,
            settings: cluster.settings().clone(),
            last_turn: clock.now(),
            clock,
            cluster,
            commands,
            reads,
            backlog: VecDeque::new(),
            status,
            publisher,
            telemetry,
            unsettled: true,
            paused_until: None,
            contradictions: 0,
        };
        (writer, task)
    }

    /// Runs until `stop`, and then until everything that waits by then is done.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Stopped> {
        while self.collect(&stop).await {
            let result = self.turn().await;
            if let Err(stopped) = result {
                self.refuse_all(&stopped);
                return Err(stopped);
            }
        }
        Ok(())
    }

    /// Waits until there is something to do and takes it from the queues; false when everything is done for ever.
    async fn collect(&mut self, stop: &CancellationToken) -> bool {
        let mut stopping = stop.is_cancelled();
        let idle = self.backlog.is_empty() && !(self.unsettled && self.may_try(self.clock.now()));
        let mut first_read = None;
        if idle && !stopping {
            let wait = self.wait();
            tokio::select! {
                () = stop.cancelled() => stopping = true,
                read = self.reads.recv() => first_read = read,
                command = self.commands.recv() => match command {
                    Some(waiting) => self.backlog.push_back(waiting),
                    None => stopping = true,
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
        if stopping {
            self.commands.close();
            self.reads.close();
        }
        let began = self.clock.now();
        while let Some(read) = first_read.take().or_else(|| self.reads.try_recv().ok()) {
            let now = self.clock.now();
            read(&self.cluster, now);
            // Readers may ask again as soon as they are answered: commands and heartbeats must not wait for their end.
            if self.clock.now().since(began) >= READ_LIMIT {
                break;
            }
        }
        while self.backlog.len() < MAX_COMMANDS
            && let Ok(waiting) = self.commands.try_recv()
        {
            self.backlog.push_back(waiting);
        }
        !stopping || !self.backlog.is_empty() || !self.reads.is_empty()
    }

    /// How long nothing needs to be done unless somebody comes.
    fn wait(&self) -> Duration {
        let now = self.clock.now();
        let due = self.cluster.next_wake().map_or(IDLE, |wake| wake.since(now)).min(IDLE);
        let paused = self.paused_until.map_or(Duration::ZERO, |until| until.since(now));
        due.max(paused)
    }

    fn may_try(&self, now: Timestamp) -> bool {
        self.paused_until.is_none_or(|until| until <= now)
    }

    /// One batch.
    async fn turn(&mut self) -> Result<(), Stopped> {
        let now = self.clock.now();
        if now.since(self.last_turn) > AWAY {
            let away_s = now.since(self.last_turn).as_secs();
            tracing::warn!(away_s, "this server was away itself: every node counts as seen now");
            self.cluster.forgive(now);
        }
        self.last_turn = now;
        if self.backlog.is_empty() && !self.may_try(now) {
            return Ok(());
        }
        let mut waiting: Vec<Waiting> = std::mem::take(&mut self.backlog).into();
        let answered = self.answered(&mut waiting).await;
        self.turn_over(waiting, &answered).await
    }

    /// Decides and commits what time allows of `waiting`; the rest goes back to the backlog.
    async fn turn_over(&mut self, mut waiting: Vec<Waiting>, answered: &Answered) -> Result<(), Stopped> {
        let batch = self.decide(&waiting, answered);
        let rest = waiting.split_off(batch.verdicts.len());
        for late in rest.into_iter().rev() {
            self.backlog.push_front(late);
        }
        #[expect(clippy::cast_precision_loss, reason = "queues are short")]
        self.telemetry.writer().queue.set((self.backlog.len() + self.commands.len()) as f64);
        let Some(refusal) = self.land(batch, &mut waiting).await? else { return Ok(()) };

        // Some row of the batch contradicts another. Each alone: all but the culprit get through.
        tracing::error!(
            refusal,
            commands = waiting.len(),
            "the database refused a batch: its commands are tried one by one"
        );
        let own = self.decide(&[], answered);
        if let Some(refusal) = self.land(own, &mut Vec::new()).await? {
            self.contradicted(refusal).await?;
        }
        for alone in waiting {
            let mut alone = vec![alone];
            // Its key may have been answered a moment ago.
            let answered = self.answered(&mut alone).await;
            let batch = self.decide(&alone, &answered);
            if let Some(refusal) = self.land(batch, &mut alone).await? {
                answer_all(alone, &WriteError::Contradiction(refusal));
            }
        }
        Ok(())
    }

    fn decide(&mut self, waiting: &[Waiting], answered: &Answered) -> Batch {
        let heartbeats = self.status.heartbeats.take();
        let now = self.clock.now();
        let clock = self.clock.clone();
        let requests = waiting.iter().map(|waiting| &waiting.request);
        let mut elapsed = || clock.now().since(now);
        let batch = batch::decide(&mut self.cluster, &heartbeats, requests, answered, now, &mut elapsed);
        self.unsettled = !batch.settled;
        let series = self.telemetry.writer();
        series.deciding_seconds.record(elapsed().as_secs_f64());
        if !batch.verdicts.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "at most MAX_COMMANDS")]
            series.batch_commands.record(batch.verdicts.len() as f64);
        }
        batch
    }

    /// Commits a batch and answers for it. Where the database refuses its rows, says why and leaves `waiting` as it was,
    /// with everything taken back.
    async fn land(&mut self, batch: Batch, waiting: &mut Vec<Waiting>) -> Result<Option<String>, Stopped> {
        let revision = if batch.changes.is_empty() {
            self.status.revision.load(Ordering::SeqCst)
        } else {
            let began = self.clock.now();
            let result = self.store.commit(&self.lease, &batch.changes).await;
            let series = self.telemetry.writer();
            series.commit_seconds.record(self.clock.now().since(began).as_secs_f64());
            match result {
                Ok(revision) => {
                    series.commits.increment(1);
                    #[expect(clippy::cast_precision_loss, reason = "2^52 commits take thousands of years")]
                    series.revision.set(revision as f64);
                    self.landed(revision);
                    revision
                }
                Err(error) => {
                    series.commit_failures.increment(1);
                    return self.failed(error, &batch, waiting).await;
                }
            }
        };
        narrate::batch(&self.cluster, waiting.iter().map(|waiting| &waiting.request), &batch);
        self.cluster.committed(&batch.changes);
        for (waiting, verdict) in waiting.drain(..).zip(batch.verdicts) {
            let answer = match verdict {
                Verdict::Accepted(outcome) => Ok(Committed { outcome, revision, replayed: false }),
                Verdict::Repeated(outcome) | Verdict::Replayed(outcome) => {
                    Ok(Committed { outcome, revision, replayed: true })
                }
                Verdict::Rejected(rejection) => {
                    self.telemetry.rejected(rejection.slug());
                    Err(WriteError::Rejected(rejection))
                }
            };
            // Whoever asked may have gone; it is done all the same.
            let _ = waiting.reply.send(answer);
        }
        if !batch.changes.is_empty() {
            self.publisher.committed(&self.cluster, &batch.changes, revision);
        }
        Ok(None)
    }

    fn landed(&mut self, revision: u64) {
        self.status.revision.store(revision, Ordering::SeqCst);
        if self.status.full.swap(false, Ordering::SeqCst) {
            tracing::info!("the disk has room again: changes are taken again");
        }
        self.paused_until = None;
        self.contradictions = 0;
    }

    /// What a failed commit means.
    async fn failed(
        &mut self,
        error: CommitError,
        batch: &Batch,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Option<String>, Stopped> {
        match error {
            CommitError::Constraint { detail } => {
                self.cluster.revert(&batch.changes);
                Ok(Some(detail))
            }
            CommitError::Full => {
                self.cluster.revert(&batch.changes);
                self.unsettled = true;
                self.paused_until = Some(self.clock.now().plus(FULL_PAUSE));
                if !self.status.full.swap(true, Ordering::SeqCst) {
                    tracing::error!("the disk that holds the database is full: changes are refused until it has room");
                }
                answer_all(std::mem::take(waiting), &WriteError::StorageFull);
                Ok(None)
            }
            CommitError::Unknown { detail } => {
                tracing::error!(detail, "whether a batch was saved is not known: the cluster is loaded again");
                answer_all(std::mem::take(waiting), &WriteError::OutcomeUnknown);
                self.reload().await?;
                Ok(None)
            }
            CommitError::Io { detail } => {
                // It may or may not be on the disk; only the next start can tell.
                answer_all(std::mem::take(waiting), &WriteError::OutcomeUnknown);
                Err(Stopped::Disk(detail))
            }
            CommitError::Fenced => {
                answer_all(std::mem::take(waiting), &WriteError::NotLeader { leader: None });
                Err(Stopped::NotLeader)
            }
        }
    }

    /// The database refuses what no command asked for. Memory may have lost touch with the rows, so they are read again.
    async fn contradicted(&mut self, refusal: String) -> Result<(), Stopped> {
        self.contradictions += 1;
        if self.contradictions >= MAX_CONTRADICTIONS {
            return Err(Stopped::Contradiction(refusal));
        }
        tracing::error!(refusal, "the database refused what nobody asked for: the cluster is loaded again");
        self.reload().await
    }

    async fn reload(&mut self) -> Result<(), Stopped> {
        let mut cluster = load(&self.store, &self.settings, &self.clock).await?;
        cluster.keep_observed(&self.cluster);
        self.cluster = cluster;
        self.unsettled = true;
        self.publisher.loaded(&self.cluster, self.status.revision.load(Ordering::SeqCst));
        Ok(())
    }

    /// Finds the answers that were given before. Where that cannot be found out, the commands that need it are refused.
    async fn answered(&self, waiting: &mut Vec<Waiting>) -> Answered {
        let keys: Vec<_> = waiting.iter().filter_map(|waiting| batch::key_of(&waiting.request)).collect();
        if keys.is_empty() {
            return Answered::new();
        }
        match self.store.answered(&keys).await {
            Ok(records) => records.into_iter().map(|record| ((record.user_id, record.key.clone()), record)).collect(),
            Err(error) => {
                tracing::error!(%error, "cannot look up idempotency keys: the requests that carry one are refused");
                let (keyed, others) = std::mem::take(waiting)
                    .into_iter()
                    .partition(|waiting: &Waiting| batch::key_of(&waiting.request).is_some());
                *waiting = others;
                answer_all(keyed, &WriteError::Busy);
                Answered::new()
            }
        }
    }

    /// The end: whoever still waits is told why.
    fn refuse_all(&mut self, stopped: &Stopped) {
        self.commands.close();
        let error = match stopped {
            Stopped::NotLeader => WriteError::NotLeader { leader: None },
            _ => WriteError::Stopping,
        };
        let mut left: Vec<Waiting> = std::mem::take(&mut self.backlog).into();
        while let Ok(waiting) = self.commands.try_recv() {
            left.push(waiting);
        }
        answer_all(left, &error);
    }
}

fn answer_all(waiting: Vec<Waiting>, error: &WriteError) {
    for waiting in waiting {
        // Whoever asked may have gone.
        let _ = waiting.reply.send(Err(error.clone()));
    }
}
