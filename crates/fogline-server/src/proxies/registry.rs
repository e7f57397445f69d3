//! Which proxies are attached.
//!
//! Invariant: a name is one session's as long as that is heard, because whoever has the agents' token can say any name; one
//! that is silent is ended by the next, and nothing is left of it before the next one counts. Tests: below,
//! `tests/it/proxies`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_api::protocol::proxy::Greeting;
use fogline_core::id::DeploymentId;
use fogline_core::time::Timestamp;
use fogline_core::traffic::Service;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::mailbox::Mailbox;
use crate::clock::Clock;

/// Proxies that may be attached at once: each change of a route is sent to all of them.
const MOST: usize = 1_000;

/// A proxy that was silent for so long has lost its name to the next that says it: it reports every second.
const SILENT: Duration = Duration::from_secs(3);

fn taken(name: &str) -> Status {
    Status::already_exists(format!(
        "a proxy called {name} is attached and alive. If two proxies run with the same name, give one another with proxy.name"
    ))
}

/// One session.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Counts the sessions of this term.
    pub(crate) number: u64,
    /// What the proxy said of itself.
    pub(crate) greeting: Greeting,
    /// Since when.
    pub(crate) since: Timestamp,
    pub(super) mailbox: Mailbox,
    heard: AtomicI64,
    over: CancellationToken,
}

impl Attached {
    /// When it was heard last.
    pub(crate) fn heard(&self) -> Timestamp {
        Timestamp::from_micros(self.heard.load(Ordering::Relaxed))
    }

    pub(super) fn hear(&self, now: Timestamp) {
        self.heard.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Waits until it has been silent for so long that another may have its name, or is over.
    ///
    /// # Errors
    /// When it is heard meanwhile.
    async fn falls_silent(&self, clock: &Clock) -> Result<(), Status> {
        let known = self.heard();
        let left = SILENT.saturating_sub(clock.now().since(known));
        if left.is_zero() {
            return Ok(());
        }
        let over = timeout(left, self.over.cancelled()).await.is_ok();
        if over || self.heard() == known { Ok(()) } else { Err(taken(&self.greeting.name)) }
    }

    /// Nothing will come of it any more.
    pub(super) fn end(&self) {
        self.over.cancel();
    }
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    names: Mutex<BTreeMap<String, Arc<Attached>>>,
    sessions: AtomicU64,
}

impl Registry {
    /// The session has this name from now on. One that had it is ended where nothing is heard of it: it is most often the
    /// same proxy, whose old connection has not been noticed to be dead. Returns when nothing of that one is left.
    ///
    /// # Errors
    /// When the name is that of a proxy that is alive, or there are too many.
    pub(super) async fn attach(&self, greeting: Greeting, clock: &Clock) -> Result<Arc<Attached>, Status> {
        let name = greeting.name.clone();
        let before = self.lock().get(&name).cloned();
        if let Some(before) = before {
            before.falls_silent(clock).await?;
            before
                .mailbox
                .end(Status::aborted(format!("another session is proxy {name} now: nothing was heard of this one")));
            before.over.cancelled().await;
        }
        let now = clock.now();
        let session = Arc::new(Attached {
            number: self.sessions.fetch_add(1, Ordering::SeqCst) + 1,
            greeting,
            since: now,
            mailbox: Mailbox::default(),
            heard: AtomicI64::new(now.as_micros()),
            over: CancellationToken::new(),
        });
        let mut names = self.lock();
        if names.contains_key(&name) {
            return Err(taken(&name));
        }
        if names.len() >= MOST {
            return Err(Status::resource_exhausted(format!("{MOST} proxies are attached: no further one is taken")));
        }
        names.insert(name, Arc::clone(&session));
        Ok(session)
    }

    /// The session is over.
    pub(super) fn detach(&self, session: &Attached) {
        let mut names = self.lock();
        if names.get(&session.greeting.name).is_some_and(|now| now.number == session.number) {
            names.remove(&session.greeting.name);
        }
    }

    /// A service is another than before, or has no route any more.
    pub(crate) fn changed(&self, id: DeploymentId, service: Option<&Service>) {
        for session in self.lock().values() {
            session.mailbox.changed(id, service);
        }
    }

    /// All of the table, for everybody.
    pub(crate) fn whole(&self, services: &[Service]) {
        for session in self.lock().values() {
            session.mailbox.whole(services.to_vec());
        }
    }

    /// Ends every session.
    pub(crate) fn end_all(&self, status: &Status) {
        for session in self.lock().values() {
            session.mailbox.end(status.clone());
        }
    }

    /// Every session, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Attached>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Attached>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn greeting(name: &str) -> Greeting {
        Greeting {
            version: "1".to_owned(),
            cluster_id: None,
            name: name.to_owned(),
            http: Vec::new(),
            https: Vec::new(),
        }
    }

    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[tokio::test]
    async fn who_is_silent_loses_the_name_once_nothing_is_left_of_it() {
        let (registry, clock) = (Registry::default(), Clock::by_hand(START));
        let older = registry.attach(greeting("edge"), &clock).await.expect("room");
        clock.advance(SILENT);
        let mut attaching = Box::pin(registry.attach(greeting("edge"), &clock));
        assert!(attaching.as_mut().now_or_never().is_none(), "the older one is still at it");
        assert!(older.mailbox.next().expect_err("ended").message().contains("another session is proxy edge"));
        registry.detach(&older);
        older.end();
        let newer = attaching.await.expect("room");
        assert_eq!(registry.all().iter().map(|session| session.number).collect::<Vec<_>>(), [newer.number]);
    }

    #[tokio::test]
    async fn who_is_alive_keeps_the_name_and_who_leaves_gives_it_up_at_once() {
        let (registry, clock) = (Registry::default(), Clock::by_hand(START));
        let older = registry.attach(greeting("edge"), &clock).await.expect("room");
        clock.advance(SILENT.saturating_sub(Duration::from_millis(10)));
        let mut attaching = Box::pin(registry.attach(greeting("edge"), &clock));
        assert!(attaching.as_mut().now_or_never().is_none());
        assert!(older.mailbox.ended().is_none(), "it may only be slow");
        older.hear(clock.now());
        let refused = attaching.await.expect_err("the name is in use");
        assert_eq!(refused.code(), tonic::Code::AlreadyExists);
        assert!(refused.message().contains("proxy.name"), "{refused:?}");
        assert!(older.mailbox.ended().is_none(), "nothing has happened to it");

        let mut attaching = Box::pin(registry.attach(greeting("edge"), &clock));
        assert!(attaching.as_mut().now_or_never().is_none());
        registry.detach(&older);
        older.end();
        assert!(attaching.now_or_never().expect("at once").is_ok());
    }

    #[tokio::test]
    async fn there_is_a_limit() {
        let (registry, clock) = (Registry::default(), Clock::by_hand(START));
        for number in 0..MOST {
            registry.attach(greeting(&number.to_string()), &clock).await.expect("room");
        }
        let refused = registry.attach(greeting("more"), &clock).await.expect_err("full");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }
}
