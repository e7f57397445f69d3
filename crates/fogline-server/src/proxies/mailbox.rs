//! What one proxy has to be told, until it can be sent.
//!
//! Invariant: bounded however slow the proxy is. Of each service only the latest state is kept, of refused wake-ups the
//! latest of each deployment, and a proxy that reads nothing while deployments come and go is given up. Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_api::protocol::proxy::{FromServer, RoutesUpdate};
use fogline_core::id::DeploymentId;
use fogline_core::traffic::Service;
use tokio::sync::Notify;
use tonic::Status;

/// Services of which it may wait that they are gone.
const MOST_REMOVED: usize = 100_000;

/// Refused wake-ups that may wait; more are not answered, and asked for again.
const MOST_REFUSED: usize = 10_000;

/// The door to one session from outside of it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether the table as a whole was put in, so that there is something to change.
    begun: bool,
    /// Whether what waits is all of it.
    whole: bool,
    services: BTreeMap<DeploymentId, Service>,
    /// Those without a route now.
    removed: BTreeSet<DeploymentId>,
    refused: BTreeMap<DeploymentId, (String, Duration)>,
    end: Option<Status>,
}

impl Mailbox {
    /// All of the table, in place of whatever waits.
    pub(super) fn whole(&self, services: Vec<Service>) {
        let mut inner = self.lock();
        (inner.begun, inner.whole) = (true, true);
        inner.services = services.into_iter().map(|service| (service.deployment_id, service)).collect();
        inner.removed.clear();
        drop(inner);
        self.bell.notify_one();
    }

    /// A service is another than before, or has no route any more.
    pub(super) fn changed(&self, id: DeploymentId, service: Option<&Service>) {
        let mut inner = self.lock();
        if !inner.begun {
            return;
        }
        match service {
            Some(service) => {
                inner.removed.remove(&id);
                inner.services.insert(id, service.clone());
            }
            None => {
                inner.services.remove(&id);
                // What is in no whole table need not be said to be gone.
                if !inner.whole {
                    inner.removed.insert(id);
                }
                if inner.removed.len() > MOST_REMOVED {
                    inner.end.get_or_insert_with(|| Status::resource_exhausted("this proxy does not read its routes"));
                }
            }
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// A deployment is not woken.
    pub(super) fn refuse(&self, id: DeploymentId, reason: String, retry_after: Duration) {
        let mut inner = self.lock();
        if inner.refused.len() < MOST_REFUSED {
            inner.refused.insert(id, (reason, retry_after));
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Ends the session, with what its proxy is told.
    pub(super) fn end(&self, status: Status) {
        self.lock().end.get_or_insert(status);
        self.bell.notify_one();
    }

    /// Waits until there may be something new.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The next thing to send: nothing when there is nothing.
    ///
    /// # Errors
    /// The end of the session.
    pub(super) fn next(&self) -> Result<Option<FromServer>, Status> {
        let mut inner = self.lock();
        if let Some(status) = inner.end.take() {
            return Err(status);
        }
        if let Some((deployment_id, (reason, retry_after))) = inner.refused.pop_first() {
            return Ok(Some(FromServer::WakeRefused { deployment_id, reason, retry_after }));
        }
        if !inner.whole && inner.services.is_empty() && inner.removed.is_empty() {
            return Ok(None);
        }
        Ok(Some(FromServer::Routes(RoutesUpdate {
            whole: std::mem::take(&mut inner.whole),
            services: std::mem::take(&mut inner.services).into_values().collect(),
            removed: std::mem::take(&mut inner.removed).into_iter().collect(),
            more: false,
        })))
    }

    /// Whether the session was ended, and with what.
    pub(super) fn ended(&self) -> Option<Status> {
        self.lock().end.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is whole at each point where it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fogline_core::id::IdSource;
    use fogline_core::spec::RouteSpec;
    use fogline_core::time::Timestamp;

    use super::*;

    fn service(ids: &mut IdSource, name: &str) -> Service {
        Service {
            deployment_id: ids.next(Timestamp::EPOCH),
            name: name.into(),
            owner: ids.next(Timestamp::EPOCH),
            routes: [RouteSpec::default()].into(),
            traffic: Arc::default(),
            readiness: None,
            asleep: false,
            serving: true,
            trouble: None,
            upstreams: Vec::new(),
        }
    }

    fn routes(mailbox: &Mailbox) -> RoutesUpdate {
        match mailbox.next() {
            Ok(Some(FromServer::Routes(update))) => update,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slow_proxy_gets_the_latest_of_each_service_once() {
        let (mut ids, mailbox) = (IdSource::new(1), Mailbox::default());
        let (web, api) = (service(&mut ids, "web"), service(&mut ids, "api"));
        mailbox.changed(web.deployment_id, Some(&web));
        assert_eq!(mailbox.next().expect("goes on"), None, "nothing is changed before there is a table");
        mailbox.whole(vec![web.clone(), api.clone()]);
        mailbox.changed(api.deployment_id, None);
        let first = routes(&mailbox);
        assert_eq!((first.whole, first.services, first.removed), (true, vec![web.clone()], vec![]));

        for asleep in [true, false, true] {
            mailbox.changed(web.deployment_id, Some(&Service { asleep, ..web.clone() }));
        }
        mailbox.changed(api.deployment_id, Some(&api));
        mailbox.changed(api.deployment_id, None);
        let second = routes(&mailbox);
        let latest = Service { asleep: true, ..web };
        assert_eq!((second.whole, second.services, second.removed), (false, vec![latest], vec![api.deployment_id]));
        assert_eq!(mailbox.next().expect("goes on"), None);
    }

    #[test]
    fn who_reads_nothing_is_given_up_and_keeps_little() {
        let (mut ids, mailbox) = (IdSource::new(1), Mailbox::default());
        mailbox.whole(Vec::new());
        routes(&mailbox);
        for _ in 0..=MOST_REFUSED {
            mailbox.refuse(ids.next(Timestamp::EPOCH), "too often".to_owned(), Duration::ZERO);
        }
        assert_eq!(mailbox.lock().refused.len(), MOST_REFUSED);
        for _ in 0..=MOST_REMOVED {
            mailbox.changed(ids.next(Timestamp::EPOCH), None);
        }
        assert_eq!(mailbox.next().expect_err("given up").code(), tonic::Code::ResourceExhausted);
    }
}
