//! The agent at work: carries out what session and supervisor want, and tells them what came of it.
//!
//! Decides nothing itself. One task owns both state machines and takes one event after the other; whatever takes time
//! runs beside it. Invariants: what a supervisor wants remembered is on its way to the disk before what follows from it
//! is done; an accepted list is on disk before it is acted upon. The end of the agent never stops a replica, unless
//! [`AgentConfig::stop_replicas_on_exit`] says so. Tests: `tests/it/run.rs`.

mod call;
mod driving;
mod exec;
mod keeper;
mod relay;
mod warm_up;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fogline_api::protocol::{FromAgent, NodeLoad};
use fogline_core::id::ReplicaId;
use fogline_core::observation::{NodeDeclaration, NodeUsage};
use fogline_core::quantity::Resources;
use fogline_core::record::Runtimes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::boot_us;
use crate::config::AgentConfig;
use crate::disk::{Disk, DiskError, Kept};
use crate::driver::{DriverEvent, Drivers};
use crate::host::{self, Sampler};
use crate::session::{self, Obeyed, Refusal, Session, SessionConfig};
use crate::supervisor::{self, Supervisor, SupervisorConfig};
use call::{Call, CallNews};
use keeper::Keeper;
use relay::Relay;

/// Results that may wait to be taken; whoever has one more waits.
const EVENTS: usize = 1_024;
/// How long the last reports may take to be acknowledged before the agent ends.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Nothing is slept through for longer than this, so that a machine that wakes up from its own sleep soon acts.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Why an agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// What it was told makes no sense.
    #[error("cannot start the agent: {0}")]
    Config(String),
    /// Its directory.
    #[error("cannot start the agent: {0}")]
    Disk(#[from] DiskError),
    /// The driver's directory.
    #[error("cannot start the agent: cannot prepare {} for replicas: {source}", dir.display())]
    Driver {
        /// The directory.
        dir: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What happens beside the agent's own task.
#[derive(Debug)]
enum Event {
    Supervisor(supervisor::Input),
    Call { number: u64, news: CallNews },
    Load(work::Load),
}

/// What the two state machines have to be told still.
enum Told {
    Supervisor(supervisor::Input),
    Session(session::Input),
}

/// Runs an agent until `shutdown`. Adopts what an earlier one left behind before it calls any server.
///
/// # Errors
/// When it cannot start. Once it runs, it goes on whatever happens to servers and disks.
pub async fn run(config: AgentConfig, shutdown: CancellationToken) -> Result<(), AgentError> {
    config.validate().map_err(AgentError::Config)?;
    let disk = Arc::new(Disk::open(&config.data_dir)?);
    let incarnation = disk.next_incarnation()?;
    let names: Vec<&str> = config.nodes.iter().map(|node| node.name.as_str()).collect();
    let kept = disk.load(&names);
    for damage in &kept.damaged {
        error!(error = %damage, "state of an earlier agent is lost");
    }
    let (driver_events, mut from_driver) = mpsc::channel(EVENTS);
    let (drivers, mut engine) = driving::open(&config, driver_events).await?;
    let nodes = declarations(&config, driving::runtimes(&engine))?;
    let (events, mut from_work) = mpsc::channel(EVENTS);
    let mut agent = Agent::new(config, nodes, &kept, incarnation, disk, drivers, events);
    agent.adopt(kept).await;
    let mut stopping = false;
    loop {
        let wake = tokio::time::sleep(agent.sleep());
        tokio::select! {
            () = shutdown.cancelled(), if !stopping => {
                if !agent.config.stop_replicas_on_exit {
                    info!("the agent ends; its replicas go on");
                    return Ok(());
                }
                info!(running = agent.supervisor.running(), "the agent ends, and stops its replicas first");
                stopping = true;
                agent.tell([Told::Supervisor(supervisor::Input::StopAll)]).await;
            }
            Some(event) = from_driver.recv() => agent.on_driver(event).await,
            Some(event) = from_work.recv() => agent.on(event).await,
            () = driving::changed(&mut engine) => agent.offer(driving::runtimes(&engine)).await,
            () = wake => agent.tell([]).await,
        }
        if stopping && agent.supervisor.running() == 0 {
            agent.last_words(&mut from_work).await;
            return Ok(());
        }
    }
}

fn declarations(config: &AgentConfig, runtimes: Runtimes) -> Result<Vec<NodeDeclaration>, AgentError> {
    let mut nodes = Vec::with_capacity(config.nodes.len());
    for node in &config.nodes {
        let capacity = match node.capacity {
            Some(capacity) => capacity,
            None => host::capacity(&config.data_dir).map_err(AgentError::Config)?,
        };
        nodes.push(NodeDeclaration {
            name: node.name.clone(),
            region: node.region.clone(),
            zone: node.zone.clone(),
            capacity,
            runtimes,
            labels: node.labels.clone(),
        });
    }
    Ok(nodes)
}

struct Agent {
    config: AgentConfig,
    /// The capacity of each node that is not the machine itself.
    declared: BTreeMap<Arc<str>, Resources>,
    supervisor: Supervisor,
    session: Session,
    keeper: Keeper,
    drivers: Drivers,
    sampler: Arc<Mutex<Sampler>>,
    relay: Relay,
    commands: exec::Commands,
    call: Option<Call>,
    calls: u64,
    /// Why the last call was lost: told once, not every few seconds.
    lost_because: Option<String>,
    events: mpsc::Sender<Event>,
}

impl Agent {
    fn new(
        config: AgentConfig,
        nodes: Vec<NodeDeclaration>,
        kept: &Kept,
        incarnation: u64,
        disk: Arc<Disk>,
        drivers: Drivers,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let lists = kept.lists.iter().map(|(node, list)| (node.clone(), list.authority.clone()));
        Self {
            declared: config
                .nodes
                .iter()
                .filter_map(|node| Some((Arc::from(node.name.as_str()), node.capacity?)))
                .collect(),
            supervisor: Supervisor::new(SupervisorConfig {
                incarnation,
                address: config.address.clone(),
                ports: config.ports,
            }),
            session: Session::new(SessionConfig {
                servers: config.servers.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                nodes,
                obeyed: Obeyed::restored(kept.seen.clone(), lists),
            }),
            keeper: Keeper::new(disk, &kept.lists),
            drivers,
            sampler: Arc::default(),
            relay: Relay::default(),
            commands: exec::Commands::default(),
            call: None,
            calls: 0,
            lost_because: None,
            events,
            config,
        }
    }

    /// Takes over what an earlier agent left behind, and does what its last lists say, with or without a server.
    async fn adopt(&mut self, kept: Kept) {
        let adopted = self.drivers.adopt().await;
        info!(replicas = adopted.len(), lists = kept.lists.len(), "taking over from an earlier agent");
        self.supervise(supervisor::Input::Restored { memos: kept.memos, adopted }).await;
        for (node, list) in kept.lists {
            let (node_id, assignment) = (list.node_id, list.assignment);
            self.supervise(supervisor::Input::Recalled { node: node.into(), node_id, assignment }).await;
        }
    }

    async fn supervise(&mut self, input: supervisor::Input) {
        self.tell([Told::Supervisor(input)]).await;
    }

    /// How long until something is due.
    fn sleep(&self) -> Duration {
        let wakes = [self.supervisor.next_wake(), self.session.next_wake(), self.keeper.next_wake()];
        wakes
            .into_iter()
            .flatten()
            .min()
            .map_or(LONGEST_SLEEP, |at_us| Duration::from_micros(at_us.saturating_sub(boot_us())))
            .min(LONGEST_SLEEP)
    }

    /// What replicas can be run by has changed.
    async fn offer(&mut self, runtimes: Runtimes) {
        self.tell([Told::Session(session::Input::Offer(runtimes))]).await;
    }

    async fn on_driver(&mut self, event: DriverEvent) {
        self.supervise(match event {
            DriverEvent::Exited { replica_id, run, exit } => {
                info!(%replica_id, run, end = exit.message, "a run is over");
                supervisor::Input::Exited { replica_id, run, exit }
            }
            DriverEvent::Preparing { replica_id, run, progress } => {
                supervisor::Input::Preparing { replica_id, run, progress }
            }
            DriverEvent::Adopted(adopted) => supervisor::Input::Adopted(adopted),
        })
        .await;
    }

    async fn on(&mut self, event: Event) {
        match event {
            Event::Supervisor(input) => self.supervise(input).await,
            Event::Load(load) => self.heartbeat(load),
            Event::Call { number, news } => {
                if self.call.as_ref().is_none_or(|call| call.number != number) {
                    return;
                }
                let input = match news {
                    CallNews::Connected => session::Input::Connected,
                    CallNews::Received(message) => session::Input::Received(*message),
                    CallNews::Lost { why } => {
                        self.hang_up();
                        if self.lost_because.as_ref() == Some(&why) {
                            debug!(why, "no server");
                        } else {
                            warn!(why, "no server; replicas go on, and the agent keeps calling");
                        }
                        self.lost_because = Some(why);
                        lost()
                    }
                };
                let was_attached = self.session.is_attached();
                self.tell([Told::Session(input)]).await;
                if self.session.is_attached() && !was_attached {
                    info!("a server has welcomed this agent");
                    self.lost_because = None;
                }
            }
        }
    }

    /// Tells both state machines what happened and that time has passed, and does what they want, until they rest.
    async fn tell(&mut self, news: impl IntoIterator<Item = Told>) {
        let mut queue: VecDeque<Told> = news.into_iter().collect();
        queue.push_back(Told::Supervisor(supervisor::Input::Tick));
        queue.push_back(Told::Session(session::Input::Tick));
        self.keeper.again(boot_us()).await;
        while let Some(told) = queue.pop_front() {
            match told {
                Told::Supervisor(input) => {
                    for output in self.supervisor.step(input, boot_us()) {
                        self.carry_out(output, &mut queue).await;
                    }
                }
                Told::Session(input) => {
                    for output in self.session.step(input, boot_us()) {
                        self.say(output, &mut queue).await;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, output: supervisor::Output, queue: &mut VecDeque<Told>) {
        match output {
            supervisor::Output::Persist(memo) => self.keeper.save_memo(memo, boot_us()).await,
            supervisor::Output::Start(order) => {
                info!(replica_id = %order.replica_id, run = order.run, port = order.port, "starting");
                work::start(&self.drivers, order, &self.events);
            }
            supervisor::Output::Signal { replica_id, signal } => {
                info!(%replica_id, ?signal, "signalling");
                work::signal(&self.drivers, replica_id, signal);
            }
            supervisor::Output::Probe(order) => work::probe(&self.config.address, order, &self.events),
            supervisor::Output::WarmUp(order) => {
                info!(replica_id = %order.replica_id, run = order.run, "warming up");
                warm_up::start(&self.drivers, &self.config.address, order, &self.events);
            }
            supervisor::Output::Report { node, report } => {
                debug!(?report, "news");
                queue.push_back(Told::Session(session::Input::Report { node, report }));
            }
            supervisor::Output::Forget { replica_id } => {
                self.forget(replica_id).await;
                queue.push_back(Told::Session(session::Input::Forgotten { replica_id }));
            }
        }
    }

    async fn forget(&mut self, replica_id: ReplicaId) {
        let drivers = self.drivers.clone();
        // Only fails when the runtime is going away.
        let _ = tokio::task::spawn_blocking(move || drivers.forget(replica_id)).await;
        self.keeper.remove_memo(replica_id).await;
    }

    async fn say(&mut self, output: session::Output, queue: &mut VecDeque<Told>) {
        match output {
            session::Output::Connect { server } => {
                self.calls += 1;
                debug!(server, "calling");
                self.call = Some(Call::start(self.calls, &server, &self.config.token, self.events.clone()));
            }
            session::Output::Disconnect => {
                self.hang_up();
                queue.push_back(Told::Session(lost()));
            }
            session::Output::Send(message) => {
                if let Some(call) = &self.call {
                    call.send(&message);
                }
            }
            session::Output::Heartbeat { nodes } => work::measure(&self.drivers, &self.sampler, nodes, &self.events),
            session::Output::Remember(authority) => {
                info!(epoch = authority.epoch, "a new leader");
                self.keeper.save_seen(authority, boot_us()).await;
            }
            session::Output::Obey { node, list } => {
                let (node_id, assignment) = (list.node_id, list.assignment.clone());
                let unsaved = self.keeper.save_list(&node, list, boot_us()).await;
                queue.push_back(Told::Supervisor(supervisor::Input::Assigned { node, node_id, assignment, unsaved }));
            }
            session::Output::Refused(refusal @ Refusal::OldGeneration { .. }) => debug!(%refusal, "not obeyed"),
            session::Output::Refused(refusal) => warn!(%refusal, "not obeyed"),
            session::Output::OpenLog(question) => {
                if let Some(call) = &self.call {
                    self.relay.open(&self.drivers, question, call.log_sender());
                }
            }
            session::Output::CancelLog { request } => self.relay.cancel(request),
            session::Output::RunCommand(question) => {
                if let Some(call) = &self.call {
                    self.commands.run(&self.drivers, question, call.log_sender());
                }
            }
        }
    }

    fn hang_up(&mut self) {
        self.call = None;
        self.relay.cancel_all();
    }

    fn heartbeat(&self, load: work::Load) {
        let Some(call) = &self.call else { return };
        if !self.session.is_attached() {
            return;
        }
        let homes: BTreeMap<ReplicaId, &Arc<str>> =
            self.supervisor.reports().map(|(node, report)| (report.replica_id, node)).collect();
        let machine = load.machine.unwrap_or(NodeUsage { cpu_percent: 0.0, memory_percent: 0.0 });
        let nodes = load.nodes.into_iter().map(|(name, node_id)| {
            let at_home = load.replicas.iter().filter(|usage| homes.get(&usage.replica_id) == Some(&&name));
            let replicas: Vec<_> = at_home.copied().collect();
            let usage = match self.declared.get(&name) {
                Some(capacity) => host::declared_usage(*capacity, &replicas),
                None => machine,
            };
            NodeLoad { node_id, usage, replicas }
        });
        call.send(&FromAgent::Heartbeat(nodes.collect()));
    }

    /// Lets the server hear how the replicas ended, where it listens.
    async fn last_words(&mut self, from_work: &mut mpsc::Receiver<Event>) {
        let deadline = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(deadline);
        while self.session.is_attached() && !self.session.is_through() {
            tokio::select! {
                () = &mut deadline => {
                    warn!("the server has not acknowledged how every replica ended");
                    return;
                }
                Some(event) = from_work.recv() => self.on(event).await,
            }
        }
    }
}

/// A call is over. The random part only spreads agents that call again; without entropy they come at once.
fn lost() -> session::Input {
    session::Input::Lost { random: getrandom::u64().unwrap_or(0) }
}
