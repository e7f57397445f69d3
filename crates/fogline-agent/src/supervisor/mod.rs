//! The life of every replica of this agent: start, watch, restart, stop, report.
//!
//! Decides purely: what happened comes in as [`Input`] with the time, what is to be done goes out as [`Output`]; the
//! driver, the disk, sockets and clocks are elsewhere (`run.rs`, or a simulation). Must never stop a replica that no
//! list orders to stop, and never start one twice without an end in between, nor one that has ended for good.
//!
//! Reports are numbered across restarts of the agent: `seq` = incarnation × 2⁴⁰ + a counter. The incarnation is a number
//! on the agent's disk which is raised and synced before a supervisor is made, so no later report has a lower number,
//! whatever happens to clocks or to anything else that is kept. Tests: `tests/it/supervisor.rs`, and in each file.

mod crashes;
mod event;
mod life;
mod memo;
mod readiness;
mod replica;
mod warm_up;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fogline_core::assignment::{Assignment, Want};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReplicaReport;

use crate::driver::{Adopted, AdoptedState, ExitCause};
use crate::ports::{PortRange, Ports};
use life::Step;
use readiness::Past;
use replica::{Listing, Phase, Replica, Subject};

pub use crashes::{CRASH_LOOP, Crashes, FIRST_PAUSE_US, LONGEST_PAUSE_US, PAUSE_FORGOTTEN_AFTER_US, STEADY_AFTER_US};
pub use event::{Input, Output, ProbeOrder, WarmUpOrder};
pub use memo::{End, Memo};
pub use readiness::ProbeTarget;
pub(crate) use replica::endpoint;

/// So many starts are under way at once: more would only slow each other down.
const STARTS_AT_ONCE: usize = 16;
/// Bits of a report's number that count within one incarnation: 2⁴⁰ reports are 300 years at 100 a second.
const SEQ_BITS: u32 = 40;

/// What a supervisor must know from the start.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// Higher than that of any earlier supervisor on this agent's disk.
    pub incarnation: u64,
    /// The address under which the replicas' ports can be reached.
    pub address: String,
    /// Where ports are picked.
    pub ports: PortRange,
}

/// All replicas of this agent.
#[derive(Debug)]
pub struct Supervisor {
    address: String,
    seq: u64,
    ports: Ports,
    replicas: BTreeMap<ReplicaId, Replica>,
    timers: BTreeSet<(u64, ReplicaId)>,
    /// Under way.
    starting: BTreeSet<ReplicaId>,
    /// Due, and waiting for others to be through.
    queued: BTreeSet<ReplicaId>,
    stopping_all: bool,
}

impl Supervisor {
    /// Without any replica.
    #[must_use]
    pub fn new(config: SupervisorConfig) -> Self {
        Self {
            address: config.address,
            seq: config.incarnation << SEQ_BITS,
            ports: Ports::new(config.ports, config.incarnation),
            replicas: BTreeMap::new(),
            timers: BTreeSet::new(),
            starting: BTreeSet::new(),
            queued: BTreeSet::new(),
            stopping_all: false,
        }
    }

    /// Takes what happened, and everything that is due; says what is to be done now.
    pub fn step(&mut self, input: Input, now_us: u64) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Restored { memos, adopted } => self.restore(memos, adopted, now_us, &mut out),
            Input::Assigned { .. } | Input::Recalled { .. } if self.stopping_all => {}
            Input::Assigned { node, node_id, assignment, unsaved } => {
                self.assigned(&node, node_id, &assignment, unsaved.as_deref(), now_us, &mut out);
                // After a restart the older list that is on disk counts again, and would start anew what had been
                // forgotten.
                if unsaved.is_none() {
                    self.unlist(&node, &assignment, now_us, &mut out);
                }
            }
            Input::Recalled { node, node_id, assignment } => {
                self.assigned(&node, node_id, &assignment, None, now_us, &mut out);
            }
            Input::Started { replica_id, run, started } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, ports| {
                    if matches!(replica.phase, Phase::Starting) {
                        replica.started(started, ports, now_us);
                    }
                });
            }
            Input::Preparing { replica_id, run, progress } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, _| replica.preparing(progress));
            }
            Input::StartFailed { replica_id, run, error } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, ports| {
                    if matches!(replica.phase, Phase::Starting) {
                        replica.start_failed(&error, ports, now_us);
                    }
                });
            }
            Input::PortTaken { replica_id, run, port } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, ports| {
                    if matches!(replica.phase, Phase::Starting) {
                        replica.port_taken(port, ports, now_us);
                    }
                });
            }
            Input::Exited { replica_id, run, exit } => {
                // Of one that is held, nobody may know the run.
                let is_held = |replica: &Replica| matches!(replica.phase, Phase::Held { .. });
                let run = self.replicas.get(&replica_id).filter(|one| is_held(one)).map_or(run, |one| one.run);
                self.on_run(replica_id, run, now_us, &mut out, |replica, ports| {
                    if replica.may_run() {
                        replica.exited(&exit, ports, now_us);
                    }
                });
            }
            Input::Adopted(found) => {
                let Adopted { order, container_id, .. } = *found;
                self.on_run(order.replica_id, order.run, now_us, &mut out, |replica, _| {
                    replica.made_out(Subject::of(&order), container_id, now_us);
                });
            }
            Input::Probed { replica_id, run, number, result } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, _| replica.probed(number, result, now_us));
            }
            Input::WarmedUp { replica_id, run, result } => {
                self.on_run(replica_id, run, now_us, &mut out, |replica, _| replica.warmed_up(result, now_us));
            }
            Input::StopAll => {
                self.stopping_all = true;
                for id in self.replicas.keys().copied().collect::<Vec<_>>() {
                    self.on(id, now_us, &mut out, |replica, _| replica.stop_ordered = true);
                }
            }
            Input::Tick => {}
        }
        while let Some(&(due_us, id)) = self.timers.first() {
            if due_us > now_us {
                break;
            }
            self.on(id, now_us, &mut out, |_, _| {});
        }
        while self.starting.len() < STARTS_AT_ONCE {
            let Some(id) = self.queued.pop_first() else { break };
            self.on(id, now_us, &mut out, |_, _| {});
        }
        out
    }

    /// When [`Input::Tick`] is wanted next.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        self.timers.first().map(|(due_us, _)| *due_us)
    }

    /// What was last said of every replica, with its node's name.
    pub fn reports(&self) -> impl Iterator<Item = (&Arc<str>, &ReplicaReport)> {
        self.replicas.values().filter_map(|replica| Some((&replica.node, replica.reported.as_ref()?)))
    }

    /// How many replicas may have something running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.replicas.values().filter(|replica| replica.may_run()).count()
    }

    fn restore(&mut self, memos: Vec<Memo>, adopted: Vec<Adopted>, now_us: u64, out: &mut Vec<Output>) {
        let mut memos: BTreeMap<ReplicaId, Memo> = memos.into_iter().map(|memo| (memo.replica_id, memo)).collect();
        // What runs keeps its port. The order of a run that is over may name one that was given to another since.
        let (over, running): (Vec<_>, Vec<_>) =
            adopted.into_iter().partition(|found| matches!(found.state, AdoptedState::Exited(_)));
        for found in running.into_iter().chain(over) {
            let id = found.order.replica_id;
            let node: Arc<str> = found.order.node_name.as_str().into();
            let waiting = Phase::Waiting { until_us: now_us, restart: false };
            let memo = memos.remove(&id);
            let end = memo.as_ref().and_then(|memo| memo.end);
            let past = match &memo {
                // What was remembered before this run says nothing of it.
                Some(memo) if memo.run == found.order.run && memo.ready => Past::Ready,
                Some(memo) if memo.run == found.order.run && memo.run_was_ready => Past::WasReady,
                _ => Past::New,
            };
            let mut replica = match memo {
                Some(memo) => Replica::remembered(memo, node, waiting),
                None => Replica::new(id, node, waiting),
            };
            replica.run = replica.run.max(found.order.run);
            let is_over = matches!(found.state, AdoptedState::Exited(_));
            replica.port = found.order.port.filter(|port| self.ports.claim(*port, id).is_ok() || !is_over);
            replica.container_id = found.container_id;
            // Of one that is held the order may be unknown; its list tells.
            let is_held = matches!(found.state, AdoptedState::Held { .. });
            replica.subject = (!is_held).then(|| Subject::of(&found.order));
            replica.image_digest = found.order.image_digest.clone().or(replica.image_digest);
            match (found.state, end) {
                // It ended for good and yet runs: its end is carried out.
                (AdoptedState::Alive, Some(_)) => {
                    replica.stop_ordered = true;
                    replica.alive(past, now_us);
                }
                (AdoptedState::Alive, None) => replica.alive(past, now_us),
                (AdoptedState::Held { why }, end) => {
                    replica.stop_ordered |= end.is_some();
                    let why = format!(
                        "a process of an earlier run still holds it, and the agent cannot make it out: {why}; it counts \
                         as running until it ends or is told to stop"
                    );
                    replica.held(past, &why);
                }
                (AdoptedState::Exited(_), Some(end)) => {
                    if let Some(port) = replica.port {
                        self.ports.release(port, id);
                    }
                    replica.phase = Phase::Ended(end);
                }
                (AdoptedState::Exited(exit), None) => match exit.cause {
                    ExitCause::NotStarted(ref error) => replica.start_failed(error, &mut self.ports, now_us),
                    _ => {
                        replica.alive(past, now_us);
                        replica.exited(&exit, &mut self.ports, now_us);
                    }
                },
            }
            self.settle(replica, now_us, out);
        }
        for memo in memos.into_values() {
            let phase = memo.end.map_or(Phase::Waiting { until_us: now_us, restart: memo.run > 0 }, Phase::Ended);
            let node = memo.node.as_str().into();
            self.settle(Replica::remembered(memo, node, phase), now_us, out);
        }
    }

    fn assigned(
        &mut self,
        node: &Arc<str>,
        node_id: NodeId,
        assignment: &Assignment,
        unsaved: Option<&str>,
        now_us: u64,
        out: &mut Vec<Output>,
    ) {
        for assigned in &assignment.replicas {
            let id = assigned.replica_id;
            let subject = assignment.templates.get(&(assigned.deployment_id, assigned.revision)).map(|found| Subject {
                deployment_id: assigned.deployment_id,
                deployment_name: found.deployment_name.clone(),
                node_id,
                revision: assigned.revision,
                template: Arc::clone(&found.template),
                image_digest: found.image_digest.clone(),
            });
            let mut replica = match self.take(id) {
                Some(replica) => replica,
                None => {
                    let phase = Phase::Waiting { until_us: now_us, restart: false };
                    let mut replica = Replica::new(id, Arc::clone(node), phase);
                    if let (Want::Run, Some(why)) = (assigned.want, unsaved) {
                        replica.message = Some(format!("not started: the agent cannot write its assignment: {why}"));
                        replica.end(End::Failed, &mut self.ports);
                    }
                    replica
                }
            };
            replica.node = Arc::clone(node);
            replica.listing = Listing::Listed;
            // The revision of a replica never changes: what it was started from stays.
            let settled = subject.as_ref().and_then(|subject| subject.image_digest.clone());
            replica.subject = replica.subject.take().or(subject);
            // But for what its image is: that is settled once, by whoever was first.
            if let (Some(subject), Some(settled)) = (&mut replica.subject, settled) {
                subject.image_digest = Some(settled);
            }
            replica.stop_ordered |= assigned.want == Want::Stop;
            self.settle(replica, now_us, out);
        }
    }

    /// Takes note of what is on a node's list no more.
    fn unlist(&mut self, node: &Arc<str>, assignment: &Assignment, now_us: u64, out: &mut Vec<Output>) {
        let listed: BTreeSet<ReplicaId> = assignment.replicas.iter().map(|assigned| assigned.replica_id).collect();
        let unlisted: Vec<ReplicaId> = self
            .replicas
            .values()
            .filter(|replica| replica.node == *node && !listed.contains(&replica.id))
            .map(|replica| replica.id)
            .collect();
        for id in unlisted {
            self.on(id, now_us, out, |replica, _| replica.listing = Listing::Unlisted);
        }
    }

    /// Changes a replica, when the news is of its current run.
    fn on_run(
        &mut self,
        id: ReplicaId,
        run: u32,
        now_us: u64,
        out: &mut Vec<Output>,
        change: impl FnOnce(&mut Replica, &mut Ports),
    ) {
        if self.replicas.get(&id).is_some_and(|replica| replica.run == run) {
            self.on(id, now_us, out, change);
        }
    }

    fn on(&mut self, id: ReplicaId, now_us: u64, out: &mut Vec<Output>, change: impl FnOnce(&mut Replica, &mut Ports)) {
        if let Some(mut replica) = self.take(id) {
            change(&mut replica, &mut self.ports);
            self.settle(replica, now_us, out);
        }
    }

    fn take(&mut self, id: ReplicaId) -> Option<Replica> {
        let mut replica = self.replicas.remove(&id)?;
        if let Some(due_us) = replica.timer_us.take() {
            self.timers.remove(&(due_us, id));
        }
        self.starting.remove(&id);
        self.queued.remove(&id);
        Some(replica)
    }

    /// Lets a replica do what is due, and puts it back: first what must be remembered goes out, then what is done,
    /// then what is told.
    fn settle(&mut self, mut replica: Replica, now_us: u64, out: &mut Vec<Output>) {
        let id = replica.id;
        let mut done = Vec::new();
        let last = loop {
            let slot = self.starting.len() < STARTS_AT_ONCE;
            match replica.advance(&mut self.ports, slot, now_us, &mut done) {
                Step::Moved => {}
                last => break last,
            }
        };
        let memo = replica.memo();
        if replica.saved.as_ref() != Some(&memo) && last != Step::Gone {
            out.push(Output::Persist(memo.clone()));
            replica.saved = Some(memo);
        }
        out.append(&mut done);
        let report = replica.report(&self.address);
        if replica.reported.as_ref() != Some(&report) {
            self.seq += 1;
            let report = ReplicaReport { seq: self.seq, ..report };
            out.push(Output::Report { node: Arc::clone(&replica.node), report: report.clone() });
            replica.reported = Some(report);
        }
        if last == Step::Gone {
            out.push(Output::Forget { replica_id: id });
            return;
        }
        match last {
            Step::WantsSlot => {
                self.queued.insert(id);
            }
            _ => {
                replica.timer_us = replica.due_us();
                if let Some(due_us) = replica.timer_us {
                    self.timers.insert((due_us, id));
                }
            }
        }
        // One that waits for its image takes nothing from those that could start.
        if matches!(replica.phase, Phase::Starting) && replica.progress.is_none() {
            self.starting.insert(id);
        }
        self.replicas.insert(id, replica);
    }
}
