//! The cluster that is played: one server at a time, agents on machines, people, a wire, and what goes wrong.
//!
//! Deterministic: everything follows from the seed. Invariants are checked at each commit, at each start of a process
//! and at the end, when everything was mended and left alone for a while.

use std::collections::BTreeMap;

use fogline_agent::driver::ExitCause;
use fogline_agent::session;
use fogline_agent::supervisor;
use fogline_api::protocol::FromAgent;
use fogline_core::command::{Command, Request};
use fogline_core::id::ReplicaId;
use fogline_core::observation::NodeDeclaration;
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{PasswordHash, Role, Runtimes, Tier};
use fogline_core::spec::Runtime;
use fogline_core::time::Timestamp;

mod check;
mod faults;
mod running;
mod serving;

use crate::agent::{Agent, Told};
use crate::people::People;
use crate::queue::Queue;
use crate::rng::Rng;
use crate::scenario::{Report, Scenario};
use crate::server::{Batch, Caller, Said, Server};
use crate::store::{Disk, Store};

enum Event {
    ServerTurn { holder: u64 },
    Commit { holder: u64, batch: Box<Batch> },
    ServerStarts,
    ServerDies,
    Resync { holder: u64 },
    PersonActs { number: usize },
    ToServer { holder: u64, caller: Caller, request: Request },
    Answer { said: Said },
    Connected { agent: usize, life: u64, connection: u64 },
    Lost { agent: usize, life: u64, connection: u64 },
    FromAgent { agent: usize, connection: u64, message: FromAgent },
    ToAgent { agent: usize, connection: u64, message: fogline_api::protocol::FromServer },
    ToSupervisor { agent: usize, life: u64, input: supervisor::Input },
    ProcessEnds { agent: usize, replica: ReplicaId, pid: u64, code: i32, cause: ExitCause },
    Probe { agent: usize, life: u64, replica: ReplicaId, run: u32, number: u64 },
    AgentWakes { agent: usize, life: u64 },
    AgentDies { agent: usize },
    AgentStarts { agent: usize },
    DiskTurns(Disk),
    AgentDisk { agent: usize, full: bool },
}

/// A played cluster.
pub struct Simulation {
    scenario: Scenario,
    rng: Rng,
    now_us: u64,
    queue: Queue<Event>,
    store: Store,
    disk: Disk,
    server: Option<Server>,
    holder: u64,
    turn_foreseen: bool,
    committing: bool,
    agents: Vec<Agent>,
    drift_permille: Vec<i64>,
    /// The connection that each agent has, if any.
    connections: Vec<Option<u64>>,
    next_connection: u64,
    /// When each agent will be told the time.
    alarms: Vec<Option<u64>>,
    people: People,
    working: bool,
    report: Report,
}

const SECOND_US: u64 = 1_000_000;
/// How often a server says every list again, and looks at what time alone brings.
const RESYNC_US: u64 = 5_000_000;
const CAPACITY: Resources =
    Resources { cpu_millis: CpuMillis(4_000), memory_mb: 16_384, gpu_units: 0, storage_gb: 1_000 };
/// 2025-11-25: any day will do.
const BEGIN_US: i64 = 1_764_064_800_000_000;

impl Simulation {
    /// Plays a scenario to its end.
    ///
    /// # Errors
    /// The first invariant that was broken, and when.
    pub fn play(scenario: Scenario, seed: u64) -> Result<Report, String> {
        let mut simulation = Self::new(scenario, seed);
        match simulation.run() {
            Ok(()) => {}
            Err(broken) => {
                let at = std::time::Duration::from_micros(simulation.now_us);
                let rows = simulation.rows_named_in(&broken);
                return Err(format!("seed {seed}, after {at:?}: {broken}{rows}"));
            }
        }
        Ok(simulation.report)
    }

    fn new(scenario: Scenario, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut store = Store::default();
        let holder = rng.bits();
        let now = Timestamp::from_micros(BEGIN_US);
        let mut server = Server::start(&mut store, holder, now, scenario.bug);
        let command = Command::CreateUser {
            username: "admin".to_owned(),
            password_hash: PasswordHash::new(String::new()),
            role: Role::Admin,
            tier: Tier::Enterprise,
        };
        server.receive(Caller::Heartbeat, Request::system(command));
        let batch = server.decide(now);
        server.commit(batch, &mut store, Disk::Healthy, false, now).expect("an empty disk takes the first row");
        let admin = server.cluster().user_named("admin").expect("just created").id;
        let nodes = |agent: usize| {
            let node = |number: usize| NodeDeclaration {
                name: format!("node-{agent}-{number}"),
                region: "region".to_owned(),
                zone: format!("zone-{}", agent % 2),
                capacity: CAPACITY,
                runtimes: Runtimes::of(&[Runtime::Process]),
                labels: BTreeMap::new(),
            };
            (0..scenario.nodes_per_agent).map(node).collect()
        };
        let agents: Vec<Agent> = (0..scenario.agents).map(|agent| Agent::new(nodes(agent), scenario.bug)).collect();
        let most = i64::try_from(scenario.clock_drift_permille).unwrap_or(0);
        let drift_permille =
            agents.iter().map(|_| rng.between(0, 2 * scenario.clock_drift_permille + 1) as i64 - most).collect();
        Self {
            people: People::new(scenario.people, admin),
            connections: vec![None; agents.len()],
            alarms: vec![None; agents.len()],
            agents,
            drift_permille,
            rng,
            now_us: 0,
            queue: Queue::default(),
            store,
            disk: Disk::Healthy,
            server: Some(server),
            holder,
            turn_foreseen: false,
            committing: false,
            next_connection: 0,
            working: true,
            report: Report {
                commits: 0,
                acknowledged: 0,
                starts: 0,
                server_deaths: 0,
                agent_deaths: 0,
                failed_commits: 0,
                refused_writes: 0,
                lost_messages: 0,
                doubled_messages: 0,
                fingerprint: seed,
            },
            scenario,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for agent in 0..self.agents.len() {
            let at = self.rng.between(0, SECOND_US);
            self.queue.push(at, Event::AgentStarts { agent });
        }
        for number in 0..self.people.count() {
            let at = self.rng.between(SECOND_US, 3 * SECOND_US);
            self.queue.push(at, Event::PersonActs { number });
        }
        self.queue.push(0, Event::Resync { holder: self.holder });
        self.foresee_faults();
        let end_of_work = self.scenario.seconds * SECOND_US;
        self.run_until(end_of_work)?;
        self.mend();
        // Long enough for the longest pause of agents and planner to end.
        self.run_until(end_of_work + 900 * SECOND_US)?;
        self.check_end()?;
        self.report.acknowledged = self.people.acknowledged;
        self.report.starts = self.agents.iter().map(|agent| agent.machine.starts).sum();
        self.report.refused_writes = self.agents.iter().map(|agent| agent.machine.refused_writes).sum();
        Ok(())
    }

    fn run_until(&mut self, end_us: u64) -> Result<(), String> {
        while let Some((at_us, event)) = self.queue.pop() {
            if at_us > end_us {
                self.queue.push(at_us, event);
                break;
            }
            self.now_us = at_us.max(self.now_us);
            self.happen(event)?;
        }
        self.now_us = end_us;
        Ok(())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(BEGIN_US + self.now_us as i64)
    }

    /// The time as an agent's clock has it.
    fn agent_now(&self, agent: usize) -> u64 {
        let drift = self.now_us as i64 / 1_000 * self.drift_permille[agent];
        (self.now_us as i64 + drift) as u64 + 1
    }

    fn note(&mut self, what: u64) {
        let mixed = self.report.fingerprint ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.now_us;
        self.report.fingerprint = mixed.rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::ServerTurn { holder } if holder == self.holder => self.server_turn(),
            Event::Commit { holder, batch } if holder == self.holder => self.commit(*batch)?,
            Event::Resync { holder } if holder == self.holder => {
                self.foresee_turn();
                // Only what is durable may be told, so not while a commit is under way.
                let idle = self.server.as_ref().filter(|_| !self.committing);
                for said in idle.map(Server::repeat).unwrap_or_default() {
                    self.carry(said);
                }
                self.queue.push(self.now_us + RESYNC_US, Event::Resync { holder });
            }
            Event::ServerTurn { .. } | Event::Commit { .. } | Event::Resync { .. } => {}
            Event::ServerDies => self.server_dies(),
            Event::ServerStarts => self.server_starts()?,
            Event::PersonActs { number } => self.person_acts(number),
            Event::ToServer { holder, caller, request } => {
                if holder == self.holder
                    && let Some(server) = &mut self.server
                {
                    server.receive(caller, request);
                    if server.backlog() > 10_000 {
                        return Err("I8: more than 10,000 commands wait".to_owned());
                    }
                    self.foresee_turn();
                }
            }
            Event::Answer { said: Said::Answer { person, request, result } } => {
                self.note(person as u64 ^ request);
                self.people.hear(person, request, &result);
            }
            Event::Answer { .. } => {}
            Event::Connected { agent, life, connection } => {
                if self.connections[agent] == Some(connection) && self.agents[agent].lives == life {
                    self.tell(agent, Told::Session(session::Input::Connected))?;
                }
            }
            Event::Lost { agent, life, connection } => {
                if self.connections[agent] == Some(connection) {
                    self.connections[agent] = None;
                    if let Some(server) = &mut self.server {
                        server.detach(agent, connection);
                    }
                }
                if self.agents[agent].lives == life {
                    let random = self.rng.bits();
                    self.tell(agent, Told::Session(session::Input::Lost { random }))?;
                }
            }
            Event::FromAgent { agent, connection, message } => self.hear_agent(agent, connection, message),
            Event::ToAgent { agent, connection, message } => {
                if self.connections[agent] == Some(connection) {
                    self.tell(agent, Told::Session(session::Input::Received(message)))?;
                }
            }
            Event::ToSupervisor { agent, life, input } => {
                if self.agents[agent].lives == life {
                    self.tell(agent, Told::Supervisor(input))?;
                }
            }
            Event::ProcessEnds { agent, replica, pid, code, cause } => {
                if let Some((run, exit)) = self.agents[agent].machine.end(replica, pid, code, cause) {
                    self.note(pid);
                    let life = self.agents[agent].lives;
                    let input = supervisor::Input::Exited { replica_id: replica, run, exit };
                    let at = self.now_us + self.rng.between(100, 5_000);
                    self.queue.push(at, Event::ToSupervisor { agent, life, input });
                }
            }
            Event::Probe { agent, life, replica, run, number } => {
                let serves = self.agents[agent].machine.serves(replica, self.now_us);
                let result = if serves { Ok(()) } else { Err("connection refused".to_owned()) };
                let input = supervisor::Input::Probed { replica_id: replica, run, number, result };
                if self.agents[agent].lives == life {
                    self.tell(agent, Told::Supervisor(input))?;
                }
            }
            Event::AgentWakes { agent, life } => {
                if self.agents[agent].lives == life && self.alarms[agent] == Some(self.now_us) {
                    self.alarms[agent] = None;
                    self.tell(agent, Told::Supervisor(supervisor::Input::Tick))?;
                    self.tell(agent, Told::Session(session::Input::Tick))?;
                }
            }
            Event::AgentDies { agent } => {
                if self.working && self.agents[agent].is_up() {
                    let left = self.rng.between(0, 6);
                    self.agents[agent].dies_after = Some(left);
                }
            }
            Event::AgentStarts { agent } => {
                if !self.agents[agent].is_up() {
                    self.agent_starts(agent)?;
                }
            }
            Event::DiskTurns(disk) => {
                if self.working {
                    self.disk = disk;
                }
            }
            Event::AgentDisk { agent, full } => self.agents[agent].machine.disk_full = full && self.working,
        }
        Ok(())
    }
}
