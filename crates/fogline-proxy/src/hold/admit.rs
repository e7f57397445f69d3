//! The one way to a replica, for requests and for connections: at once where a replica has a slot and nobody waits, else
//! in turn. Tests: `tests/it/front/holding.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::refusal::Refusal;
use crate::service::{Permit, Service, Ticket, View};

impl Service {
    /// Leave to send this request to a replica other than those `tried`. While it waits, so many `bytes` are kept for it.
    /// Dropping the future leaves the line.
    ///
    /// # Errors
    /// When it may not wait, or has waited too long: with why.
    pub async fn admit(
        self: &Arc<Self>,
        ticket: &mut Ticket,
        tried: &[u64],
        bytes: impl FnOnce() -> u64,
    ) -> Result<Permit, Refusal> {
        if let Some(permit) = self.admit_at_once(ticket.counted(), tried) {
            return Ok(permit);
        }
        let since_us = self.now_us();
        let verdict = self.wait_in_line(ticket, since_us, bytes()).await;
        ticket.waited(self.now_us().saturating_sub(since_us));
        if verdict.is_err() {
            ticket.refused();
        }
        verdict
    }

    /// Leave to send this request to another replica than those that have failed it. It has had its turn: it goes by those
    /// who wait.
    #[must_use]
    pub fn admit_another(self: &Arc<Self>, ticket: &Ticket, tried: &[u64]) -> Option<Permit> {
        self.take_permit(ticket.counted(), tried)
    }

    fn admit_at_once(self: &Arc<Self>, counted: bool, tried: &[u64]) -> Option<Permit> {
        // Whoever waits was here first; what is not counted has no place in the line and goes by it.
        if counted && self.line.waiting() > 0 {
            return None;
        }
        self.take_permit(counted, tried)
    }

    fn take_permit(self: &Arc<Self>, counted: bool, tried: &[u64]) -> Option<Permit> {
        let view = self.view();
        if !view.told.serving {
            return None;
        }
        self.permit_of(&view, counted, tried)
    }

    pub(super) fn permit_of(self: &Arc<Self>, view: &View, counted: bool, tried: &[u64]) -> Option<Permit> {
        let now_us = self.now_us();
        let upstream = self.take_slot(view, tried, now_us)?;
        Some(Permit::new(Arc::clone(self), upstream, counted, now_us))
    }

    async fn wait_in_line(self: &Arc<Self>, ticket: &mut Ticket, since_us: u64, bytes: u64) -> Result<Permit, Refusal> {
        let (traffic, at_zero) = {
            let view = self.view();
            let at_zero = view.ready.is_empty() && self.at_zero.load(Ordering::Relaxed);
            (Arc::clone(&view.told.traffic), at_zero)
        };
        if !ticket.counted() {
            return Err(Refusal::new("no replica is ready, and this request wakes none"));
        }
        let joined = self.line.join(self, traffic.hold.max_requests);
        // Asked only now: whoever sends all away that wait has said before that nothing is served, or finds this one.
        if !self.view().told.serving {
            return Err(self.not_serving());
        }
        if let Some(refusal) = self.line.refused(since_us) {
            return Err(refusal);
        }
        let share = joined.as_ref().and_then(|_| self.budget.take(bytes));
        self.wake(since_us);
        let (Some(mut place), Some(_share)) = (joined, share) else {
            return Err(Refusal::new("too many requests wait for a replica already"));
        };
        self.call_for_attention();
        // A slot may have been given back between the look and the place in the line.
        self.offer_slots();
        let waited_us = since_us.saturating_sub(ticket.began_us());
        let left = Duration::from_secs(traffic.hold.timeout_s.into()).saturating_sub(Duration::from_micros(waited_us));
        let verdict = tokio::time::timeout(left, &mut place.verdict).await;
        let verdict = match verdict {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) | Err(_) => Err(self.waited_too_long(traffic.hold.timeout_s)),
        };
        if verdict.is_ok() && at_zero {
            ticket.waited_for_a_cold_start(self.now_us().saturating_sub(since_us));
        }
        verdict
    }

    /// Why nothing is sent to it at all.
    pub(super) fn not_serving(&self) -> Refusal {
        let view = self.view();
        let trouble = view.told.trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
        Refusal::new(format!("the deployment does not serve now{trouble}")).after(10)
    }

    fn waited_too_long(&self, seconds: u32) -> Refusal {
        let view = self.view();
        let why = match &view.told.trouble {
            Some(trouble) => trouble.to_string(),
            None if view.ready.is_empty() => "none has become ready".to_owned(),
            None => "all are busy".to_owned(),
        };
        Refusal::new(format!("no replica could take the request within {seconds} s: {why}")).after(5)
    }
}
