//! The server's turns: decide, commit, say; and its deaths between any two of them.

use super::{Event, RESYNC_US, SECOND_US, Simulation};
use crate::agent::in_words_of_the_protocol;
use crate::server::{Batch, Caller, Said, Server};
use crate::store::Disk;

impl Simulation {
    pub(super) fn foresee_turn(&mut self) {
        if self.server.is_some() && !self.turn_foreseen && !self.committing {
            self.turn_foreseen = true;
            let at = self.now_us + self.rng.between(50, 1_000);
            self.queue.push(at, Event::ServerTurn { holder: self.holder });
        }
    }

    pub(super) fn server_turn(&mut self) {
        self.turn_foreseen = false;
        let now = self.wall();
        let Some(server) = &mut self.server else { return };
        let batch = server.decide(now);
        for said in server.blurt(&batch) {
            self.queue.push(self.now_us + 100, Event::Answer { said });
        }
        self.committing = true;
        let at = self.now_us + self.rng.between(300, 4_000);
        self.queue.push(at, Event::Commit { holder: self.holder, batch: Box::new(batch) });
    }

    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), String> {
        self.committing = false;
        let (now, disk) = (self.wall(), self.disk);
        let lost = self.rng.percent(50);
        let Some(server) = &mut self.server else { return Ok(()) };
        self.report.failed_commits += u64::from(disk != Disk::Healthy && !batch.is_empty());
        let said = match server.commit(batch, &mut self.store, disk, lost, now) {
            Ok(said) => said,
            Err(_) => {
                self.server_dies();
                return Ok(());
            }
        };
        self.report.commits += 1;
        server.look_up_unlisted(&self.store);
        if server.backlog() > 0 {
            self.foresee_turn();
        }
        self.check_rows()?;
        // The server may die between the commit and the last word about it.
        let cut = self.working && self.scenario.server_dies_every_s > 0 && self.rng.percent(1);
        let upto = if cut { self.rng.between(0, said.len() as u64 + 1) as usize } else { said.len() };
        for one in said.into_iter().take(upto) {
            self.carry(one);
        }
        if cut {
            self.server_dies();
        }
        Ok(())
    }

    /// Brings what a server says to whom it is for.
    pub(super) fn carry(&mut self, said: Said) {
        match said {
            Said::Answer { .. } => {
                let at = self.now_us + self.rng.between(100, 2_000);
                self.queue.push(at, Event::Answer { said });
            }
            Said::Closed { agent, connection } => {
                let life = self.agents[agent].lives;
                self.queue.push(self.now_us + 500, Event::Lost { agent, life, connection });
            }
            Said::Welcome { .. } | Said::Assignment { .. } | Said::Acknowledge { .. } => {
                let Some((agent, connection, message)) = in_words_of_the_protocol(said) else { return };
                for late in self.arrivals_us() {
                    let message = message.clone();
                    self.queue.push(self.now_us + late, Event::ToAgent { agent, connection, message });
                }
            }
        }
    }

    pub(super) fn server_dies(&mut self) {
        if self.server.take().is_none() {
            return;
        }
        self.report.server_deaths += 1;
        self.people.lose_answers();
        self.turn_foreseen = false;
        self.committing = false;
        self.holder = self.rng.bits();
        for agent in 0..self.agents.len() {
            if let Some(connection) = self.connections[agent] {
                let life = self.agents[agent].lives;
                let at = self.now_us + self.rng.between(100, 50_000);
                self.queue.push(at, Event::Lost { agent, life, connection });
            }
        }
        let at = self.now_us + self.rng.between(SECOND_US / 10, 3 * SECOND_US);
        self.queue.push(at, Event::ServerStarts);
    }

    pub(super) fn server_starts(&mut self) -> Result<(), String> {
        if self.server.is_some() {
            return Ok(());
        }
        self.people.check(&self.store)?;
        let now = self.wall();
        self.server = Some(Server::start(&mut self.store, self.holder, now, self.scenario.bug));
        self.queue.push(self.now_us + RESYNC_US, Event::Resync { holder: self.holder });
        self.foresee_turn();
        Ok(())
    }

    pub(super) fn person_acts(&mut self, number: usize) {
        if !self.working {
            return;
        }
        let at = self.now_us + self.rng.between(20_000, 800_000);
        self.queue.push(at, Event::PersonActs { number });
        if self.server.is_none() {
            return;
        }
        if let Some((request_number, request)) = self.people.ask(number, &mut self.rng, &self.store) {
            let caller = Caller::Person { number, request: request_number };
            let at = self.now_us + self.rng.between(100, 2_000);
            self.queue.push(at, Event::ToServer { holder: self.holder, caller, request });
        }
    }

    /// When copies of a message arrive on the wire as it is now.
    pub(super) fn arrivals_us(&mut self) -> Vec<u64> {
        let arrivals = self.scenario.network.arrivals_us(&mut self.rng);
        self.report.lost_messages += u64::from(arrivals.is_empty());
        self.report.doubled_messages += u64::from(arrivals.len() > 1);
        arrivals
    }
}
