//! The proxy's side of its conversation with the leader.
//!
//! Decides purely whom to call, whom to listen to and when to report; streams, disks and clocks are elsewhere. Must never
//! let a table through from another cluster, or from a leader that was followed by one that has been seen. Invariants:
//! nothing is sent before `Welcome` but `Hello`; the first report of a session has everything; reports are never further
//! apart than a second. Tests: below.

use std::fmt;
use std::time::Duration;

use fogline_api::attach::Redial;
use fogline_api::protocol::proxy::{FromProxy, FromServer, Greeting, RoutesUpdate};
use fogline_core::id::DeploymentId;

use super::parts::Parts;
use crate::front::Event;

/// How long a call may take until the server has welcomed the proxy.
const WELCOME_WITHIN_US: u64 = 10_000_000;
/// How far apart reports are when nothing happens.
const REPORT_EVERY_US: u64 = 1_000_000;

/// The leader that was last listened to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub cluster_id: String,
    pub epoch: u64,
}

/// What a session must know from the start.
#[derive(Clone, Debug)]
pub(super) struct SessionConfig {
    pub servers: Vec<String>,
    pub name: String,
    pub version: String,
    pub http: Vec<String>,
    pub https: Vec<String>,
    pub seen: Option<Seen>,
}

/// What a session is told.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Input {
    /// The call was taken.
    Connected,
    /// The call was not taken, or is over. Follows each `Connect` in the end, also after a `Disconnect`. Anything random
    /// spreads the proxies that call again.
    Lost { random: u64 },
    /// The server has said something.
    Received(FromServer),
    /// Requests want something of the server.
    Front(Event),
    /// A report did not fit into the stream.
    ReportUnsaid,
    /// Time has passed.
    Tick,
}

/// What a session wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Output {
    Connect {
        server: String,
    },
    /// End the call. `Lost` is awaited.
    Disconnect,
    Send(FromProxy),
    /// Report what has changed, or everything.
    Report {
        all: bool,
    },
    Apply(RoutesUpdate),
    WakeRefused {
        deployment_id: DeploymentId,
        reason: String,
        retry_after: Duration,
    },
    /// Somebody is not listened to.
    Refused(Refusal),
}

/// Why a server is not listened to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    OtherCluster { ours: String, theirs: String },
    OldEpoch { seen: u64, theirs: u64 },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { ours, theirs } => write!(
                f,
                "the server is of cluster {theirs}, and this proxy belongs to {ours}: give it that cluster's servers, or a \
                 data directory of its own"
            ),
            Self::OldEpoch { seen, theirs } => {
                write!(f, "the server leads epoch {theirs}, and a leader of epoch {seen} has been seen")
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    /// No call; the next one then.
    Idle { until_us: u64 },
    /// Calling, or waiting for the welcome.
    Calling { give_up_at_us: u64, open: bool },
    /// Welcomed.
    Attached { since_us: u64, report_at_us: u64 },
    /// The proxy has ended the call, and waits for that.
    Closing { attached_us: Option<u64> },
}

/// The conversation with whoever leads.
#[derive(Debug)]
pub(super) struct Session {
    greeting: Greeting,
    seen: Option<Seen>,
    redial: Redial,
    link: Link,
    /// Whether the next report is to have everything.
    all: bool,
    parts: Parts,
}

impl Session {
    /// One that calls at once.
    pub fn new(config: SessionConfig) -> Self {
        let SessionConfig { servers, name, version, http, https, seen } = config;
        Self {
            greeting: Greeting { version, cluster_id: None, name, http, https },
            seen,
            redial: Redial::new(servers),
            link: Link::Idle { until_us: 0 },
            all: true,
            parts: Parts::default(),
        }
    }

    /// Takes what happened, and everything that is due; says what is to be done now.
    pub fn step(&mut self, input: Input, now_us: u64) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Connected => self.connected(&mut out),
            Input::Lost { random } => self.lost(random, now_us),
            Input::Received(message) => self.received(message, now_us, &mut out),
            Input::Front(event) => self.front(event, now_us, &mut out),
            Input::ReportUnsaid => self.all = true,
            Input::Tick => {}
        }
        self.due(now_us, &mut out);
        out
    }

    /// When [`Input::Tick`] is wanted next.
    pub const fn next_wake(&self) -> Option<u64> {
        match self.link {
            Link::Idle { until_us } => Some(until_us),
            Link::Calling { give_up_at_us, .. } => Some(give_up_at_us),
            Link::Attached { report_at_us, .. } => Some(report_at_us),
            Link::Closing { .. } => None,
        }
    }

    /// Whether a leader has welcomed this proxy and is still there.
    pub const fn is_attached(&self) -> bool {
        matches!(self.link, Link::Attached { .. })
    }

    /// The leader that was last listened to.
    pub const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    fn connected(&mut self, out: &mut Vec<Output>) {
        let Link::Calling { open: open @ false, .. } = &mut self.link else { return };
        *open = true;
        let cluster_id = self.seen.as_ref().map(|seen| seen.cluster_id.clone());
        out.push(Output::Send(FromProxy::Hello(Greeting { cluster_id, ..self.greeting.clone() })));
    }

    fn lost(&mut self, random: u64, now_us: u64) {
        let attached_us = match self.link {
            Link::Idle { .. } => return,
            Link::Attached { since_us, .. } => Some(now_us.saturating_sub(since_us)),
            Link::Closing { attached_us } => attached_us,
            Link::Calling { .. } => None,
        };
        let pause_us = self.redial.pause_us(attached_us, random);
        self.link = Link::Idle { until_us: now_us.saturating_add(pause_us) };
    }

    fn disconnect(&mut self, now_us: u64, out: &mut Vec<Output>) {
        let attached_us = match self.link {
            Link::Attached { since_us, .. } => Some(now_us.saturating_sub(since_us)),
            _ => None,
        };
        self.link = Link::Closing { attached_us };
        out.push(Output::Disconnect);
    }

    fn received(&mut self, message: FromServer, now_us: u64, out: &mut Vec<Output>) {
        match (message, self.link) {
            // What arrives after the proxy has hung up is of nobody's concern.
            (_, Link::Idle { .. } | Link::Closing { .. }) => {}
            (FromServer::Welcome { cluster_id, epoch }, Link::Calling { open: true, .. }) => {
                self.welcomed(Seen { cluster_id, epoch }, now_us, out);
            }
            (FromServer::NotLeader { leader }, _) => {
                self.redial.follow(leader);
                self.disconnect(now_us, out);
            }
            (FromServer::Routes(part), Link::Attached { .. }) => {
                out.extend(self.parts.take(part).map(Output::Apply));
            }
            (FromServer::WakeRefused { deployment_id, reason, retry_after }, Link::Attached { .. }) => {
                out.push(Output::WakeRefused { deployment_id, reason, retry_after });
            }
            // A second welcome is the first one, doubled; before the first, nothing counts.
            (FromServer::Welcome { .. } | FromServer::Routes(_) | FromServer::WakeRefused { .. }, _) => {}
        }
    }

    fn welcomed(&mut self, by: Seen, now_us: u64, out: &mut Vec<Output>) {
        let refusal = self.seen.as_ref().and_then(|seen| {
            if seen.cluster_id != by.cluster_id {
                let (ours, theirs) = (seen.cluster_id.clone(), by.cluster_id.clone());
                return Some(Refusal::OtherCluster { ours, theirs });
            }
            (by.epoch < seen.epoch).then_some(Refusal::OldEpoch { seen: seen.epoch, theirs: by.epoch })
        });
        if let Some(refusal) = refusal {
            out.push(Output::Refused(refusal));
            self.disconnect(now_us, out);
            return;
        }
        self.seen = Some(by);
        self.all = true;
        self.parts.forget();
        self.link = Link::Attached { since_us: now_us, report_at_us: now_us };
    }

    fn front(&mut self, event: Event, now_us: u64, out: &mut Vec<Output>) {
        // Without a leader both are said again: a wake-up while requests wait, and who was let go of in each report.
        let Link::Attached { report_at_us, .. } = &mut self.link else { return };
        match event {
            Event::Wake { deployment_id, held } => out.push(Output::Send(FromProxy::Wake { deployment_id, held })),
            Event::LetGo => *report_at_us = now_us,
        }
    }

    fn due(&mut self, now_us: u64, out: &mut Vec<Output>) {
        match &mut self.link {
            Link::Idle { until_us } if now_us >= *until_us => {
                if let Some(server) = self.redial.target() {
                    let give_up_at_us = now_us.saturating_add(WELCOME_WITHIN_US);
                    self.link = Link::Calling { give_up_at_us, open: false };
                    out.push(Output::Connect { server });
                } else {
                    *until_us = u64::MAX;
                }
            }
            Link::Calling { give_up_at_us, .. } if now_us >= *give_up_at_us => self.disconnect(now_us, out),
            Link::Attached { report_at_us, .. } if now_us >= *report_at_us => {
                *report_at_us = now_us.saturating_add(REPORT_EVERY_US);
                out.push(Output::Report { all: std::mem::take(&mut self.all) });
            }
            Link::Idle { .. } | Link::Calling { .. } | Link::Attached { .. } | Link::Closing { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn session(seen: Option<Seen>) -> Session {
        Session::new(SessionConfig {
            servers: vec!["a:1".to_owned(), "b:1".to_owned()],
            name: "edge".to_owned(),
            version: "1".to_owned(),
            http: Vec::new(),
            https: Vec::new(),
            seen,
        })
    }

    fn seen(cluster_id: &str, epoch: u64) -> Seen {
        Seen { cluster_id: cluster_id.to_owned(), epoch }
    }

    fn welcome(by: &Seen) -> Input {
        Input::Received(FromServer::Welcome { cluster_id: by.cluster_id.clone(), epoch: by.epoch })
    }

    fn routes() -> Input {
        Input::Received(FromServer::Routes(RoutesUpdate { whole: true, ..RoutesUpdate::default() }))
    }

    fn wake() -> Input {
        let deployment_id = IdSource::new(1).next(Timestamp::EPOCH);
        Input::Front(Event::Wake { deployment_id, held: 1 })
    }

    fn attached(by: &Seen, at_us: u64) -> Session {
        let mut session = session(Some(by.clone()));
        session.step(Input::Tick, at_us);
        session.step(Input::Connected, at_us);
        assert_eq!(session.step(welcome(by), at_us), [Output::Report { all: true }]);
        session
    }

    #[test]
    fn nothing_but_hello_is_said_before_the_welcome_and_nothing_is_believed() {
        let mut session = session(None);
        assert_eq!(session.step(Input::Tick, 0), [Output::Connect { server: "a:1".to_owned() }]);
        assert_eq!(session.step(welcome(&seen("c", 1)), 0), [], "before the call was taken");
        let said = session.step(Input::Connected, 0);
        assert!(matches!(&said[..], [Output::Send(FromProxy::Hello(hello))] if hello.cluster_id.is_none()), "{said:?}");
        for input in [routes(), wake(), Input::Front(Event::LetGo), Input::Connected, Input::Tick] {
            assert_eq!(session.step(input.clone(), SECOND_US), [], "{input:?}");
        }
        assert_eq!(session.step(welcome(&seen("c", 1)), SECOND_US), [Output::Report { all: true }]);
        assert_eq!(session.seen(), Some(&seen("c", 1)));
        assert!(matches!(session.step(routes(), SECOND_US)[..], [Output::Apply(_)]));
    }

    #[test]
    fn the_parts_of_a_table_that_broke_off_are_not_taken_for_parts_of_the_next() {
        let by = seen("c", 1);
        let mut session = attached(&by, 0);
        let removed = vec![IdSource::new(1).next(Timestamp::EPOCH)];
        let part = RoutesUpdate { whole: true, removed, more: true, ..RoutesUpdate::default() };
        assert_eq!(session.step(Input::Received(FromServer::Routes(part)), 0), []);
        session.step(Input::Lost { random: 0 }, SECOND_US);
        session.step(Input::Tick, 20 * SECOND_US);
        session.step(Input::Connected, 20 * SECOND_US);
        session.step(welcome(&by), 20 * SECOND_US);
        let whole = RoutesUpdate { whole: true, ..RoutesUpdate::default() };
        assert_eq!(session.step(routes(), 20 * SECOND_US), [Output::Apply(whole)]);
    }

    #[test]
    fn reports_come_each_second_at_once_when_a_replica_was_let_go_of_and_whole_after_one_was_lost() {
        let mut session = attached(&seen("c", 1), 0);
        let part = [Output::Report { all: false }];
        assert_eq!(session.step(Input::Tick, SECOND_US - 1), []);
        assert_eq!(session.next_wake(), Some(SECOND_US));
        assert_eq!(session.step(Input::Tick, SECOND_US), part);
        assert_eq!(session.step(Input::Front(Event::LetGo), SECOND_US + 1), part);
        assert!(matches!(session.step(wake(), SECOND_US + 2)[..], [Output::Send(FromProxy::Wake { held: 1, .. })]));
        assert_eq!(session.step(Input::ReportUnsaid, SECOND_US + 3), []);
        assert_eq!(session.step(Input::Tick, 2 * SECOND_US + 1), [Output::Report { all: true }]);
        assert_eq!(session.step(Input::Tick, 3 * SECOND_US + 1), part);
    }

    #[test]
    fn another_cluster_and_a_leader_of_before_are_not_listened_to() {
        let known = seen("c", 5);
        for (by, accepted) in [(seen("c", 5), true), (seen("c", 6), true), (seen("c", 4), false), (seen("d", 9), false)]
        {
            let mut session = session(Some(known.clone()));
            session.step(Input::Tick, 0);
            session.step(Input::Connected, 0);
            let said = session.step(welcome(&by), 0);
            assert_eq!(session.is_attached(), accepted, "{by:?}: {said:?}");
            if !accepted {
                assert!(matches!(said[..], [Output::Refused(_), Output::Disconnect]), "{said:?}");
                assert_eq!(session.step(routes(), 0), []);
                assert_eq!(session.seen(), Some(&known));
            }
        }
    }

    #[test]
    fn a_named_leader_is_called_at_once_and_a_silent_server_is_given_up() {
        let mut session = session(None);
        session.step(Input::Tick, 0);
        session.step(Input::Connected, 0);
        let leader = Some("c:1".to_owned());
        assert_eq!(session.step(Input::Received(FromServer::NotLeader { leader }), 0), [Output::Disconnect]);
        let called = session.step(Input::Lost { random: 7 }, 0);
        assert_eq!(called, [Output::Connect { server: "c:1".to_owned() }]);
        session.step(Input::Connected, 0);
        assert_eq!(session.step(Input::Tick, WELCOME_WITHIN_US), [Output::Disconnect]);
        assert_eq!(session.step(Input::Lost { random: 7 }, WELCOME_WITHIN_US), [], "first a pause");
        let at_us = session.next_wake().expect("it calls again");
        assert_eq!(session.step(Input::Tick, at_us), [Output::Connect { server: "b:1".to_owned() }]);
    }

    #[test]
    fn a_call_that_ends_is_followed_by_another_and_the_first_report_has_everything() {
        let by = seen("c", 1);
        let mut session = attached(&by, 0);
        session.step(Input::Lost { random: 0 }, 10 * SECOND_US);
        assert!(!session.is_attached());
        assert_eq!(session.step(Input::Front(Event::LetGo), 10 * SECOND_US), []);
        session.step(Input::Tick, 20 * SECOND_US);
        let said = session.step(Input::Connected, 20 * SECOND_US);
        assert!(
            matches!(&said[..], [Output::Send(FromProxy::Hello(hello))] if hello.cluster_id.as_deref() == Some("c"))
        );
        assert_eq!(session.step(welcome(&by), 20 * SECOND_US), [Output::Report { all: true }]);
    }
}
