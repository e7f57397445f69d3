//! What goes wrong, foreseen from the seed, and the end of it.

use super::{Event, SECOND_US, Simulation};
use crate::network::CALM;
use crate::rng::Rng;
use crate::store::Disk;

impl Simulation {
    pub(super) fn foresee_faults(&mut self) {
        let end = self.scenario.seconds * SECOND_US;
        let times = |every_s: u64, rng: &mut Rng| {
            let mut at = 0;
            let mut times = Vec::new();
            if every_s == 0 {
                return times;
            }
            loop {
                at += rng.between(SECOND_US / 10, 2 * every_s * SECOND_US);
                if at >= end {
                    return times;
                }
                times.push(at);
            }
        };
        for at in times(self.scenario.server_dies_every_s, &mut self.rng) {
            self.queue.push(at, Event::ServerDies);
        }
        for at in times(self.scenario.agent_dies_every_s, &mut self.rng) {
            let agent = self.rng.between(0, self.agents.len() as u64) as usize;
            self.queue.push(at, Event::AgentDies { agent });
        }
        for at in times(self.scenario.disk_fails_every_s, &mut self.rng) {
            let kind = *self.rng.pick(&[Disk::Full, Disk::Broken, Disk::Silent]).expect("three kinds");
            self.queue.push(at, Event::DiskTurns(kind));
            let healed = at + self.rng.between(SECOND_US / 10, 3 * SECOND_US);
            self.queue.push(healed, Event::DiskTurns(Disk::Healthy));
        }
        for at in times(self.scenario.agent_disk_fills_every_s, &mut self.rng) {
            let agent = self.rng.between(0, self.agents.len() as u64) as usize;
            self.queue.push(at, Event::AgentDisk { agent, full: true });
            let healed = at + self.rng.between(SECOND_US, 10 * SECOND_US);
            self.queue.push(healed, Event::AgentDisk { agent, full: false });
        }
    }

    /// Nothing goes wrong any more, and nobody asks for anything.
    pub(super) fn mend(&mut self) {
        self.working = false;
        self.disk = Disk::Healthy;
        self.scenario.network = CALM;
        self.scenario.crashing_percent = 0;
        for agent in 0..self.agents.len() {
            self.agents[agent].machine.disk_full = false;
            self.agents[agent].dies_after = None;
            if !self.agents[agent].is_up() {
                self.queue.push(self.now_us, Event::AgentStarts { agent });
            }
        }
        if self.server.is_none() {
            self.queue.push(self.now_us, Event::ServerStarts);
        }
    }
}
