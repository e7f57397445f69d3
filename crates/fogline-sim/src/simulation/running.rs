//! What agents want of the world, and what the world does about it.

use fogline_agent::driver::{ExitCause, Signal, Started};
use fogline_agent::supervisor;
use fogline_api::protocol::FromAgent;
use fogline_core::command::{Command, Request};

use super::{Event, SECOND_US, Simulation};
use crate::agent::{Told, Wish};
use crate::server::Caller;

impl Simulation {
    pub(super) fn hear_agent(&mut self, agent: usize, connection: u64, message: FromAgent) {
        if self.connections[agent] != Some(connection) || self.server.is_none() {
            return;
        }
        let requests = match message {
            FromAgent::Hello(greeting) => {
                let request = Request::agent(Command::DeclareNodes { nodes: greeting.nodes });
                vec![(Caller::Hello { agent, connection }, request)]
            }
            FromAgent::Observation(seen) => {
                let command = Command::Observe { node_id: seen.node_id, reports: seen.reports };
                vec![(Caller::Observation { agent, connection, number: seen.number }, Request::agent(command))]
            }
            FromAgent::Heartbeat(loads) => loads
                .into_iter()
                .map(|load| {
                    let command =
                        Command::Heartbeat { node_id: load.node_id, usage: load.usage, replicas: load.replicas };
                    (Caller::Heartbeat, Request::agent(command))
                })
                .collect(),
            FromAgent::LogChunk(_) | FromAgent::ExecResult(_) => Vec::new(),
        };
        if let Some(server) = &mut self.server {
            for (caller, request) in requests {
                server.receive(caller, request);
            }
        }
        self.foresee_turn();
    }

    pub(super) fn agent_starts(&mut self, agent: usize) -> Result<(), String> {
        // The alarm of an earlier life will not reach this one.
        self.alarms[agent] = None;
        let now_us = self.agent_now(agent);
        let mut rng = self.rng.clone();
        let mut serves_after = || rng.between(1_000, SECOND_US / 2);
        let wishes = self.agents[agent].start(&mut serves_after, now_us)?;
        self.rng = rng;
        self.grant(agent, wishes);
        Ok(())
    }

    pub(super) fn tell(&mut self, agent: usize, told: Told) -> Result<(), String> {
        if !self.agents[agent].is_up() {
            return Ok(());
        }
        let now_us = self.agent_now(agent);
        let mut rng = self.rng.clone();
        let mut serves_after = || rng.between(1_000, SECOND_US / 2);
        let wishes = self.agents[agent].tell(told, &mut serves_after, now_us)?;
        self.rng = rng;
        self.grant(agent, wishes);
        Ok(())
    }

    pub(super) fn grant(&mut self, agent: usize, wishes: Vec<Wish>) {
        let life = self.agents[agent].lives;
        for wish in wishes {
            self.grant_one(agent, life, wish);
        }
        if !self.agents[agent].is_up() {
            self.agent_is_dead(agent);
        } else if let Some(wake_us) = self.agents[agent].next_wake() {
            let wait = wake_us.saturating_sub(self.agent_now(agent)).clamp(1_000, 3_600 * SECOND_US);
            let at = self.now_us + wait;
            // One alarm at a time: an earlier one replaces a later one.
            if self.alarms[agent].is_none_or(|alarm| at < alarm || alarm < self.now_us) {
                self.alarms[agent] = Some(at);
                self.queue.push(at, Event::AgentWakes { agent, life });
            }
        }
    }

    pub(super) fn grant_one(&mut self, agent: usize, life: u64, wish: Wish) {
        match wish {
            Wish::Connect => {
                self.next_connection += 1;
                let connection = self.next_connection;
                self.connections[agent] = Some(connection);
                let at = self.now_us + self.rng.between(200, 3_000);
                let event = if self.server.is_some() {
                    Event::Connected { agent, life, connection }
                } else {
                    Event::Lost { agent, life, connection }
                };
                self.queue.push(at, event);
            }
            Wish::Disconnect => {
                let connection = self.connections[agent].unwrap_or_default();
                self.queue.push(self.now_us + 200, Event::Lost { agent, life, connection });
            }
            Wish::Send(message) => {
                let Some(connection) = self.connections[agent] else { return };
                for late in self.arrivals_us() {
                    let message = message.clone();
                    self.queue.push(self.now_us + late, Event::FromAgent { agent, connection, message });
                }
            }
            Wish::Started { replica, run, pid } => {
                self.note(u64::from(run));
                let pid_number: u64 = pid.parse().unwrap_or_default();
                if self.rng.percent(self.scenario.crashing_percent) {
                    let at = self.now_us + self.rng.between(1_000, 3 * SECOND_US);
                    let cause = ExitCause::Exited;
                    self.queue.push(at, Event::ProcessEnds { agent, replica, pid: pid_number, code: 1, cause });
                }
                let input = supervisor::Input::Started { replica_id: replica, run, started: Started::new(pid) };
                let at = self.now_us + self.rng.between(1_000, 50_000);
                self.queue.push(at, Event::ToSupervisor { agent, life, input });
            }
            Wish::StartFailed { replica, run, error } => {
                let input = supervisor::Input::StartFailed { replica_id: replica, run, error };
                let at = self.now_us + self.rng.between(100, 5_000);
                self.queue.push(at, Event::ToSupervisor { agent, life, input });
            }
            Wish::Signal { replica, signal } => {
                let Some(pid) = self.agents[agent].machine.target(replica, signal) else { return };
                // Some do not care for SIGTERM.
                let (code, late) = match signal {
                    Signal::Terminate if self.rng.percent(20) => return,
                    Signal::Terminate => (0, self.rng.between(100, SECOND_US)),
                    Signal::Kill => (137, self.rng.between(100, 2_000)),
                };
                let cause = if code == 0 { ExitCause::Exited } else { ExitCause::Signalled };
                self.queue.push(self.now_us + late, Event::ProcessEnds { agent, replica, pid, code, cause });
            }
            Wish::Probe { replica, run, number } => {
                let at = self.now_us + self.rng.between(100, 3_000);
                self.queue.push(at, Event::Probe { agent, life, replica, run, number });
            }
        }
    }

    pub(super) fn agent_is_dead(&mut self, agent: usize) {
        self.report.agent_deaths += 1;
        if let Some(connection) = self.connections[agent].take()
            && let Some(server) = &mut self.server
        {
            server.detach(agent, connection);
        }
        // Now and then it stays away for so long that its nodes count as lost.
        let away = if self.rng.percent(20) { 30 } else { 4 };
        let at = self.now_us + self.rng.between(SECOND_US / 10, away * SECOND_US);
        self.queue.push(at, Event::AgentStarts { agent });
    }
}
