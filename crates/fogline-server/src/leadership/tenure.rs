//! One term from its beginning to its end: what has to be built for it, and taken apart again.
//!
//! Invariant: when [`Tenure::end`] has returned, or the value was dropped, no task of the term runs that could commit
//! anything; whoever still waited for an answer has one.

use std::sync::Arc;
use std::time::Duration;

use fogline_store::{CommitError, Lease};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::campaign::Standing;
use super::{Mandate, Term, renewing};
use crate::agents::Registry;
use crate::bootstrap::{self, AdministratorError};
use crate::events::Feed;
use crate::presence::Presence;
use crate::proxies::{Figures, Registry as Proxies};
use crate::scaling::{Alarm, Scaler, ScalerParts};
use crate::writer::{Publisher, PublisherParts, Stopped, WriterParts, WriterTask, load};

/// How often what is kept only for a while is let go of.
const PRUNE_INTERVAL: Duration = Duration::from_secs(300);

/// How long the database may take to be given the lease back.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// A term that runs.
pub(super) struct Tenure {
    pub(super) term: Arc<Term>,
    lease: Lease,
    stop: CancellationToken,
    writing: AbortOnDropHandle<Result<(), Stopped>>,
    chores: Vec<AbortOnDropHandle<()>>,
}

impl Tenure {
    /// Loads the cluster and starts its writer, under a lease that was asked for at `sent`.
    pub(super) async fn begin(standing: &Arc<Standing>, lease: Lease, sent: Duration) -> Result<Self, Stopped> {
        let mandate = Arc::new(Mandate::new(&lease, standing.clock.clone(), sent));
        let mut revision = lease.revision;
        let loading = load(&standing.store, &standing.settings, &standing.clock);
        let cluster = renewing(&standing.store, &lease, &mandate, &mut revision, loading).await??;
        let (registry, presence) = (Arc::new(Registry::default()), Presence::default());
        let (feed, alarm) = (Arc::new(Feed::default()), Arc::new(Alarm::default()));
        let proxies = Arc::new(Proxies::default());
        let traffic = Arc::new(Figures::new(standing.clock.clone(), Arc::clone(&alarm)));
        let publisher = Publisher::new(PublisherParts {
            registry: Arc::clone(&registry),
            presence: presence.clone(),
            telemetry: standing.telemetry.clone(),
            mandate: Arc::clone(&mandate),
            feed: Arc::clone(&feed),
            alarm: Arc::clone(&alarm),
            proxies: Arc::clone(&proxies),
            traffic: Arc::clone(&traffic),
        });
        let parts = WriterParts {
            store: standing.store.clone(),
            lease: lease.clone(),
            mandate: Arc::clone(&mandate),
            witness: Arc::clone(&standing.witness),
            clock: standing.clock.clone(),
            telemetry: standing.telemetry.clone(),
            publisher,
        };
        let (desk, task) = WriterTask::new(parts, cluster, revision, standing.writer_queue);
        let stop = CancellationToken::new();
        let writing = tokio::spawn(within(Arc::clone(&mandate), task.run(stop.clone())));
        let pruning = tokio::spawn(prune(Arc::clone(standing), lease.clone(), Arc::clone(&mandate)));
        let scaler = Scaler::begin(ScalerParts {
            standing: standing.scaling.clone(),
            clock: standing.clock.clone(),
            telemetry: standing.telemetry.clone(),
            mandate: Arc::clone(&mandate),
            desk: desk.clone(),
            alarm,
            traffic: Arc::clone(&traffic),
        });
        Ok(Self {
            term: Arc::new(Term { mandate, desk, registry, proxies, traffic, presence, feed, scaler }),
            lease,
            stop,
            writing: AbortOnDropHandle::new(writing),
            chores: vec![AbortOnDropHandle::new(pruning)],
        })
    }

    /// Makes the first administrator where there is no user. Gives the password back where one was made up.
    pub(super) async fn administrator(
        &self,
        given: Option<&SecretString>,
    ) -> Result<Option<SecretString>, AdministratorError> {
        bootstrap::ensure_administrator(&self.term.desk, given).await
    }

    /// The same, where nobody would see a password that was made up.
    pub(super) async fn given_administrator(&self, given: Option<&SecretString>) -> Result<(), AdministratorError> {
        let given = given.filter(|password| !password.expose_secret().is_empty());
        if given.is_some() {
            self.administrator(given).await?;
        } else if self.term.desk.view(|cluster, _| cluster.users().next().is_none()).await? {
            tracing::warn!(
                "there is no user, so nobody can log in: start a server with FOGLINE_ADMIN_PASSWORD set, and it makes the \
                 first one"
            );
        }
        Ok(())
    }

    /// Waits until the writer has ended by itself.
    pub(super) async fn over(&mut self) -> Stopped {
        match (&mut self.writing).await {
            Ok(Err(stopped)) => stopped,
            Ok(Ok(())) => Stopped::Broken("it ended though nobody asked it to".to_owned()),
            Err(failure) => Stopped::Broken(failure.to_string()),
        }
    }

    /// Takes it apart. When it has not ended by itself, what was accepted is committed first, and the lease is given back.
    pub(super) async fn end(mut self, standing: &Standing) -> Result<(), Stopped> {
        self.chores.clear();
        self.term.scaler.stop();
        let mut result = Ok(());
        if !self.writing.is_finished() {
            self.stop.cancel();
            result = match (&mut self.writing).await {
                Ok(ended) => ended,
                Err(failure) => Err(Stopped::Broken(failure.to_string())),
            };
        }
        self.term.mandate.end();
        if self.term.mandate.is_leased() {
            self.release(standing).await;
        }
        // Nobody waits for this any more: another server may lead by now.
        self.term.scaler.flush().await;
        result
    }

    /// So that nobody has to wait for its end. Where it is another's by now, nothing happens.
    async fn release(&self, standing: &Standing) {
        match timeout(RELEASE_WITHIN, standing.store.release(&self.lease)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the lease was not given back; it ends by itself"),
            Err(_) => tracing::debug!("the lease was not given back in time; it ends by itself"),
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.term.scaler.stop();
        self.term.mandate.end();
    }
}

/// Drops the writer when its right is over, whatever it waits for: a commit that hangs must not keep it in office.
async fn within(mandate: Arc<Mandate>, task: impl Future<Output = Result<(), Stopped>>) -> Result<(), Stopped> {
    tokio::select! {
        biased;
        () = mandate.over() => Err(Stopped::LeaseOver),
        ended = task => ended,
    }
}

async fn prune(standing: Arc<Standing>, lease: Lease, mandate: Arc<Mandate>) {
    let mut due = interval(PRUNE_INTERVAL);
    loop {
        due.tick().await;
        if !mandate.holds() {
            return;
        }
        match standing.store.prune(&lease, standing.clock.now()).await {
            Ok(pruned) => tracing::debug!(?pruned, "let go of what was kept for a while"),
            Err(CommitError::Fenced) => return,
            // Nothing is wrong with the cluster for that; the next time may do.
            Err(error) => tracing::warn!(%error, "cannot let go of what was kept for a while"),
        }
    }
}
