//! The machine under an agent: processes that live on when the agent dies, and what they left behind.
//!
//! Stands in for the process driver, which has tests of its own with real processes. Checks what only the machine can
//! see: that no replica runs twice, and that what runs on a node never takes more than the node has.

use std::collections::BTreeMap;

use fogline_agent::driver::{Adopted, AdoptedState, Exit, ExitCause, Signal, StartError, StartOrder};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::quantity::Resources;

/// One run of one replica.
#[derive(Clone, Debug)]
struct Process {
    order: StartOrder,
    pid: u64,
    serves_from_us: u64,
    exit: Option<Exit>,
}

/// What a machine can be asked to do.
#[derive(Debug, Default)]
pub struct Machine {
    processes: BTreeMap<ReplicaId, Process>,
    next_pid: u64,
    /// No file can be written: nothing can be started.
    pub disk_full: bool,
    /// Starts that were done, over all time.
    pub starts: u64,
    /// Starts and lists that the full disk refused, over all time.
    pub refused_writes: u64,
}

impl Machine {
    /// Starts a run.
    ///
    /// # Errors
    /// `Ok(Err)`: it could not be started, as drivers say it. `Err`: an invariant is broken.
    pub fn start(
        &mut self,
        order: StartOrder,
        serves_from_us: u64,
        capacity: Resources,
    ) -> Result<Result<String, StartError>, String> {
        if self.disk_full {
            self.refused_writes += 1;
            return Ok(Err(StartError::DiskFull {
                program: "service".to_owned(),
                path: "the replica's directory".into(),
            }));
        }
        let id = order.replica_id;
        if let Some(old) = self.processes.get(&id) {
            if old.exit.is_none() {
                return Err(format!("I4: {id} runs already as {}, and is started again", old.pid));
            }
            if old.order.run >= order.run {
                return Err(format!("I4: run {} of {id} is started after run {}", order.run, old.order.run));
            }
        }
        self.next_pid += 1;
        self.starts += 1;
        let (pid, node) = (self.next_pid, order.node_id);
        self.processes.insert(id, Process { order, pid, serves_from_us, exit: None });
        let taken = self.taken(node);
        if !capacity.covers(taken) {
            let there = self.processes.values().filter(|p| p.exit.is_none() && p.order.node_id == node);
            let there: Vec<String> = there.map(|p| p.order.replica_id.to_string()).collect();
            return Err(format!("I3: what runs on {node} takes {taken}, and it has {capacity}: {there:?}"));
        }
        Ok(Ok(pid.to_string()))
    }

    fn taken(&self, node: NodeId) -> Resources {
        let running = self.processes.values().filter(|process| process.exit.is_none() && process.order.node_id == node);
        running.fold(Resources::ZERO, |sum, process| sum.plus(process.order.template.resources))
    }

    /// Ends a run; nothing where it is over, or is not this run any more.
    pub fn end(&mut self, id: ReplicaId, pid: u64, code: i32, cause: ExitCause) -> Option<(u32, Exit)> {
        let process = self.processes.get_mut(&id).filter(|process| process.exit.is_none() && process.pid == pid)?;
        let exit = Exit { code: Some(code), cause, message: format!("ended with {code}") };
        process.exit = Some(exit.clone());
        Some((process.order.run, exit))
    }

    /// The process that a signal would reach.
    #[must_use]
    pub fn target(&self, id: ReplicaId, _signal: Signal) -> Option<u64> {
        self.processes.get(&id).filter(|process| process.exit.is_none()).map(|process| process.pid)
    }

    /// Whether a replica answers.
    #[must_use]
    pub fn serves(&self, id: ReplicaId, now_us: u64) -> bool {
        self.processes.get(&id).is_some_and(|process| process.exit.is_none() && process.serves_from_us <= now_us)
    }

    /// What a driver finds after its agent was restarted.
    #[must_use]
    pub fn adopt(&self) -> Vec<Adopted> {
        let found = self.processes.values().map(|process| Adopted {
            order: process.order.clone(),
            container_id: Some(process.pid.to_string()),
            state: process.exit.clone().map_or(AdoptedState::Alive, AdoptedState::Exited),
        });
        found.collect()
    }

    /// Removes what is kept of a replica.
    ///
    /// # Errors
    /// It still runs: an orphan was about to be made.
    pub fn forget(&mut self, id: ReplicaId) -> Result<(), String> {
        match self.processes.remove(&id) {
            Some(process) if process.exit.is_none() => Err(format!("I4: {id} is forgotten while {} runs", process.pid)),
            _ => Ok(()),
        }
    }

    /// Replicas that run, with the process each of them is.
    pub fn running(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.processes.iter().filter(|(_, process)| process.exit.is_none()).map(|(id, process)| (*id, process.pid))
    }
}
