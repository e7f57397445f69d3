//! One arbiter's memory between evaluations, and what of it has to be committed when.
//!
//! Must never act: it proposes a [`Decided`], and is told what became of it. Until then it waits. Invariant: what is
//! remembered of a change is remembered once the change is durable; a decision that was refused has not been made.
//! Tests: below.

mod memory;
mod pause;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::TargetView;
use fogline_core::command::{Decided, Outcome, Rejection};
use fogline_core::id::PolicyId;
use fogline_core::scaling::decision::{Action, Event};
use fogline_core::scaling::forecast::{Model, NoModel};
use fogline_core::scaling::inputs::{ProxySignal, ReplicaCounts, Run};
use fogline_core::scaling::sample::{Point, Reading};
use fogline_core::scaling::state::{Memory, State};
use fogline_core::scaling::window::RecommendationWindow;
use fogline_core::scaling::{Decision, Inputs, Policy, evaluate};
use fogline_core::time::Timestamp;

use self::memory::{follow, keep_clocks, own, untouched, was_acted_on};
use self::pause::Pauses;
use crate::writer::{Committed, WriteError};

/// Rows of decisions that change nothing are written at most this often.
const HOLD_ROW: Duration = Duration::from_secs(60);

/// The memory of one arbiter.
#[derive(Debug)]
pub(super) struct Arbitration {
    run: Run,
    state: Option<State>,
    /// The memory as it is in the row, as far as it is this arbiter's, and the row's version.
    committed: Arc<Memory>,
    version: u64,
    /// The version that there was after our own last commit.
    ours: Option<u64>,
    /// That of those for which a view from before it was passed over.
    passed_over: Option<u64>,
    /// When it was evaluated last.
    evaluated: Timestamp,
    /// The decision that the last row was written of, and when.
    row: Option<(Arc<Decision>, Timestamp)>,
    /// What people were told of lately.
    told: Vec<Event>,
    flight: Option<Flight>,
    /// The counts from and to which an executor was asked to go.
    awaited: Option<(u32, u32)>,
    pauses: Pauses,
    /// What was recorded before this process began to look, until there is something newer.
    history: BTreeMap<String, Vec<Point>>,
}

/// A proposal of which nobody knows yet what becomes of it.
#[derive(Debug)]
struct Flight {
    decision: Arc<Decision>,
    based_on: u64,
    /// The state should it be carried out, and should it not be.
    with: State,
    without: State,
    keep: bool,
}

/// Whether a change could be carried out now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Executable {
    /// It could.
    Yes,
    /// An earlier one is being carried out.
    Later,
    /// There is nobody who could: it is recorded and that is all.
    Never,
}

/// What is known of a target's metrics at a moment.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) readings: BTreeMap<String, Reading>,
    pub(super) forecasts: BTreeMap<PolicyId, Result<Arc<Model>, NoModel>>,
    pub(super) start_time: Option<Duration>,
    pub(super) proxy: Option<ProxySignal>,
}

impl Shown {
    /// All that core is told.
    pub(super) fn inputs(self, run: Run, replicas: ReplicaCounts) -> Inputs {
        let Self { readings, forecasts, start_time, proxy } = self;
        Inputs { run, replicas, readings, forecasts, start_time, proxy, ..Inputs::default() }
    }
}

/// What came of an evaluation.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) decision: Arc<Decision>,
    /// What should be committed.
    pub(super) proposal: Option<Decided>,
    /// What people should hear of and have not yet.
    pub(super) events: Vec<Event>,
}

impl Arbitration {
    /// Of an arbiter that was never asked.
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            state: None,
            committed: Arc::default(),
            version: 0,
            ours: None,
            passed_over: None,
            evaluated: Timestamp::EPOCH,
            row: None,
            told: Vec::new(),
            flight: None,
            awaited: None,
            pauses: Pauses::default(),
            history: BTreeMap::new(),
        }
    }

    /// When it was evaluated last; 1970 for never.
    pub(super) const fn evaluated(&self) -> Timestamp {
        self.evaluated
    }

    /// Whether it waits for what becomes of its last proposal.
    pub(super) const fn is_waiting(&self) -> bool {
        self.flight.is_some()
    }

    /// The state that an evaluation would begin with; nothing before the first.
    pub(super) const fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Since when samples are missing that would let the clocks of `view` run on, where this process has only begun.
    pub(super) fn lacks_since(&self, view: &TargetView) -> Option<Timestamp> {
        if self.state.is_some() || self.run == Run::Shadow {
            return None;
        }
        let clocks = view.memory.policies.values().flat_map(|policy| policy.clocks.values());
        clocks.filter(|clock| clock.holding_since.is_some()).filter_map(|clock| clock.last).min()
    }

    /// What was recorded before.
    pub(super) fn recall(&mut self, history: BTreeMap<String, Vec<Point>>) {
        self.history = history;
    }

    /// Evaluates. Nothing while a proposal is on its way, from a view that is older than what came of the last one, or
    /// where core fails, which it must not.
    pub(super) fn evaluate(
        &mut self,
        policies: &[Policy],
        view: &TargetView,
        mut shown: Shown,
        executable: Executable,
        now: Timestamp,
    ) -> Option<Evaluated> {
        if self.flight.is_some() || self.pass_over(view) {
            return None;
        }
        self.adopt(policies, view, now);
        self.remind(&mut shown.readings, now);
        let state = self.state.as_ref().expect("it was adopted");
        let inputs = shown.inputs(self.run, view.counts);
        // One policy that trips over a bug must not stop all the others.
        let decided = catch_unwind(AssertUnwindSafe(|| evaluate(policies, &inputs, state, now)));
        let Ok((decision, next)) = decided else {
            tracing::error!(target = %view.target, "evaluating a scaling target failed: please report this");
            return None;
        };
        self.evaluated = now;
        let decision = Arc::new(decision);
        let events = self.news(&decision);
        let proposal = self.conclude(view, &decision, next, executable, now);
        Some(Evaluated { decision, proposal, events })
    }

    /// Whether the view was taken before our own last commit. That can happen once: of the next look, an older version
    /// means that the target was forgotten and came anew.
    fn pass_over(&mut self, view: &TargetView) -> bool {
        let is_older = self.ours.is_some_and(|ours| view.version < ours) && self.passed_over != self.ours;
        if is_older {
            self.passed_over = self.ours;
        }
        is_older
    }

    /// Takes over what has become of the target's memory since, by our own commit or by others.
    fn adopt(&mut self, policies: &[Policy], view: &TargetView, now: Timestamp) {
        let own = own(policies, &view.memory);
        let shadow = self.run == Run::Shadow;
        let Some(state) = &mut self.state else {
            let mut memory = if shadow { Memory::default() } else { Memory::clone(&own) };
            if shadow {
                follow(&mut memory, &view.memory);
            }
            self.state = Some(State::resumed(memory, view.counts.current, now));
            (self.committed, self.version) = (own, view.version);
            return;
        };
        if let Some((from, to)) = self.awaited.filter(|_| view.pending.is_none()) {
            self.awaited = None;
            if view.counts.current == to {
                self.pauses.clear();
            } else {
                self.pauses.failed(from, to, now);
            }
        }
        if self.version == view.version {
            return;
        }
        self.version = view.version;
        if shadow {
            follow(&mut state.memory, &view.memory);
            return;
        }
        let mut memory = Memory::clone(&own);
        keep_clocks(&mut memory, &state.memory);
        state.memory = memory;
        // What another arbiter on the target remembers is its own affair; what was done to the count is everybody's.
        if self.ours != Some(view.version) && was_acted_on(&own, &self.committed) {
            state.recent.recommendations = RecommendationWindow::full(view.counts.current, now);
        }
        self.committed = own;
    }

    /// Puts what was recorded before in front of what is read now, until that has been counted.
    fn remind(&mut self, readings: &mut BTreeMap<String, Reading>, now: Timestamp) {
        self.history.retain(|metric, recorded| {
            let Some(reading) = readings.get_mut(metric) else { return true };
            let first = reading.points(now).next().map_or(now, |point| point.at);
            let mut history: Vec<Point> = recorded.iter().copied().filter(|point| point.at < first).collect();
            history.append(&mut reading.history);
            reading.history = history;
            reading.fresh(now).is_none()
        });
    }

    fn news(&mut self, decision: &Decision) -> Vec<Event> {
        let fresh = decision.events.iter().filter(|event| !self.told.contains(event)).cloned().collect();
        self.told.clone_from(&decision.events);
        fresh
    }

    /// What of it has to be committed; what need not be is taken over at once.
    fn conclude(
        &mut self,
        view: &TargetView,
        decision: &Arc<Decision>,
        next: State,
        executable: Executable,
        now: Timestamp,
    ) -> Option<Decided> {
        let before = self.state.as_ref().expect("it was adopted");
        let changes = decision.action != Action::Hold;
        let acts = changes && self.run == Run::Live;
        let mut without = if changes { next.clone().without_change(before) } else { next.clone() };
        if changes && !acts {
            // What is only recorded comes to nothing anyhow: nothing of it is to be caught up.
            without.memory = without.memory.with_cursors_of(&next.memory);
        }
        let is_new = self.row.as_ref().is_none_or(|(row, _)| !row.is_like(decision));
        let hold_due = is_new && self.hold_row_is_due(now);
        let may_act = match executable {
            Executable::Yes => !self.pauses.hold(decision.current, decision.replicas, now),
            Executable::Later => false,
            // So that somebody reads of it, and not every interval.
            Executable::Never => is_new && self.news_is_due(now),
        };
        if acts && !may_act {
            self.state = Some(untouched(without, before));
            return None;
        }
        let keep = acts || if changes { is_new && self.news_is_due(now) } else { hold_due };
        if self.row.is_none() && !keep {
            // After a take-over what is found is no news, but what comes after it is.
            self.row = Some((Arc::clone(decision), now));
        }
        let memory = self.run != Run::Shadow && (acts || without.memory.needs_commit(&self.committed));
        if !keep && !memory {
            self.state = Some(without);
            return None;
        }
        let with = if acts { next } else { without.clone() };
        let decided = Decided {
            target: view.target.clone(),
            based_on: view.version,
            decision: Decision::clone(decision),
            memory: memory.then(|| with.memory.clone()),
            memory_without: memory.then(|| without.memory.clone()),
            keep,
        };
        self.flight = Some(Flight { decision: Arc::clone(decision), based_on: view.version, with, without, keep });
        Some(decided)
    }

    /// A change that nobody carries out has its row at once where the last one was of none.
    fn news_is_due(&self, now: Timestamp) -> bool {
        self.row.as_ref().is_none_or(|(row, at)| row.action == Action::Hold || now.since(*at) >= HOLD_ROW)
    }

    /// The first row of a target that had none is written at once; after a take-over the present is no news.
    fn hold_row_is_due(&self, now: Timestamp) -> bool {
        match &self.row {
            Some((_, at)) => now.since(*at) >= HOLD_ROW,
            None => self.run != Run::Live || self.version == 0,
        }
    }

    /// What became of the proposal of `at`. Gives the decision where it was committed.
    pub(super) fn settle(
        &mut self,
        at: Timestamp,
        result: &Result<Committed, WriteError>,
        now: Timestamp,
    ) -> Option<Arc<Decision>> {
        // An answer may come late, to an arbiter that is gone and has been made anew since.
        let flight = self.flight.take_if(|flight| flight.decision.at == at)?;
        let Flight { decision, based_on, with, without, keep } = flight;
        match result {
            Ok(committed) => {
                let Outcome::Decided { from, to, pending, version, .. } = committed.outcome else { return None };
                let state = if to == from { without } else { with };
                if version != based_on {
                    self.committed = Arc::new(state.memory.clone());
                }
                self.ours = Some(version);
                self.state = Some(state);
                if pending {
                    self.awaited = Some((from, to));
                } else if self.run == Run::Live {
                    if to != from {
                        self.pauses.clear();
                    }
                    if to != decision.replicas {
                        self.pauses.failed(decision.current, decision.replicas, now);
                    }
                }
                if keep {
                    self.row = Some((Arc::clone(&decision), now));
                }
                Some(decision)
            }
            Err(WriteError::Rejected(rejection)) => {
                // What was decided from something that is not so any more is decided again from what is.
                if !matches!(rejection, Rejection::ChangedMeanwhile { .. }) {
                    self.pauses.failed(decision.current, decision.replicas, now);
                }
                None
            }
            // Nothing was done, or nobody knows: the next look tells.
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
