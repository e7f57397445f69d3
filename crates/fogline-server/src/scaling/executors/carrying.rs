//! The tasks that carry pending decisions out: one a decision, until it has ended.
//!
//! Level-triggered: told what is pending, it starts what is not under way, and forgets what has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fogline_core::command::{Actor, Command, Request};
use fogline_core::id::{DecisionId, UserId};
use fogline_core::record::{DecisionRecord, ScalingTarget};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::super::figures::Figures;
use super::super::look::Pending;
use super::Executor;
use super::webhook::{Accepted, Webhook};
use crate::clock::Clock;
use crate::leadership::Mandate;
use crate::writer::{Desk, WriteError};

/// Calls that may be open at once.
const MOST_OPEN: usize = 64;
/// And to the callbacks of one user: whoever does not answer keeps nobody else waiting.
const MOST_OPEN_OF_ONE: usize = 4;
/// How long somebody who has taken a change on may leave it open.
const COMPLETION: Duration = Duration::from_secs(15 * 60);
/// Between two tries to commit that a decision has ended.
const AGAIN: Duration = Duration::from_millis(500);

/// All of them.
#[derive(Debug)]
pub(in super::super) struct Carrying {
    office: Arc<Office>,
    tasks: HashMap<DecisionId, AbortOnDropHandle<()>>,
}

/// What every task works with.
#[derive(Debug)]
struct Office {
    desk: Desk,
    mandate: Arc<Mandate>,
    clock: Clock,
    figures: Arc<Figures>,
    webhook: Webhook,
    open: Semaphore,
    open_of: Mutex<HashMap<UserId, Weak<Semaphore>>>,
}

impl Carrying {
    pub(in super::super) fn new(
        desk: Desk,
        mandate: Arc<Mandate>,
        clock: Clock,
        figures: Arc<Figures>,
        webhook: Webhook,
    ) -> Self {
        let open = Semaphore::new(MOST_OPEN);
        let office = Office { desk, mandate, clock, figures, webhook, open, open_of: Mutex::default() };
        Self { office: Arc::new(office), tasks: HashMap::new() }
    }

    /// These, and no others, are pending now.
    pub(in super::super) fn follow(&mut self, pending: Vec<Pending>) {
        let mut before = std::mem::take(&mut self.tasks);
        for Pending { record, generation, callback_url } in pending {
            let id = record.id;
            let task = before.remove(&id).unwrap_or_else(|| {
                let executor = Executor::of(&record.target, callback_url.as_deref());
                AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.office).carry_out(record, generation, executor)))
            });
            self.tasks.insert(id, task);
        }
    }
}

impl Office {
    async fn carry_out(self: Arc<Self>, record: DecisionRecord, generation: u64, executor: Executor) {
        let failed = |reason: String| Err(reason);
        let result = match &executor {
            // The commit of the decision was the deed: nothing of the kind is ever pending.
            Executor::Deployment => Ok(Accepted::Done),
            // A person has asked for it, and somebody outside will say how it ended.
            Executor::None { .. } if record.decision.trigger.is_a_persons() => Ok(Accepted::Later),
            Executor::None { target_type } => failed(format!("no executor for target type {target_type}")),
            Executor::Webhook { url } => {
                let open_of = self.open_of(&record.target);
                let _open_of = match &open_of {
                    Some(places) => Some(places.acquire().await.expect("it is never closed")),
                    None => None,
                };
                let _open = self.open.acquire().await.expect("it is never closed");
                self.webhook
                    .post(url, &record, generation, || self.mandate.holds())
                    .await
                    .map_err(|error| error.to_string())
            }
        };
        match result {
            Ok(Accepted::Done) => self.complete(record.id, None).await,
            Ok(Accepted::Later) => {
                let waited = self.clock.now().since(record.decision.at);
                tokio::time::sleep(COMPLETION.saturating_sub(waited)).await;
                let error = format!("not completed within {} min", COMPLETION.as_secs() / 60);
                self.fail(&executor, record.id, error).await;
            }
            Err(error) => self.fail(&executor, record.id, error).await,
        }
    }

    /// The places of a target's owner.
    fn open_of(&self, target: &ScalingTarget) -> Option<Arc<Semaphore>> {
        let ScalingTarget::Outside { owner, .. } = target else { return None };
        let mut open_of = self.open_of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = open_of.get(owner).and_then(Weak::upgrade) {
            return Some(places);
        }
        open_of.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(MOST_OPEN_OF_ONE));
        open_of.insert(*owner, Arc::downgrade(&places));
        Some(places)
    }

    async fn fail(&self, executor: &Executor, id: DecisionId, error: String) {
        self.figures.executor_failed(executor.name());
        tracing::warn!(decision = %id, executor = executor.name(), error, "a scaling decision was not carried out");
        self.complete(id, Some(error)).await;
    }

    /// Commits how it ended, however long that takes: or it would be carried out again for nothing.
    async fn complete(&self, decision_id: DecisionId, error: Option<String>) {
        while self.mandate.holds() {
            let command = Command::CompleteDecision { decision_id, error: error.clone() };
            let request = Request { actor: Actor::System, command, idempotency: None, remote: None };
            match self.desk.submit(request).await {
                // Refused: somebody else has said how it ended.
                Ok(_) | Err(WriteError::Rejected(_) | WriteError::Stopping | WriteError::NotLeader { .. }) => return,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
