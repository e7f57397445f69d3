//! How a replica moves.
//!
//! [`Replica::advance`] does one step and says whether there may be another. Must never leave [`Phase::Ended`], nor
//! start anything while something of an earlier run may be there.

use fogline_core::spec::{ReplicaTemplate, Runtime};

use super::crashes::Verdict;
use super::event::{Output, ProbeOrder, WarmUpOrder};
use super::memo::End;
use super::readiness::{Past, Readiness};
use super::replica::{Ending, Listing, Phase, Replica, Subject};
use super::warm_up::WarmUp;
use crate::driver::{Exit, Signal, StartError, StartOrder, Started};
use crate::ports::Ports;

/// A SIGKILL that has not worked is sent again so often.
const KILL_AGAIN_US: u64 = 5_000_000;
const SECOND_US: u64 = 1_000_000;

/// What [`Replica::advance`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Something: look again.
    Moved,
    /// Nothing is to be done now.
    Resting,
    /// It would start, and needs a free slot for that.
    WantsSlot,
    /// It is over and known to everyone.
    Gone,
}

/// How a stop begins, and how long until the next signal.
fn first_signal(subject: Option<&Subject>) -> (Signal, u64) {
    match subject.map_or(0, |subject| subject.template.grace_s) {
        0 => (Signal::Kill, KILL_AGAIN_US),
        grace_s => (Signal::Terminate, u64::from(grace_s) * SECOND_US),
    }
}

/// An image may expose a port that the spec does not name: nobody knows before it is there.
fn may_listen(template: &ReplicaTemplate) -> bool {
    template.port.is_some() || template.runtime == Runtime::Docker
}

impl Replica {
    /// Does the next thing that is due. `slot` says whether one more may be started now.
    pub fn advance(&mut self, ports: &mut Ports, slot: bool, now_us: u64, out: &mut Vec<Output>) -> Step {
        if !matches!(self.phase, Phase::Starting) {
            self.progress = None;
        }
        match &mut self.phase {
            Phase::Waiting { until_us, restart } => {
                let (until_us, restart) = (*until_us, *restart);
                if self.stop_ordered {
                    return self.end(End::Stopped, ports);
                }
                if self.listing == Listing::Unlisted {
                    return self.end_unlisted(ports);
                }
                if self.listing == Listing::Unknown || self.subject.is_none() || now_us < until_us {
                    return Step::Resting;
                }
                if !slot {
                    return Step::WantsSlot;
                }
                self.start(restart, ports, now_us, out)
            }
            Phase::Starting => {
                // What waits for its image would wait on for nobody.
                if self.stop_ordered && self.progress.take().is_some() {
                    out.push(Output::Signal { replica_id: self.id, signal: Signal::Terminate });
                }
                Step::Resting
            }
            Phase::Alive { readiness, warm_up, start_deadline_us } => {
                if self.stop_ordered {
                    return self.terminate(now_us, out);
                }
                if !readiness.was_ready() && now_us >= *start_deadline_us {
                    let why = readiness.last_failure().unwrap_or("no probe was answered");
                    let why = format!("not ready within its start_timeout_s: {why}");
                    return self.give_up_start(why, now_us, out);
                }
                if let Some(why) = warm_up.failure(now_us) {
                    let why = format!("its warm-up failed: {why}");
                    return self.give_up_start(why, now_us, out);
                }
                if readiness.is_ready()
                    && let Some((spec, timeout_us)) = warm_up.order(now_us)
                {
                    self.message = Some("its check passes, and it is being warmed up".to_owned());
                    let (replica_id, run, port) = (self.id, self.run, self.port);
                    out.push(Output::WarmUp(WarmUpOrder { replica_id, run, port, spec, timeout_us }));
                }
                if let Some(question) = readiness.poll(now_us) {
                    out.push(Output::Probe(ProbeOrder {
                        replica_id: self.id,
                        run: self.run,
                        number: question.number,
                        target: question.target,
                        timeout_us: question.timeout_us,
                    }));
                }
                self.look(now_us);
                Step::Resting
            }
            Phase::Held { kill_at_us, .. } => {
                if !self.stop_ordered {
                    return Step::Resting;
                }
                let (signal, pause_us) = match *kill_at_us {
                    None => first_signal(self.subject.as_ref()),
                    Some(due_us) if now_us >= due_us => (Signal::Kill, KILL_AGAIN_US),
                    Some(_) => return Step::Resting,
                };
                *kill_at_us = Some(now_us.saturating_add(pause_us));
                out.push(Output::Signal { replica_id: self.id, signal });
                Step::Moved
            }
            Phase::Ending { kill_at_us, why } => {
                if self.stop_ordered {
                    *why = Ending::Ordered;
                }
                if now_us >= *kill_at_us {
                    out.push(Output::Signal { replica_id: self.id, signal: Signal::Kill });
                    *kill_at_us = now_us.saturating_add(KILL_AGAIN_US);
                }
                Step::Resting
            }
            Phase::Ended(_) if self.listing == Listing::Unlisted => Step::Gone,
            Phase::Ended(_) => Step::Resting,
        }
    }

    /// The driver has started it.
    pub fn started(&mut self, started: Started, ports: &mut Ports, now_us: u64) {
        self.container_id = Some(started.container_id);
        self.image_digest = started.image_digest.or(self.image_digest.take());
        if started.port_unused {
            self.drop_port(ports);
        }
        self.alive(Past::New, now_us);
    }

    /// The driver is still at it.
    pub fn preparing(&mut self, progress: String) {
        if matches!(self.phase, Phase::Starting) {
            self.progress = Some(progress);
        }
    }

    /// It runs: now, or already when the agent came.
    pub fn alive(&mut self, past: Past, now_us: u64) {
        let has_port = self.port.is_some();
        let health = self.subject.as_ref().map(|subject| subject.template.readiness(has_port)).unwrap_or_default();
        let start_timeout_us = u64::from(health.start_timeout_s.max(1)) * SECOND_US;
        let readiness = Readiness::new(&health, self.port, past, now_us);
        let warm_up = WarmUp::new(self.subject.as_ref().and_then(|subject| subject.template.warm_up.as_ref()), past);
        let start_deadline_us = now_us.saturating_add(start_timeout_us);
        self.phase = Phase::Alive { readiness, warm_up, start_deadline_us };
        self.look(now_us);
    }

    /// Something of it runs, and the driver cannot make it out: it is left as it is, until the driver says more.
    pub fn held(&mut self, past: Past, why: &str) {
        self.message = Some(why.to_owned());
        self.phase = Phase::Held { past, kill_at_us: None };
    }

    /// What was held can be made out.
    pub fn made_out(&mut self, subject: Subject, container_id: Option<String>, now_us: u64) {
        if let Phase::Held { past, .. } = self.phase {
            self.subject = Some(subject);
            self.container_id = container_id;
            self.message = None;
            self.alive(past, now_us);
        }
    }

    /// A probe of this run was answered.
    pub fn probed(&mut self, number: u64, result: Result<(), String>, now_us: u64) {
        // What it has earned until now counts, whatever the answer is.
        self.look(now_us);
        if let Phase::Alive { readiness, warm_up, .. } = &mut self.phase {
            let was_ready = readiness.is_ready();
            readiness.answer(number, result, now_us);
            match (was_ready, readiness.is_ready()) {
                (true, false) => {
                    let why = readiness.last_failure().unwrap_or("no answer");
                    self.message = Some(format!("its readiness check fails: {why}"));
                }
                (false, true) if warm_up.is_done() => self.message = None,
                _ => {}
            }
            self.look(now_us);
        }
    }

    /// The warm-up of this run is over.
    pub fn warmed_up(&mut self, result: Result<(), String>, now_us: u64) {
        if let Phase::Alive { readiness, warm_up, .. } = &mut self.phase {
            warm_up.end(result);
            if warm_up.is_done() {
                // However long it took to fail, a start that fails in its warm-up is part of a crash loop.
                readiness.count_from(now_us);
                self.message = None;
            }
            self.look(now_us);
        }
    }

    /// This run is over.
    pub fn exited(&mut self, exit: &Exit, ports: &mut Ports, now_us: u64) {
        if exit.code.is_some() {
            self.exit_code = exit.code;
        }
        if !self.been_ready_in_this_run() {
            self.give_port_back(ports);
        }
        match &self.phase {
            Phase::Ending { why: Ending::NotReady, .. } => {
                let why = self.message.clone().unwrap_or_default();
                self.crashed(&why, ports, now_us);
            }
            Phase::Alive { .. }
            | Phase::Held { .. }
            | Phase::Ending { why: Ending::Ordered, .. }
            | Phase::Starting
            | Phase::Waiting { .. } => {
                self.look(now_us);
                self.crashed(&exit.message, ports, now_us);
            }
            Phase::Ended(_) => {}
        }
    }

    /// A start has not worked.
    pub fn start_failed(&mut self, error: &StartError, ports: &mut Ports, now_us: u64) {
        match error {
            StartError::NoCommand
            | StartError::NoProgram { .. }
            | StartError::NotPermitted { .. }
            | StartError::BadWorkingDir { .. }
            | StartError::NotInImage { .. }
            | StartError::MountRefused { .. }
            | StartError::DiskFull { .. } => {
                if self.stop_ordered {
                    self.end(End::Stopped, ports);
                } else {
                    self.message = Some(error.to_string());
                    self.end(End::Failed, ports);
                }
            }
            StartError::AlreadyStarted { recorded, .. } => {
                // What is on disk is right: this agent has forgotten how often it started this one.
                self.run = self.run.max(*recorded);
                self.phase = Phase::Waiting { until_us: now_us, restart: false };
            }
            // Nothing has crashed. A second start, here or elsewhere, is out of the question before that is over.
            StartError::StillRunning { .. } | StartError::Unclear { .. } => self.held(Past::New, &error.to_string()),
            StartError::PortTaken { port } => self.port_taken(*port, ports, now_us),
            StartError::NoResources { .. }
            | StartError::NoEngine { .. }
            | StartError::Engine { .. }
            | StartError::Image { .. }
            | StartError::Interrupted
            | StartError::TimedOut { .. }
            | StartError::Other { .. } => self.crashed(&error.to_string(), ports, now_us),
        }
    }

    /// Another program has the port that this run was to get.
    pub fn port_taken(&mut self, port: u16, ports: &mut Ports, now_us: u64) {
        if self.fixed_port() == Some(port) {
            let why = format!("port {port} of this node is taken by another program; stop that or change `host_port`");
            self.crashed(&why, ports, now_us);
        } else {
            ports.release(port, self.id);
            ports.avoid(port, now_us);
            self.port = None;
            self.phase = Phase::Waiting { until_us: now_us, restart: false };
        }
    }

    /// Ends it for good.
    pub fn end(&mut self, end: End, ports: &mut Ports) -> Step {
        if let Some(port) = self.port {
            ports.release(port, self.id);
        }
        if end == End::Stopped {
            self.message = None;
        }
        self.phase = Phase::Ended(end);
        Step::Moved
    }

    /// A run that ended before it was ready may have found its port taken, by another program or by what the system
    /// keeps of old connections: the next one gets another.
    fn give_port_back(&mut self, ports: &mut Ports) {
        if self.fixed_port().is_none() {
            self.drop_port(ports);
        }
    }

    fn drop_port(&mut self, ports: &mut Ports) {
        if let Some(port) = self.port.take() {
            ports.release(port, self.id);
        }
    }

    fn fixed_port(&self) -> Option<u16> {
        self.subject.as_ref().and_then(|subject| subject.template.host_port)
    }

    /// Notes what being ready has earned it.
    fn look(&mut self, now_us: u64) {
        if let Phase::Alive { readiness, warm_up: WarmUp::Done, .. } = &self.phase {
            self.been_ready |= readiness.was_ready();
            self.crashes.ready_for(readiness.ready_for_us(now_us));
        }
    }

    fn end_unlisted(&mut self, ports: &mut Ports) -> Step {
        if self.run == 0 {
            return self.end(End::Stopped, ports);
        }
        let last = self.message.take().unwrap_or_else(|| "it ended".to_owned());
        self.message = Some(format!("not started again, because no server lists it: {last}"));
        self.end(End::Failed, ports)
    }

    /// Kills what runs and does not become what it should: to be started anew, after a pause.
    fn give_up_start(&mut self, why: String, now_us: u64, out: &mut Vec<Output>) -> Step {
        out.push(Output::Signal { replica_id: self.id, signal: Signal::Kill });
        self.message = Some(why);
        let kill_at_us = now_us.saturating_add(KILL_AGAIN_US);
        self.phase = Phase::Ending { kill_at_us, why: Ending::NotReady };
        Step::Moved
    }

    fn terminate(&mut self, now_us: u64, out: &mut Vec<Output>) -> Step {
        let (signal, pause_us) = first_signal(self.subject.as_ref());
        out.push(Output::Signal { replica_id: self.id, signal });
        self.phase = Phase::Ending { kill_at_us: now_us.saturating_add(pause_us), why: Ending::Ordered };
        Step::Moved
    }

    fn crashed(&mut self, why: &str, ports: &mut Ports, now_us: u64) {
        if self.stop_ordered {
            self.end(End::Stopped, ports);
            return;
        }
        match self.crashes.note() {
            Verdict::RestartAfter(pause_us) => {
                self.message = Some(why.to_owned());
                self.phase = Phase::Waiting { until_us: now_us.saturating_add(pause_us), restart: true };
            }
            Verdict::GiveUp => {
                self.message = Some(format!(
                    "crash loop: it ended {} times without being ready for 10 s in between; the last time: {why}",
                    self.crashes.in_a_row
                ));
                self.end(End::Failed, ports);
            }
        }
    }

    fn start(&mut self, restart: bool, ports: &mut Ports, now_us: u64, out: &mut Vec<Output>) -> Step {
        let Some(subject) = self.subject.clone() else { return Step::Resting };
        if let Err(why) = self.take_port(&subject.template, ports, now_us) {
            self.crashed(&why, ports, now_us);
            return Step::Moved;
        }
        self.run += 1;
        self.restarts += u32::from(restart);
        out.push(Output::Start(StartOrder {
            replica_id: self.id,
            deployment_id: subject.deployment_id,
            deployment_name: subject.deployment_name,
            node_id: subject.node_id,
            node_name: self.node.to_string(),
            revision: subject.revision,
            run: self.run,
            template: subject.template,
            // What it found out itself holds until the list says what all of them are.
            image_digest: subject.image_digest.or_else(|| self.image_digest.clone()),
            port: self.port,
        }));
        self.phase = Phase::Starting;
        Step::Moved
    }

    /// A restart in place keeps the port of a run that was ready, so that its address stays the same.
    fn take_port(&mut self, template: &ReplicaTemplate, ports: &mut Ports, now_us: u64) -> Result<(), String> {
        if let Some(port) = template.host_port {
            ports
                .claim(port, self.id)
                .map_err(|owner| format!("port {port} of this machine belongs to replica {owner}; wait for its end"))?;
            self.port = Some(port);
        } else if may_listen(template) && self.port.is_none() {
            let range = ports.range();
            self.port = Some(ports.pick(self.id, now_us).ok_or_else(|| {
                format!("no port of {range} is free on this machine; stop something or give the agent a wider range")
            })?);
        }
        Ok(())
    }
}
