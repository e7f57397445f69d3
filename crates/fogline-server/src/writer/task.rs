//! The writer's loop: what waits is decided ([`batch`](super::batch)), committed, answered, published, in this order.
//!
//! Must never answer or publish before the commit has. What becomes of a failed commit is in [`Self::failed`]
//! and nowhere else. Tests: `tests/it/writer.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::settings::Settings;
use fogline_core::time::Timestamp;
use fogline_store::{CommitError, Lease, Store, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{self, Answered, Batch, MAX_COMMANDS, Verdict};
use super::load::load_again;
use super::publish::Publisher;
use super::{Committed, Desk, Read, Status, Stopped, VIEW_QUEUE, Waiting, WriteError, narrate};
use crate::clock::Clock;
use crate::leadership::{Mandate, Witness, renewing};
use crate::telemetry::Telemetry;

/// Longest time without a look around, though nobody wants anything: heartbeats are taken in at least this often.
const IDLE: Duration = Duration::from_secs(1);

/// A pause between two looks that proves that this program was away (stopped, starved, waiting for its disk), so that
/// the silence of nodes was its own.
const AWAY: Duration = Duration::from_secs(5);

/// How long reads may keep the writer from its next batch, but for one that is slower by itself.
const READ_LIMIT: Duration = Duration::from_millis(5);

/// How long a write that nobody waits for is put off after one that found the disk full, or whose end is not known.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// How long a write that nobody waits for is put off after one that did not reach the database.
const AWAY_PAUSE: Duration = Duration::from_millis(250);

/// How often in a row the database may refuse what the writer itself wants before it gives up.
const MAX_CONTRADICTIONS: u32 = 3;

/// How many commits in a row may end in a way that is not known before the term is over.
const MAX_UNKNOWN: u32 = 5;

/// What a writer works with.
pub(crate) struct WriterParts {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) mandate: Arc<Mandate>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) publisher: Publisher,
}

/// Everything the loop holds. There is one for each term.
pub(crate) struct WriterTask {
    store: Store,
    lease: Lease,
    mandate: Arc<Mandate>,
    witness: Arc<Witness>,
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
    /// Commits since the last one that landed of which nobody knows whether they have.
    unknown: u32,
}

impl WriterTask {
    /// A writer over a cluster that was just loaded, the database being at `revision`, and the way to it.
    pub(crate) fn new(parts: WriterParts, cluster: Cluster, revision: u64, queue: usize) -> (Desk, Self) {
        let WriterParts { store, lease, mandate, witness, clock, telemetry, mut publisher } = parts;
        let (send_command, commands) = mpsc::channel(queue.max(1));
        let (send_read, reads) = mpsc::channel(VIEW_QUEUE);
        let status = Arc::new(Status::default());
        status.revision.store(revision, Ordering::SeqCst);
        publisher.loaded(&cluster, revision);
        let desk = Desk { commands: send_command, reads: send_read, status: Arc::clone(&status) };
        let task = Self {
            store,
            lease,
            mandate,
            witness,
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
            unknown: 0,
        };
        (desk, task)
    }

    /// Runs until `stop`, and then until everything that waits by then is done. It may be dropped at any moment: whoever
    /// waits then hears whether their change may land.
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
                () = self.status.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if stopping {
            self.commands.close();
            self.reads.close();
        }
        let began = self.clock.now();
        while let Some(read) = first_read.take().or_else(|| self.reads.try_recv().ok()) {
            // Somebody else may have changed what this server still remembers.
            if !self.mandate.holds() {
                break;
            }
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
        let due = self.mandate.renewal_in().map_or(due, |renewal| renewal.min(due));
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
        let mut told = self.status.heartbeats.take();
        told.extend(self.status.reports.take());
        let now = self.clock.now();
        let clock = self.clock.clone();
        let requests = waiting.iter().map(|waiting| &waiting.request);
        let mut elapsed = || clock.now().since(now);
        let batch = batch::decide(&mut self.cluster, &told, requests, answered, now, &mut elapsed);
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
        let renewal_due = self.mandate.renewal_in().is_some_and(|due| due.is_zero());
        let revision = if batch.changes.is_empty() && !renewal_due {
            // What is answered without a commit was decided by memory alone, which is right only while nobody else may
            // write. Asked here and not before: this process may have been away since.
            if !self.mandate.holds() {
                return Err(Stopped::LeaseOver);
            }
            self.status.revision.load(Ordering::SeqCst)
        } else {
            let began = self.clock.now();
            let sent = self.mandate.now();
            under_way(waiting, true);
            let result = self.store.commit(&self.lease, &batch.changes).await;
            let series = self.telemetry.writer();
            series.commit_seconds.record(self.clock.now().since(began).as_secs_f64());
            match result {
                Ok(revision) => {
                    series.commits.increment(1);
                    #[expect(clippy::cast_precision_loss, reason = "2^52 commits take thousands of years")]
                    series.revision.set(revision as f64);
                    self.landed(revision)?;
                    self.mandate.renewed(sent);
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
            waiting.reply.give(answer);
        }
        self.publisher.landed(&self.cluster, &batch.changes, revision);
        Ok(None)
    }

    /// What a commit that landed says of the database.
    fn landed(&mut self, revision: u64) -> Result<(), Stopped> {
        let acknowledged = self.status.revision.load(Ordering::SeqCst);
        // Each commit is one further than the one before, whoever made it. This one has landed in a copy that has not
        // heard of those before it, so neither it nor what it was decided from can be relied on.
        if revision <= acknowledged {
            let found = revision.saturating_sub(1);
            self.witness.saw(self.lease.epoch, found, &self.telemetry);
            return Err(Stopped::Regressed { acknowledged, found });
        }
        self.witness.saw(self.lease.epoch, revision, &self.telemetry);
        self.status.revision.store(revision, Ordering::SeqCst);
        if self.status.away.swap(false, Ordering::SeqCst) {
            tracing::info!("the database answers again: changes are taken again");
        }
        if self.status.full.swap(false, Ordering::SeqCst) {
            tracing::info!("the disk has room again: changes are taken again");
        }
        self.paused_until = None;
        self.contradictions = 0;
        self.unknown = 0;
        Ok(())
    }

    /// What a failed commit means.
    async fn failed(
        &mut self,
        error: CommitError,
        batch: &Batch,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Option<String>, Stopped> {
        let may_have_landed = matches!(error, CommitError::Unknown { .. } | CommitError::Io { .. });
        under_way(waiting, may_have_landed);
        match error {
            CommitError::Constraint { detail } => {
                self.cluster.revert(&batch.changes);
                Ok(Some(detail))
            }
            CommitError::Unavailable { detail } => {
                self.cluster.revert(&batch.changes);
                self.unsettled = true;
                self.paused_until = Some(self.clock.now().plus(AWAY_PAUSE));
                if !self.status.away.swap(true, Ordering::SeqCst) {
                    tracing::error!(detail, "the database cannot be reached: changes are refused until it can be");
                }
                answer_all(std::mem::take(waiting), &WriteError::DatabaseAway);
                Ok(None)
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
                self.unknown += 1;
                if self.unknown >= MAX_UNKNOWN {
                    return Err(Stopped::Unknown { writes: self.unknown, detail });
                }
                self.reload().await?;
                // What lasts must not make this go round without a rest.
                self.paused_until = Some(self.clock.now().plus(FULL_PAUSE));
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

    /// Reads everything again. While the database does not answer, it is asked until the mandate is over.
    async fn reload(&mut self) -> Result<(), Stopped> {
        let mut revision = self.status.revision.load(Ordering::SeqCst);
        let again = load_again(&self.store, &self.lease, &self.settings, &self.clock, self.mandate.is_leased());
        let (found, mut cluster) = renewing(&self.store, &self.lease, &self.mandate, &mut revision, again).await??;
        let acknowledged = self.status.revision.load(Ordering::SeqCst);
        self.witness.saw(self.lease.epoch, found, &self.telemetry);
        if found < acknowledged {
            return Err(Stopped::Regressed { acknowledged, found });
        }
        cluster.keep_observed(&self.cluster);
        self.cluster = cluster;
        self.unsettled = true;
        // A commit that was renewed in between counts, too.
        self.status.revision.store(found.max(revision), Ordering::SeqCst);
        self.publisher.loaded(&self.cluster, found.max(revision));
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
                let refusal = match error {
                    StoreError::Unavailable { .. } => WriteError::DatabaseAway,
                    _ => WriteError::Busy,
                };
                let (keyed, others) = std::mem::take(waiting)
                    .into_iter()
                    .partition(|waiting: &Waiting| batch::key_of(&waiting.request).is_some());
                *waiting = others;
                answer_all(keyed, &refusal);
                Answered::new()
            }
        }
    }

    /// The end: whoever still waits is told why.
    fn refuse_all(&mut self, stopped: &Stopped) {
        self.commands.close();
        let error = match stopped {
            Stopped::NotLeader | Stopped::LeaseOver | Stopped::Regressed { .. } => {
                WriteError::NotLeader { leader: None }
            }
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
        waiting.reply.give(Err(error.clone()));
    }
}

fn under_way(waiting: &mut [Waiting], may_land: bool) {
    for waiting in waiting {
        waiting.reply.under_way(may_land);
    }
}
