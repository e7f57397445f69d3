//! A machine, a driver and a disk that exist only here. Everything that the supervisor wants passes [`World::absorb`],
//! which fails the test as soon as something is wanted that must never be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fogline_agent::driver::{Adopted, AdoptedState, Exit, ExitCause, Signal, StartOrder, Started};
use fogline_agent::ports::PortRange;
use fogline_agent::supervisor::{Input, Memo, Output, ProbeOrder, Supervisor, SupervisorConfig, WarmUpOrder};
use fogline_core::assignment::{AssignedReplica, AssignedTemplate, Assignment, Want};
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::quantity::Resources;
use fogline_core::spec::{HealthSpec, ReplicaTemplate, Runtime};

pub const SECOND_US: u64 = 1_000_000;

pub fn id(number: u32) -> ReplicaId {
    format!("00000000-0000-7000-8000-{number:012}").parse().expect("an id")
}

pub fn template() -> ReplicaTemplate {
    ReplicaTemplate {
        runtime: Runtime::Process,
        container_image: None,
        command: vec!["serve".to_owned()],
        env: BTreeMap::new(),
        working_dir: None,
        resources: Resources::ZERO,
        port: Some(80),
        host_port: None,
        container: None,
        health: Some(HealthSpec { start_timeout_s: 30, ..HealthSpec::default() }),
        warm_up: None,
        grace_s: 10,
        drain_timeout_s: 0,
    }
}

pub fn exit(code: i32) -> Exit {
    Exit { code: Some(code), cause: ExitCause::Exited, message: format!("exited with code {code}") }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    Starting,
    Alive,
    Ended(i32),
}

/// What the driver has on its disk.
#[derive(Clone, Debug)]
pub struct Run {
    pub order: StartOrder,
    pub state: RunState,
}

pub struct World {
    pub supervisor: Supervisor,
    pub now_us: u64,
    incarnation: u64,
    pub memos: BTreeMap<ReplicaId, Memo>,
    pub runs: BTreeMap<ReplicaId, Run>,
    pub reports: BTreeMap<ReplicaId, ReplicaReport>,
    seqs: BTreeMap<ReplicaId, u64>,
    pub probes: Vec<ProbeOrder>,
    pub warm_ups: Vec<WarmUpOrder>,
    /// Since they were last taken.
    pub signals: Vec<(ReplicaId, Signal)>,
    pub stop_ordered: BTreeSet<ReplicaId>,
    pub forgotten: BTreeSet<ReplicaId>,
    /// Runs that were said to be ready.
    ready_runs: BTreeSet<(ReplicaId, u32)>,
    /// The last list of the leader.
    last_list: Vec<(ReplicaId, Want)>,
    /// The last one that could be written.
    kept_list: Vec<(ReplicaId, Want)>,
    /// The driver cannot make out what runs.
    pub is_blind: bool,
    pub template: Arc<ReplicaTemplate>,
    /// What the image is, as the list has it.
    pub image_digest: Option<ImageDigest>,
}

fn supervisor(incarnation: u64) -> Supervisor {
    let ports = PortRange::new(20_000, 20_009).expect("a range");
    Supervisor::new(SupervisorConfig { incarnation, address: "127.0.0.1".to_owned(), ports })
}

impl World {
    pub fn new(template: ReplicaTemplate) -> Self {
        Self {
            supervisor: supervisor(1),
            now_us: SECOND_US,
            incarnation: 1,
            memos: BTreeMap::new(),
            runs: BTreeMap::new(),
            reports: BTreeMap::new(),
            seqs: BTreeMap::new(),
            probes: Vec::new(),
            warm_ups: Vec::new(),
            signals: Vec::new(),
            stop_ordered: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            ready_runs: BTreeSet::new(),
            last_list: Vec::new(),
            kept_list: Vec::new(),
            is_blind: false,
            template: Arc::new(template),
            image_digest: None,
        }
    }

    pub fn step(&mut self, input: Input) {
        let outputs = self.supervisor.step(input, self.now_us);
        self.absorb(outputs);
        assert!(self.supervisor.next_wake().is_none_or(|wake_us| wake_us > self.now_us), "something due was left");
    }

    /// A node's list, which can be written: it is what the supervisor hears again after a restart.
    pub fn assign(&mut self, list: &[(ReplicaId, Want)]) {
        self.last_list = list.to_vec();
        self.assign_as("one", None);
    }

    pub fn set_list(&mut self, list: &[(ReplicaId, Want)]) {
        self.last_list = list.to_vec();
    }

    pub fn assign_as(&mut self, node: &str, unsaved: Option<&str>) {
        if unsaved.is_none() {
            self.kept_list.clone_from(&self.last_list);
        }
        for (id, want) in &self.last_list {
            if *want == Want::Stop {
                self.stop_ordered.insert(*id);
            }
        }
        let (node, unsaved) = (node.into(), unsaved.map(str::to_owned));
        let (node_id, assignment) = self.list_of(&self.last_list);
        self.step(Input::Assigned { node, node_id, assignment, unsaved });
    }

    fn list_of(&self, list: &[(ReplicaId, Want)]) -> (NodeId, Assignment) {
        let deployment_id: DeploymentId = "00000000-0000-7000-8000-0000000000dd".parse().expect("an id");
        let node_id: NodeId = "00000000-0000-7000-8000-0000000000aa".parse().expect("an id");
        let assigned = AssignedTemplate {
            deployment_name: "web".to_owned(),
            template: Arc::clone(&self.template),
            image_digest: self.image_digest.clone(),
        };
        let replicas = list.iter().map(|(replica_id, want)| AssignedReplica {
            replica_id: *replica_id,
            deployment_id,
            revision: 1,
            want: *want,
        });
        let templates = [((deployment_id, 1), assigned)].into();
        (node_id, Assignment { replicas: replicas.collect(), templates })
    }

    /// The agent dies and comes back. Starts under way go on without it.
    pub fn restart_agent(&mut self) {
        self.incarnation += 1;
        self.supervisor = supervisor(self.incarnation);
        self.probes.clear();
        self.warm_ups.clear();
        let mut adopted = Vec::new();
        for run in self.runs.values_mut() {
            if run.state == RunState::Starting {
                run.state = RunState::Alive;
            }
            adopted.push(Adopted {
                order: run.order.clone(),
                container_id: Some("1".to_owned()),
                state: match run.state {
                    RunState::Ended(code) => AdoptedState::Exited(exit(code)),
                    _ if self.is_blind => AdoptedState::Held { why: "its order.json is damaged".to_owned() },
                    _ => AdoptedState::Alive,
                },
            });
        }
        let memos = self.memos.values().cloned().collect();
        self.step(Input::Restored { memos, adopted });
        let (node_id, assignment) = self.list_of(&self.kept_list);
        self.step(Input::Recalled { node: "one".into(), node_id, assignment });
    }

    pub fn pass(&mut self, time_us: u64) {
        let end_us = self.now_us + time_us;
        while let Some(wake_us) = self.supervisor.next_wake().filter(|wake_us| *wake_us <= end_us) {
            self.now_us = wake_us.max(self.now_us);
            self.step(Input::Tick);
        }
        self.now_us = end_us;
        self.step(Input::Tick);
    }

    /// Lets a start under way succeed.
    pub fn started(&mut self, id: ReplicaId) {
        if let Some(run) = self.runs.get_mut(&id).filter(|run| run.state == RunState::Starting) {
            run.state = RunState::Alive;
            let run = run.order.run;
            self.step(Input::Started { replica_id: id, run, started: Started::new("1".to_owned()) });
        }
    }

    /// Ends a run.
    pub fn exits(&mut self, id: ReplicaId, code: i32) {
        if let Some(run) = self.runs.get_mut(&id).filter(|run| !matches!(run.state, RunState::Ended(_))) {
            run.state = RunState::Ended(code);
            let run = run.order.run;
            self.step(Input::Exited { replica_id: id, run, exit: exit(code) });
        }
    }

    /// Answers all probes that are out.
    pub fn answer(&mut self, ok: bool) {
        for probe in std::mem::take(&mut self.probes) {
            self.step(Input::Probed {
                replica_id: probe.replica_id,
                run: probe.run,
                number: probe.number,
                result: if ok { Ok(()) } else { Err("refused".to_owned()) },
            });
        }
    }

    /// Ends all warm-ups that are out.
    pub fn warmed_up(&mut self, result: Result<(), String>) {
        for order in std::mem::take(&mut self.warm_ups) {
            self.step(Input::WarmedUp { replica_id: order.replica_id, run: order.run, result: result.clone() });
        }
    }

    /// Passes time in which every probe is answered at once.
    pub fn pass_answering(&mut self, time_us: u64, ok: bool) {
        let end_us = self.now_us + time_us;
        loop {
            self.answer(ok);
            match self.supervisor.next_wake().filter(|wake_us| *wake_us < end_us) {
                Some(wake_us) => self.pass(wake_us - self.now_us),
                None => break,
            }
        }
        self.pass(end_us - self.now_us);
        self.answer(ok);
    }

    /// Starts and makes ready everything that is under way.
    pub fn bring_up(&mut self) {
        for id in self.runs.keys().copied().collect::<Vec<_>>() {
            self.started(id);
        }
        self.pass(SECOND_US);
        self.answer(true);
    }

    pub fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.signals).into_iter().map(|(_, signal)| signal).collect()
    }

    pub fn state(&self, id: ReplicaId) -> ReportedState {
        self.reports[&id].state
    }

    fn absorb(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Persist(memo) => {
                    self.memos.insert(memo.replica_id, memo);
                }
                Output::Start(order) => self.check_start(order),
                Output::Signal { replica_id, signal } => {
                    let run = &self.runs[&replica_id];
                    let ordered = self.stop_ordered.contains(&replica_id);
                    let never_ready = !self.ready_runs.contains(&(replica_id, run.order.run));
                    assert!(ordered || (never_ready && signal == Signal::Kill), "{signal:?} that nobody ordered");
                    self.signals.push((replica_id, signal));
                }
                Output::Probe(order) => {
                    assert!(order.timeout_us > 0);
                    self.probes.push(order);
                }
                Output::WarmUp(order) => self.warm_ups.push(order),
                Output::Report { node, report } => {
                    assert_eq!(&*node, "one");
                    self.check_report(report);
                }
                Output::Forget { replica_id } => {
                    assert!(
                        self.last_list.iter().all(|(id, _)| *id != replica_id),
                        "forgot a replica that the leader lists"
                    );
                    assert!(
                        self.runs.get(&replica_id).is_none_or(|run| matches!(run.state, RunState::Ended(_))),
                        "forgot a replica that runs"
                    );
                    self.runs.remove(&replica_id);
                    self.memos.remove(&replica_id);
                    self.forgotten.insert(replica_id);
                }
            }
        }
    }

    fn check_start(&mut self, order: StartOrder) {
        let id = order.replica_id;
        assert!(!self.stop_ordered.contains(&id), "started what was to stop");
        if let Some(report) = self.reports.get(&id) {
            let over = matches!(report.state, ReportedState::Stopped | ReportedState::Failed);
            assert!(!over, "started again what had ended for good");
        }
        if let Some(run) = self.runs.get(&id) {
            assert!(matches!(run.state, RunState::Ended(_)), "two starts without an end in between: {run:?}");
            assert!(order.run > run.order.run, "a run number came twice");
        }
        assert!(self.memos.get(&id).is_some_and(|memo| memo.run == order.run), "started before it was remembered");
        if let Some(port) = order.port {
            let owner = self.runs.values().find(|run| {
                run.order.port == Some(port) && run.order.replica_id != id && !matches!(run.state, RunState::Ended(_))
            });
            assert!(owner.is_none(), "port {port} was given out twice: {owner:?}");
        }
        self.runs.insert(id, Run { order, state: RunState::Starting });
    }

    fn check_report(&mut self, report: ReplicaReport) {
        let rank = |state| match state {
            ReportedState::Starting => 0,
            ReportedState::Running => 1,
            ReportedState::Stopped | ReportedState::Failed => 2,
        };
        let last_seq = self.seqs.insert(report.replica_id, report.seq);
        assert!(last_seq.is_none_or(|last| report.seq > last), "a report is numbered lower than the one before");
        // Of one that was forgotten nothing is known: asked to stop it, the supervisor says that it is gone.
        let last = self.reports.get(&report.replica_id).filter(|_| !self.forgotten.contains(&report.replica_id));
        if let Some(last) = last {
            assert!(rank(report.state) >= rank(last.state), "a state went back: {last:?} -> {report:?}");
            assert!(rank(last.state) < 2 || report.state == last.state, "an end was taken back");
            assert!(report.restarts >= last.restarts, "restarts were taken back");
        }
        assert!(!report.ready || report.state == ReportedState::Running, "ready without running");
        if let Some(run) = self.runs.get(&report.replica_id).filter(|_| report.ready) {
            self.ready_runs.insert((report.replica_id, run.order.run));
        }
        self.reports.insert(report.replica_id, report);
    }
}
