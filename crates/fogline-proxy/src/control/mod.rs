//! The proxy's conversation with the leading server: the table of routes comes in, what was seen goes out.
//!
//! `session.rs` decides, `call.rs` is the stream, `parts.rs` puts together what comes in parts, `table.rs` is the whole
//! table, `kept.rs` what survives a restart; this file is the I/O around them. Must never stop requests: without a server the last table goes on. Invariant: the kept table
//! is applied before any server is called, and is that of the cluster whose servers alone are listened to. Tests:
//! `tests/it/control.rs`, and in each file.

mod call;
mod kept;
mod parts;
mod session;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::attach::Token;
use fogline_api::protocol::proxy::FromProxy;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::front::{self, Front};
use call::{Call, CallNews};
use kept::Keeper;
use session::{Input, Output, Session, SessionConfig};
use table::Table;

/// News of calls that may wait to be taken; the call waits when there are as many.
const NEWS: usize = 64;

/// Nothing is slept through for longer than this, so that a machine that wakes up from its own sleep soon acts.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// What the conversation needs.
#[derive(Clone, Debug)]
pub(crate) struct ControlConfig {
    /// Servers to call, each `address:port`.
    pub servers: Vec<String>,
    /// Shown to the servers.
    pub token: Token,
    /// Where the last table is kept.
    pub data_dir: PathBuf,
    /// The proxy's name.
    pub name: String,
    /// Where it listens, for those who list routes.
    pub http: Vec<String>,
    /// The same, for HTTPS.
    pub https: Vec<String>,
}

/// The conversation, with everything that it is about.
pub(crate) struct Control {
    config: ControlConfig,
    front: Arc<Front>,
    clock: Clock,
    session: Session,
    table: Table,
    keeper: Keeper,
    call: Option<Call>,
    calls: u64,
    news: mpsc::Sender<(u64, CallNews)>,
    from_calls: mpsc::Receiver<(u64, CallNews)>,
    /// Why the last call was lost: told once, not every few seconds.
    lost_because: Option<String>,
}

impl Control {
    /// Applies the table that was kept. Blocks for as long as a small file takes.
    pub fn open(config: ControlConfig, front: Arc<Front>) -> Self {
        let clock = front.clock();
        let kept = kept::load(&config.data_dir, clock.wall());
        let (news, from_calls) = mpsc::channel(NEWS);
        let session = Session::new(SessionConfig {
            servers: config.servers.clone(),
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http: config.http.clone(),
            https: config.https.clone(),
            seen: kept.seen,
        });
        let mut table = Table::default();
        if let Some(routes) = kept.routes {
            info!(deployments = routes.services.len(), "going on by the last table until a server is reached");
            table.apply(&routes);
            front.apply(routes);
        }
        let keeper = Keeper::new(&config.data_dir);
        Self {
            config,
            front,
            clock,
            session,
            table,
            keeper,
            call: None,
            calls: 0,
            news,
            from_calls,
            lost_because: None,
        }
    }

    /// Talks to servers until `shutdown`.
    pub async fn run(mut self, mut from_front: mpsc::UnboundedReceiver<front::Event>, shutdown: CancellationToken) {
        loop {
            let now_us = self.clock.now_us();
            let wake = [self.session.next_wake(), self.keeper.next_wake()].into_iter().flatten().min();
            let sleep = wake.map_or(LONGEST_SLEEP, |at_us| Duration::from_micros(at_us.saturating_sub(now_us)));
            let input = tokio::select! {
                () = shutdown.cancelled() => break,
                Some((number, news)) = self.from_calls.recv() => self.heard(number, news),
                Some(event) = from_front.recv() => Some(Input::Front(event)),
                () = self.keeper.end() => None,
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => Some(Input::Tick),
            };
            if let Some(input) = input {
                self.step(input);
            }
            self.keep();
        }
        // The next start shall know what this one knew last.
        self.keeper.save_now(&self.table, self.session.seen()).await;
    }

    fn keep(&mut self) {
        let now_us = self.clock.now_us();
        self.keeper.save_if_due(&self.table, self.session.seen(), now_us);
        if self.session.is_attached() {
            self.keeper.touch_file(now_us, self.clock.wall());
        }
    }

    fn heard(&mut self, number: u64, news: CallNews) -> Option<Input> {
        if self.call.as_ref().is_none_or(|call| call.number != number) {
            return None;
        }
        Some(match news {
            CallNews::Connected => Input::Connected,
            CallNews::Received(message) => Input::Received(message),
            CallNews::Lost { why } => {
                self.call = None;
                if self.lost_because.as_ref() == Some(&why) {
                    debug!(why, "no server");
                } else {
                    warn!(why, "no server; requests go on by the last table, and the proxy keeps calling");
                }
                self.lost_because = Some(why);
                lost()
            }
        })
    }

    fn step(&mut self, input: Input) {
        let was_attached = self.session.is_attached();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.session.step(input, self.clock.now_us()) {
                self.carry_out(output, &mut inputs);
            }
        }
        if self.session.is_attached() && !was_attached {
            info!("a server has welcomed this proxy");
            // What is kept says who leads, too.
            self.keeper.changed(self.clock.now_us());
            self.lost_because = None;
        }
    }

    fn carry_out(&mut self, output: Output, inputs: &mut Vec<Input>) {
        match output {
            Output::Connect { server } => {
                self.calls += 1;
                debug!(server, "calling");
                self.call = Some(Call::start(self.calls, &server, &self.config.token, self.news.clone()));
            }
            Output::Disconnect => {
                self.call = None;
                inputs.push(lost());
            }
            Output::Send(message) => {
                self.send(&message);
            }
            Output::Report { all } => {
                if !self.send(&FromProxy::Report(self.front.report(all))) {
                    inputs.push(Input::ReportUnsaid);
                }
            }
            Output::Apply(routes) => {
                // Servers say all of it again from time to time: that is no reason to build and to write it again.
                let changed = self.table.apply(&routes);
                if changed {
                    self.keeper.changed(self.clock.now_us());
                }
                if changed || !self.front.has_table() {
                    self.front.apply(routes);
                }
            }
            Output::WakeRefused { deployment_id, reason, retry_after } => {
                debug!(%deployment_id, reason, "not woken");
                self.front.wake_refused(deployment_id, &reason, retry_after);
            }
            Output::Refused(refusal) => warn!(%refusal, "a server is not listened to"),
        }
    }

    fn send(&self, message: &FromProxy) -> bool {
        self.call.as_ref().is_some_and(|call| call.send(message))
    }
}

/// A call is over. The random part only spreads proxies that call again; without entropy they come at once.
fn lost() -> Input {
    Input::Lost { random: crate::random::below(usize::MAX) as u64 }
}
