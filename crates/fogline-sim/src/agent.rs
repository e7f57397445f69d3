//! An agent: the real `Session` and the real `Supervisor` over a simulated disk and machine.
//!
//! Joins them as the agent's own run loop does. It can die between any two things it does.

use std::collections::BTreeMap;

use fogline_agent::ports::PortRange;
use fogline_agent::session::{self, Obeyed, Session, SessionConfig};
use fogline_agent::supervisor::{self, Memo, Supervisor, SupervisorConfig};
use fogline_api::protocol::{FromAgent, FromServer, NodeAssignment, NodeLoad};
use fogline_core::assignment::Authority;
use fogline_core::id::ReplicaId;
use fogline_core::observation::{NodeDeclaration, NodeUsage};

use crate::bug::Bug;
use crate::machine::Machine;

/// What an agent has written and synced.
#[derive(Debug, Default)]
struct Disk {
    incarnation: u64,
    seen: Option<Authority>,
    lists: BTreeMap<String, NodeAssignment>,
    memos: BTreeMap<ReplicaId, Memo>,
}

/// The part of an agent that dies.
struct Life {
    session: Session,
    supervisor: Supervisor,
}

/// What an agent wants of the world around it.
#[derive(Debug)]
pub enum Wish {
    Connect,
    Disconnect,
    Send(FromAgent),
    /// The process is there; its start is to be told.
    Started {
        replica: ReplicaId,
        run: u32,
        pid: String,
    },
    StartFailed {
        replica: ReplicaId,
        run: u32,
        error: fogline_agent::driver::StartError,
    },
    Signal {
        replica: ReplicaId,
        signal: fogline_agent::driver::Signal,
    },
    Probe {
        replica: ReplicaId,
        run: u32,
        number: u64,
    },
}

/// An agent and the machine it is on.
pub struct Agent {
    /// What it presents.
    pub nodes: Vec<NodeDeclaration>,
    /// The machine, which outlives it.
    pub machine: Machine,
    /// Which life this is: what was meant for an earlier one does not reach it.
    pub lives: u64,
    /// It dies after so many more outputs.
    pub dies_after: Option<u64>,
    disk: Disk,
    life: Option<Life>,
    bug: Option<Bug>,
}

/// What an agent is told.
pub enum Told {
    Session(session::Input),
    Supervisor(supervisor::Input),
}

impl Agent {
    /// One that has never run.
    #[must_use]
    pub fn new(nodes: Vec<NodeDeclaration>, bug: Option<Bug>) -> Self {
        Self { nodes, machine: Machine::default(), lives: 0, dies_after: None, disk: Disk::default(), life: None, bug }
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Starts, adopting what the machine still runs.
    ///
    /// # Errors
    /// An invariant is broken.
    pub fn start(&mut self, serves_after_us: &mut dyn FnMut() -> u64, now_us: u64) -> Result<Vec<Wish>, String> {
        self.lives += 1;
        self.disk.incarnation += 1;
        let lists = self.disk.lists.iter().map(|(node, list)| (node.clone(), list.authority.clone()));
        let config = SessionConfig {
            servers: vec!["server".to_owned()],
            version: "simulated".to_owned(),
            nodes: self.nodes.clone(),
            obeyed: Obeyed::restored(self.disk.seen.clone(), lists),
        };
        self.life = Some(Life {
            session: Session::new(config),
            supervisor: Supervisor::new(SupervisorConfig {
                incarnation: self.disk.incarnation,
                address: "127.0.0.1".to_owned(),
                ports: PortRange::default(),
            }),
        });
        let forgets = self.bug == Some(Bug::ForgetsToAdopt);
        let adopted = if forgets { Vec::new() } else { self.machine.adopt() };
        let memos = if forgets { Vec::new() } else { self.disk.memos.values().cloned().collect() };
        let restored = supervisor::Input::Restored { memos, adopted };
        let mut wishes = self.tell(Told::Supervisor(restored), serves_after_us, now_us)?;
        for (node, list) in self.disk.lists.clone() {
            let (node_id, assignment) = (list.node_id, list.assignment);
            let input = supervisor::Input::Recalled { node: node.into(), node_id, assignment };
            wishes.extend(self.tell(Told::Supervisor(input), serves_after_us, now_us)?);
        }
        wishes.extend(self.tell(Told::Session(session::Input::Tick), serves_after_us, now_us)?);
        Ok(wishes)
    }

    /// Dies as of kill -9.
    pub fn die(&mut self) {
        self.life = None;
        self.dies_after = None;
    }

    /// When it wants to be told the time.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let life = self.life.as_ref()?;
        life.session.next_wake().into_iter().chain(life.supervisor.next_wake()).min()
    }

    /// Something happens, and everything that follows from it inside the agent.
    ///
    /// # Errors
    /// An invariant is broken.
    pub fn tell(
        &mut self,
        told: Told,
        serves_after_us: &mut dyn FnMut() -> u64,
        now_us: u64,
    ) -> Result<Vec<Wish>, String> {
        let mut wishes = Vec::new();
        let mut inputs = std::collections::VecDeque::from([told]);
        while let Some(input) = inputs.pop_front() {
            let Some(life) = &mut self.life else { break };
            match input {
                Told::Session(input) => {
                    for output in life.session.step(input, now_us) {
                        if self.dies_now() {
                            return Ok(wishes);
                        }
                        self.session_output(output, &mut inputs, &mut wishes);
                    }
                }
                Told::Supervisor(input) => {
                    for output in life.supervisor.step(input, now_us) {
                        if self.dies_now() {
                            return Ok(wishes);
                        }
                        self.supervisor_output(output, &mut inputs, &mut wishes, serves_after_us, now_us)?;
                    }
                }
            }
        }
        Ok(wishes)
    }

    /// What it knows of a replica; nothing where it never heard of it.
    #[must_use]
    pub fn knows(&self, id: ReplicaId) -> Option<String> {
        let memo = self.disk.memos.get(&id);
        let listed =
            self.disk.lists.values().flat_map(|list| &list.assignment.replicas).find(|one| one.replica_id == id);
        let pid = self.machine.running().find(|(running, _)| *running == id).map(|(_, pid)| pid);
        let mut reports = self.life.iter().flat_map(|life| life.supervisor.reports());
        let report = reports.find(|(_, report)| report.replica_id == id).map(|(_, report)| (report.seq, report.state));
        let nothing = memo.is_none() && listed.is_none() && pid.is_none() && report.is_none();
        (!nothing).then(|| {
            let end = memo.map(|memo| (memo.run, memo.end));
            format!("runs as {pid:?}, list says {:?}, memo {end:?}, reported {report:?}", listed.map(|one| one.want))
        })
    }

    fn dies_now(&mut self) -> bool {
        match &mut self.dies_after {
            Some(0) => {
                self.die();
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn session_output(
        &mut self,
        output: session::Output,
        inputs: &mut std::collections::VecDeque<Told>,
        wishes: &mut Vec<Wish>,
    ) {
        match output {
            session::Output::Connect { .. } => wishes.push(Wish::Connect),
            session::Output::Disconnect => wishes.push(Wish::Disconnect),
            session::Output::Send(message) => wishes.push(Wish::Send(message)),
            session::Output::Heartbeat { nodes } => {
                let usage = NodeUsage { cpu_percent: 10.0, memory_percent: 10.0 };
                let load = |(_, node_id)| NodeLoad { node_id, usage, replicas: Vec::new() };
                wishes.push(Wish::Send(FromAgent::Heartbeat(nodes.into_iter().map(load).collect())));
            }
            session::Output::Remember(authority) => self.disk.seen = Some(authority),
            session::Output::Obey { node, list } => {
                let unsaved = self.machine.disk_full.then(|| "the disk is full".to_owned());
                if unsaved.is_some() {
                    self.machine.refused_writes += 1;
                } else {
                    self.disk.lists.insert(node.to_string(), list.clone());
                }
                let (node_id, assignment) = (list.node_id, list.assignment);
                inputs.push_back(Told::Supervisor(supervisor::Input::Assigned { node, node_id, assignment, unsaved }));
            }
            session::Output::Refused(_)
            | session::Output::OpenLog(_)
            | session::Output::CancelLog { .. }
            | session::Output::RunCommand(_) => {}
        }
    }

    fn supervisor_output(
        &mut self,
        output: supervisor::Output,
        inputs: &mut std::collections::VecDeque<Told>,
        wishes: &mut Vec<Wish>,
        serves_after_us: &mut dyn FnMut() -> u64,
        now_us: u64,
    ) -> Result<(), String> {
        match output {
            supervisor::Output::Persist(memo) => {
                self.disk.memos.insert(memo.replica_id, memo);
            }
            supervisor::Output::Start(order) => {
                let (replica, run) = (order.replica_id, order.run);
                let capacity = self.nodes.iter().find(|node| node.name == order.node_name).map(|node| node.capacity);
                let capacity = capacity.ok_or_else(|| format!("{} is none of this agent's nodes", order.node_name))?;
                let wish = match self.machine.start(order, now_us + serves_after_us(), capacity)? {
                    Ok(pid) => Wish::Started { replica, run, pid },
                    Err(error) => Wish::StartFailed { replica, run, error },
                };
                wishes.push(wish);
            }
            supervisor::Output::Signal { replica_id, signal } => {
                wishes.push(Wish::Signal { replica: replica_id, signal })
            }
            supervisor::Output::Probe(probe) => {
                wishes.push(Wish::Probe { replica: probe.replica_id, run: probe.run, number: probe.number });
            }
            supervisor::Output::WarmUp(order) => {
                let (replica_id, run) = (order.replica_id, order.run);
                inputs.push_back(Told::Supervisor(supervisor::Input::WarmedUp { replica_id, run, result: Ok(()) }));
            }
            supervisor::Output::Report { node, report } => {
                inputs.push_back(Told::Session(session::Input::Report { node, report }));
            }
            supervisor::Output::Forget { replica_id } => {
                self.machine.forget(replica_id)?;
                self.disk.memos.remove(&replica_id);
                inputs.push_back(Told::Session(session::Input::Forgotten { replica_id }));
            }
        }
        Ok(())
    }
}

/// What a server says to an agent, in the words of the protocol.
#[must_use]
pub fn in_words_of_the_protocol(said: crate::server::Said) -> Option<(usize, u64, FromServer)> {
    use crate::server::Said;
    Some(match said {
        Said::Welcome { agent, connection, authority, node_ids } => {
            let heartbeat_interval = std::time::Duration::from_secs(2);
            let reception = fogline_api::protocol::Reception { authority, node_ids, heartbeat_interval };
            (agent, connection, FromServer::Welcome(reception))
        }
        Said::Assignment { agent, connection, authority, node, assignment } => {
            let list = NodeAssignment { authority, node_id: node, assignment };
            (agent, connection, FromServer::Assignment(list))
        }
        Said::Acknowledge { agent, connection, number } => (agent, connection, FromServer::Acknowledge { number }),
        Said::Answer { .. } | Said::Closed { .. } => return None,
    })
}
