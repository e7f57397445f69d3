//! The loop: every interval each target is evaluated once, from what is known at that moment.
//!
//! A round looks at the cluster once, then goes through the targets in chunks and lets others run in between. What has to
//! be committed goes to the desk of the term, so many at a time. Must never wait for a metric source, and for the writer
//! only with the look. Tests: `tests/it/scaling`, the bench `scaling`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fogline_core::command::{Actor, Command, Decided, Request};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::Run;
use fogline_core::time::Timestamp;
use tokio::task::JoinSet;

use super::Scaler;
use super::arbitration::{Executable, Shown};
use super::executors::{Carrying, Executor, log};
use super::look::{Look, Seen, callback};
use super::resume;
use super::target::{Key, Target};
use crate::writer::{Committed, WriteError};

/// Targets that are evaluated before others may run.
const CHUNK: usize = 32;
/// Decisions that may be on their way to the writer.
const MOST_ON_THE_WAY: usize = 256;
/// After a look that failed.
const AGAIN: Duration = Duration::from_millis(250);

/// A decision on its way.
type Answer = (ScalingTarget, Key, Timestamp, Result<Committed, WriteError>);

/// The loop's own.
pub(super) struct Engine {
    scaler: Arc<Scaler>,
    carrying: Carrying,
    /// When the next round is due, by the time since boot.
    due: Duration,
    round: u64,
    waiting: VecDeque<(Key, Decided)>,
    on_the_way: JoinSet<Answer>,
}

impl Engine {
    pub(super) fn new(scaler: Arc<Scaler>, carrying: Carrying) -> Self {
        let due = scaler.clock.since_boot();
        Self { scaler, carrying, due, round: 0, waiting: VecDeque::new(), on_the_way: JoinSet::new() }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(mut self) {
        let alarm = Arc::clone(&self.scaler.alarm);
        loop {
            let left = self.due.saturating_sub(self.scaler.clock.since_boot());
            tokio::select! {
                () = tokio::time::sleep(left) => self.round().await,
                touched = alarm.rung() => self.touched(touched).await,
                Some(answer) = self.on_the_way.join_next() => {
                    self.settle(answer);
                    self.send();
                }
            }
        }
    }

    /// Every target.
    async fn round(&mut self) {
        let scaler = Arc::clone(&self.scaler);
        let due = self.due;
        let began = scaler.clock.since_boot();
        let look = match scaler.desk.view(Look::at_all).await {
            Ok(look) => look,
            Err(error) => {
                tracing::debug!(%error, "cannot look at the scaling targets");
                // Late, not never: the round stays due.
                return tokio::time::sleep(AGAIN).await;
            }
        };
        self.round += 1;
        let count = look.targets.len();
        self.pass(look, count, Some(due)).await;
        let round = self.round;
        scaler.targets().retain(|_, target| target.round == round);
        scaler.readings.collector.sweep();
        scaler.readings.pushed.sweep(scaler.clock.now());

        let ended = scaler.clock.since_boot();
        let lag = ended.saturating_sub(due);
        scaler.round_ended(count, ended.saturating_sub(began), lag);
        // Where a round took longer than the interval, those that were missed are not made up for.
        self.due = (due + scaler.interval).max(ended);
    }

    /// Some targets, out of their turn.
    async fn touched(&mut self, targets: BTreeSet<ScalingTarget>) {
        let look = self.scaler.desk.view(move |cluster, now| Look::at(cluster, targets, now)).await;
        // Their turn comes.
        let Ok(look) = look else { return };
        let count = self.scaler.targets().len();
        self.pass(look, count, None).await;
    }

    async fn pass(&mut self, look: Look, count: usize, due: Option<Duration>) {
        let scaler = Arc::clone(&self.scaler);
        self.carrying.follow(look.pending);
        resume::recall(&scaler, &look.targets).await;
        for chunk in look.targets.chunks(CHUNK) {
            for seen in chunk {
                self.consider(seen, count);
                if let Some(due) = due {
                    scaler.figures.lag.record(scaler.clock.since_boot().saturating_sub(due).as_secs_f64());
                }
            }
            self.send();
            tokio::task::yield_now().await;
            while let Some(answer) = self.on_the_way.try_join_next() {
                self.settle(answer);
            }
        }
        self.send();
    }

    /// One target: evaluates all of its arbiters.
    fn consider(&mut self, seen: &Seen, count: usize) {
        let scaler = &self.scaler;
        let now = scaler.clock.now();
        let view = &seen.view;
        let mut targets = scaler.targets();
        let target = targets.entry(view.target.clone()).or_insert_with(|| Target::new(view, &scaler.readings));
        target.follow(view, &scaler.readings);
        target.round = self.round;
        target.usage = seen.usage;
        if view.dormant {
            return;
        }
        let executable = match Executor::of(&view.target, callback(view)) {
            _ if view.pending.is_some() => Executable::Later,
            Executor::None { .. } => Executable::Never,
            Executor::Deployment | Executor::Webhook { .. } => Executable::Yes,
        };
        if let ScalingTarget::Deployment(id) = &view.target {
            scaler.readings.traffic.evaluated(*id);
        }
        let mut decisions = Vec::new();
        for group in &mut target.groups {
            if group.arbitration.is_waiting() {
                continue;
            }
            let last = group.arbitration.evaluated();
            let shown = Shown {
                readings: scaler.readings.now(&mut group.plan, &view.target, seen.usage.as_ref(), last, now),
                forecasts: scaler.forecasts.of(&view.target, &group.policies, now),
                start_time: seen.usage.and_then(|usage| usage.start_time()),
                proxy: seen.proxy,
            };
            let evaluated = group.arbitration.evaluate(&group.policies, view, shown, executable, now);
            scaler.evaluated();
            let Some(evaluated) = evaluated else { continue };
            for event in &evaluated.events {
                tracing::warn!(target = %view.target, ?event, "a scaling target wants attention");
            }
            scaler.readings.keep_score(&view.target, &evaluated.decision);
            decisions.push(evaluated.decision);
            self.waiting.extend(evaluated.proposal.map(|decided| (group.key, decided)));
        }
        for decision in decisions {
            target.remember(decision, count);
        }
    }

    /// Sends what waits, as far as there is room.
    fn send(&mut self) {
        while self.on_the_way.len() < MOST_ON_THE_WAY
            && let Some((key, decided)) = self.waiting.pop_front()
        {
            let (desk, target) = (self.scaler.desk.clone(), decided.target.clone());
            let at = decided.decision.at;
            let command = Command::Decide(Box::new(decided));
            let request = Request { actor: Actor::System, command, idempotency: None, remote: None };
            self.on_the_way.spawn(async move { (target, key, at, desk.submit(request).await) });
        }
    }

    fn settle(&mut self, answer: Result<Answer, tokio::task::JoinError>) {
        // It is one call, which does not panic, and nobody aborts it.
        let Ok((id, key, at, result)) = answer else { return };
        let scaler = &self.scaler;
        let now: Timestamp = scaler.clock.now();
        let mut targets = scaler.targets();
        let group = targets.get_mut(&id).and_then(|target| target.group_of(key));
        let decision = group.and_then(|group| group.arbitration.settle(at, &result, now));
        drop(targets);
        match (&result, decision) {
            (Ok(_), Some(decision)) if decision.run == Run::Live => scaler.figures.decided(&decision),
            (Ok(_), Some(decision)) if decision.action != Action::Hold => log(&id, &decision),
            (Ok(_), _) => {}
            (Err(error), _) => {
                scaler.figures.refused.increment(1);
                tracing::debug!(target = %id, %error, "a scaling decision was not taken; it will be decided again");
            }
        }
    }
}
