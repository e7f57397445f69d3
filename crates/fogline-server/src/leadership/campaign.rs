//! The loop that wants to lead, leads, and steps down, for as long as the process lives.
//!
//! Looks at who leads; takes over when nobody does; runs the term; begins anew when it is over. Must never decide by the
//! calendar whether another's lease is over: the database says so. Invariant: at most one term at a time, and the one
//! before is taken apart before the next begins. Tests: `tests/it/leadership`.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::settings::Settings;
use fogline_store::{Candidate, Incumbent, Store, StoreError, TakeOver};
use secrecy::SecretString;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::tenure::Tenure;
use super::{Leader, Leadership, Role, Witness};
use crate::auth::{hex, random_bytes};
use crate::clock::Clock;
use crate::scaling::ScalingStanding;
use crate::serve::ServeError;
use crate::telemetry::Telemetry;
use crate::writer::Stopped;

/// The longest time between two looks at who leads.
const LOOK: Duration = Duration::from_secs(1);

/// What stands whoever leads, and every term is built on.
pub(crate) struct Standing {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) leadership: Leadership,
    pub(crate) witness: Arc<Witness>,
    pub(crate) settings: Settings,
    pub(crate) writer_queue: usize,
    pub(crate) admin_password: Option<SecretString>,
    pub(crate) scaling: ScalingStanding,
}

/// One server's wish to lead.
pub(crate) struct Campaign {
    standing: Arc<Standing>,
    /// How long the right holds without a renewal.
    lease: Duration,
    /// Where others reach this server: people's programs by way of other servers, and agents.
    addresses: (String, String),
    /// Whether other servers may be there: then losing is no end.
    shared: bool,
    tenure: Option<Tenure>,
    /// Until when the leader that was last seen may be taken for one, by the time since boot.
    leader_until: Duration,
    /// The nonce of the last attempt to lead.
    holder: String,
    away: bool,
}

impl Campaign {
    /// Wins at once, or finds who leads. Gives the first administrator's password back where it was made up.
    ///
    /// # Errors
    /// When the term cannot begin, and a later one could not either.
    pub(crate) async fn open(
        standing: Arc<Standing>,
        lease: Duration,
        addresses: (String, String),
        shared: bool,
    ) -> Result<(Self, Option<SecretString>), ServeError> {
        let mut campaign = Self {
            standing,
            lease,
            addresses,
            shared,
            tenure: None,
            leader_until: Duration::ZERO,
            holder: String::new(),
            away: false,
        };
        let mut generated = None;
        match campaign.look().await {
            Ok(None) => {}
            Err(stopped) if campaign.goes_on(&stopped) => campaign.stand_back(&stopped),
            Err(stopped) => return Err(stopped.into()),
            Ok(Some(mut tenure)) => {
                let made = tenure.administrator(campaign.standing.admin_password.as_ref()).await;
                match made {
                    Ok(password) => generated = password,
                    Err(error) => {
                        // The writer's own end says more than that it refused.
                        let ended = timeout(LOOK, tenure.over()).await;
                        return Err(ended.map_or_else(|_| ServeError::Administrator(error.to_string()), Into::into));
                    }
                }
                campaign.lead(tenure);
            }
        }
        Ok((campaign, generated))
    }

    /// Goes on until `stop`; then finishes what was accepted.
    ///
    /// # Errors
    /// When this server can neither lead nor stand by any more.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), ServeError> {
        let result = self.until(&stop).await;
        self.standing.leadership.set(Role::Stopping);
        let ended = match self.tenure.take() {
            Some(tenure) => tenure.end(&self.standing).await,
            None => Ok(()),
        };
        self.standing.telemetry.leads(None);
        result?;
        // Whoever takes over in the last moment takes nothing away that was acknowledged.
        match ended {
            Err(stopped) if !self.goes_on(&stopped) => Err(stopped.into()),
            _ => Ok(()),
        }
    }

    async fn until(&mut self, stop: &CancellationToken) -> Result<(), ServeError> {
        loop {
            let stopped = match &mut self.tenure {
                Some(tenure) => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    stopped = tenure.over() => Some(stopped),
                },
                None => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    looked = self.next_look() => looked.err(),
                },
            };
            let Some(stopped) = stopped else { continue };
            let went_on = self.goes_on(&stopped);
            if went_on {
                self.stand_back(&stopped);
            }
            if let Some(tenure) = self.tenure.take() {
                // It has ended: there is nothing more to hear from it.
                let _ = tenure.end(&self.standing).await;
            }
            if !went_on {
                return Err(stopped.into());
            }
        }
    }

    /// Whether another term, here or elsewhere, may do better.
    fn goes_on(&self, stopped: &Stopped) -> bool {
        self.shared && stopped.may_pass()
    }

    /// Waits until it may be worth it, and looks.
    async fn next_look(&mut self) -> Result<(), Stopped> {
        let left = self.leader_until.saturating_sub(self.standing.clock.since_boot());
        let pause = LOOK.min(self.lease / 6);
        // A little later than the end that the database named, so that one look is enough.
        let due = if left.is_zero() { pause } else { pause.min(left + Duration::from_millis(5)) };
        sleep(due).await;
        let Some(tenure) = self.look().await? else { return Ok(()) };
        if let Err(error) = tenure.given_administrator(self.standing.admin_password.as_ref()).await {
            tracing::warn!(%error, "could not look whether there is an administrator");
        }
        self.lead(tenure);
        Ok(())
    }

    /// Takes over if nobody leads.
    async fn look(&mut self) -> Result<Option<Tenure>, Stopped> {
        let standing = Arc::clone(&self.standing);
        if self.shared
            && let Some(incumbent) = self.within_lease(standing.store.incumbent()).await?
        {
            standing.witness.saw(incumbent.epoch, incumbent.revision, &standing.telemetry);
            if !incumbent.expires_in.is_zero() {
                self.stand_by(&incumbent);
                return Ok(None);
            }
        }
        let (http_address, agent_address) = self.addresses.clone();
        self.holder = hex(&random_bytes::<16>());
        let candidate = Candidate {
            holder: self.holder.clone(),
            http_address,
            agent_address,
            lease: self.lease,
            known_epoch: standing.witness.epoch(),
        };
        let sent = standing.clock.since_boot();
        let lease = match self.within_lease(standing.store.take_over(&candidate)).await? {
            TakeOver::Won(lease) => lease,
            TakeOver::Held(incumbent) => {
                self.stand_by(&incumbent);
                return Ok(None);
            }
        };
        standing.witness.saw(lease.epoch, lease.revision, &standing.telemetry);
        self.back();
        tracing::info!(
            cluster = lease.cluster_id,
            epoch = lease.epoch,
            revision = lease.revision,
            "Leading the cluster"
        );
        Tenure::begin(&standing, lease, sent).await.map(Some)
    }

    /// An answer that comes later than a lease is long is of no use.
    async fn within_lease<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        timeout(self.lease, asked).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable { detail: format!("no answer within {} s", self.lease.as_secs_f32()) })
        })
    }

    fn lead(&mut self, tenure: Tenure) {
        self.standing.telemetry.leads(Some(tenure.term.mandate.epoch()));
        self.standing.leadership.set(Role::Leading(Arc::clone(&tenure.term)));
        self.tenure = Some(tenure);
    }

    /// Somebody leads.
    fn stand_by(&mut self, incumbent: &Incumbent) {
        self.back();
        self.leader_until = self.standing.clock.since_boot() + incumbent.expires_in;
        let leader = Leader {
            epoch: incumbent.epoch,
            http: incumbent.http_address.clone(),
            agents: incumbent.agent_address.clone(),
        };
        // This server's own lease of a term that it has given up leads nobody anywhere.
        if incumbent.holder == self.holder {
            self.standing.leadership.set(Role::Standby { leader: None });
            return;
        }
        if self.standing.leadership.leader().as_deref() != Some(&leader) {
            tracing::info!(epoch = leader.epoch, leader = leader.http, "Standing by: another server leads");
            if leader.http == self.addresses.0 {
                tracing::warn!(
                    address = leader.http,
                    "the leader says that it is reached at this server's own address: set `advertise` on each server to                      one that the others reach it at"
                );
            }
            self.standing.leadership.set(Role::Standby { leader: Some(Arc::new(leader)) });
        }
    }

    /// A term is over, or a look has failed.
    fn stand_back(&mut self, stopped: &Stopped) {
        match (&self.tenure, stopped) {
            (Some(tenure), _) => {
                let epoch = tenure.term.mandate.epoch();
                tracing::warn!(epoch, reason = %stopped, "This server has stepped down, and stands by");
            }
            (None, Stopped::Store(error)) if !self.away => {
                tracing::error!(%error, "the database does not answer: nothing is written until it does");
                self.away = true;
            }
            (None, _) => tracing::debug!(reason = %stopped, "the database was asked in vain who leads"),
        }
        // A leader whose lease is not over may well reach the database that this server does not.
        let leader = self.standing.leadership.leader();
        let known = leader.filter(|_| self.standing.clock.since_boot() < self.leader_until);
        self.standing.leadership.set(Role::Standby { leader: known });
        self.standing.telemetry.leads(None);
    }

    fn back(&mut self) {
        if std::mem::take(&mut self.away) {
            tracing::info!("the database answers again");
        }
    }
}
