//! What proxies tell.
//!
//! Invariant: none of it writes a row. Hearing a report twice changes nothing more. A proxy that has not presented itself
//! is not heard: it would not be waited for either.

use super::{Actor, Outcome, Rejection};
use crate::cluster::{Cluster, MAX_PROXIES};
use crate::id::ReplicaId;
use crate::spec::FieldError;
use crate::time::Timestamp;
use crate::traffic::ServiceSignal;

const MAX_NAME_BYTES: usize = 200;

impl Cluster {
    pub(super) fn attach_proxy(&mut self, actor: &Actor, proxy: &str, now: Timestamp) -> Result<Outcome, Rejection> {
        actor.must_be_agent("presenting a proxy")?;
        let fits = (1..=MAX_NAME_BYTES).contains(&proxy.len()) && !proxy.contains(char::is_control);
        if !fits {
            let error = FieldError::new("proxy", "is no name", format!("1 to {MAX_NAME_BYTES} bytes in one line"));
            return Err(Rejection::field(error));
        }
        if !self.proxies_mut().has_room_for(proxy) {
            let error = FieldError::new("proxy", "is one too many", format!("at most {MAX_PROXIES} proxies at a time"));
            return Err(Rejection::field(error));
        }
        self.proxies_mut().attach(proxy, now);
        Ok(Outcome::Noted)
    }

    pub(super) fn detach_proxy(&mut self, actor: &Actor, proxy: &str, now: Timestamp) -> Result<Outcome, Rejection> {
        actor.must_be_agent("taking leave of a proxy")?;
        self.proxies_mut().detach(proxy, now);
        Ok(Outcome::Noted)
    }

    pub(super) fn note_traffic(
        &mut self,
        actor: &Actor,
        proxy: &str,
        let_go: &[ReplicaId],
        signals: &[ServiceSignal],
        now: Timestamp,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_agent("telling of requests")?;
        if !self.proxies_mut().is_attached(proxy) {
            return Err(Rejection::NotFound { kind: "proxy", id: proxy.to_owned() });
        }
        // Only what is to be drained is remembered, so that nobody can fill the memory with ids.
        let let_go: Vec<ReplicaId> = let_go.iter().copied().filter(|id| self.is_draining(*id)).collect();
        self.proxies_mut().note(proxy, let_go.iter().copied(), signals, now);
        self.release_let_go(&let_go, now);
        Ok(Outcome::Noted)
    }
}
