//! An arbiter's evaluations one after the other, and a writer that takes or refuses what it proposes.

use fogline_core::id::{DeploymentId, IdSource, UserId};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::sample::Source;
use fogline_core::scaling::window::HoldClock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u32) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus(SECOND * seconds)
}

/// A target of four with a policy that goes up above ten and down below five.
struct Stage {
    arbitration: Arbitration,
    view: TargetView,
    now: u32,
}

impl Stage {
    fn new(fields: &str) -> Self {
        let mut ids = IdSource::new(1);
        let spec = format!(
            r#"{{
                "name": "queue", "target_type": "deployment", "cooldown_seconds": 0,
                "scale_up_rules": [{{"metric": "queue", "operator": "gt", "threshold": 10, "scale_by": 1}}],
                "scale_down_rules": [{{"metric": "queue", "operator": "lt", "threshold": 5, "scale_by": -1}}]
                {fields}
            }}"#
        );
        let spec: fogline_core::scaling::PolicySpec = serde_json::from_str(&spec).expect("a spec");
        let policy = Policy::new(ids.next(at(0)), spec).expect("a policy");
        let view = TargetView {
            target: ScalingTarget::Deployment(ids.next::<DeploymentId>(at(0))),
            policies: [policy].into(),
            shadows: [].into(),
            owner: ids.next::<UserId>(at(0)),
            version: 0,
            memory: Arc::default(),
            counts: ReplicaCounts { current: 4, ready: 4, release_failing: false },
            dormant: false,
            pending: None,
        };
        Self { arbitration: Arbitration::new(Run::Live), view, now: 0 }
    }

    /// Evaluates a second later, at this length of the queue.
    fn evaluate(&mut self, queue: f64) -> Evaluated {
        self.evaluate_where(Executable::Yes, queue)
    }

    fn evaluate_where(&mut self, executable: Executable, queue: f64) -> Evaluated {
        self.look(executable, queue).expect("evaluated")
    }

    fn look(&mut self, executable: Executable, queue: f64) -> Option<Evaluated> {
        self.now += 1;
        let reading = Reading::value(queue, at(self.now), Source::Push, 30 * SECOND);
        let readings = [("queue".to_owned(), reading)].into();
        let shown = Shown { readings, forecasts: BTreeMap::new(), start_time: None, proxy: None };
        let policies = Arc::clone(&self.view.policies);
        self.arbitration.evaluate(&policies, &self.view, shown, executable, at(self.now))
    }

    /// The writer commits: the count goes to `to`.
    fn commit(&mut self, decided: &Decided, to: u32) {
        let from = self.view.counts.current;
        self.view.counts.current = to;
        let done = to != from || decided.decision.action == Action::Hold;
        let memory = if done { &decided.memory } else { &decided.memory_without };
        if let Some(memory) = memory {
            self.view.memory = Arc::new(memory.clone());
            self.view.version += 1;
        }
        let version = self.view.version;
        let outcome = Outcome::Decided { decision_id: None, from, to, pending: false, version };
        let committed = Committed { outcome, revision: 1, replayed: false };
        self.arbitration.settle(decided.decision.at, &Ok(committed), at(self.now));
    }

    fn refuse(&mut self) {
        let rejection = Rejection::ChangedMeanwhile { kind: "scaling target", name: String::new() };
        self.arbitration.settle(at(self.now), &Err(rejection.into()), at(self.now));
    }

    /// As another kind of arbiter would see it, after a take-over too.
    fn of(mut self, run: Run) -> Self {
        self.arbitration = Arbitration::new(run);
        self
    }

    /// A person sets the count.
    fn set(&mut self, count: u32) {
        let memory = Memory { last_change: Some(at(self.now)), ..Memory::clone(&self.view.memory) };
        self.view.memory = Arc::new(memory);
        self.view.version += 1;
        self.view.counts = ReplicaCounts { current: count, ready: count, release_failing: false };
    }

    /// The first evaluation, which puts the row of the memory in place.
    fn settled(mut self) -> Self {
        let first = self.evaluate(7.0).proposal.expect("the first is committed");
        assert!(first.keep && first.memory.is_some());
        self.commit(&first, 4);
        self
    }
}

#[test]
fn holding_is_committed_once_and_told_once() {
    let mut stage = Stage::new("").settled();
    for _ in 0..200 {
        let held = stage.evaluate(7.0);
        assert!(held.proposal.is_none(), "{:?}", held.proposal);
    }
    // Another reason to hold is a row, but at most one a minute.
    assert!(stage.evaluate_where(Executable::Yes, 3.0).proposal.is_some_and(|decided| decided.keep));
}

#[test]
fn nothing_is_evaluated_while_a_proposal_is_on_its_way() {
    let mut stage = Stage::new("").settled();
    let decided = stage.evaluate(11.0).proposal.expect("up");
    assert_eq!((decided.decision.replicas, decided.based_on), (5, 1));
    assert!(stage.arbitration.is_waiting());
    stage.commit(&decided, 5);
    assert!(!stage.arbitration.is_waiting());
}

#[test]
fn what_was_refused_is_decided_again_from_what_was_before() {
    let mut stage = Stage::new("").settled();
    let decided = stage.evaluate(11.0).proposal.expect("up");
    stage.refuse();
    let again = stage.evaluate(11.0).proposal.expect("up again");
    assert_eq!(again.decision.replicas, decided.decision.replicas);
    assert_eq!(again.memory.map(|memory| memory.changes.len()), Some(1), "the first has not happened");
}

#[test]
fn without_room_it_is_not_tried_every_round() {
    let mut stage = Stage::new("").settled();
    let decided = stage.evaluate(11.0).proposal.expect("up");
    stage.commit(&decided, 4);
    let tries = (0..60).filter(|_| {
        let proposal = stage.evaluate(11.0).proposal;
        if let Some(decided) = &proposal {
            stage.commit(decided, 4);
        }
        proposal.is_some()
    });
    // After 15 s and after 30 s more.
    assert_eq!(tries.count(), 2);
}

#[test]
fn a_direction_waits_though_another_count_is_wanted_and_a_hold_ends_no_wait() {
    let targets = r#", "targets": [{"metric": "queue", "target": 2, "type": "average_value"}]"#;
    let mut stage = Stage::new(targets).settled();
    let decided = stage.evaluate(12.0).proposal.expect("up");
    stage.commit(&decided, 4);
    let tries = (0..60_u32).filter(|round| {
        let queue = [10.0, 12.0, 7.5][(*round % 3) as usize];
        let proposal = stage.evaluate(queue).proposal;
        if let Some(decided) = &proposal {
            stage.commit(decided, 4);
        }
        proposal.is_some_and(|decided| decided.decision.action == Action::ScaleUp)
    });
    assert_eq!(tries.count(), 2);
}

#[test]
fn what_is_only_recorded_leaves_few_rows_however_it_flaps() {
    let targets = r#", "targets": [{"metric": "queue", "target": 2, "type": "average_value"}]"#;
    for run in [Run::DryRun, Run::Shadow] {
        let mut stage = Stage::new(targets).of(run);
        let rows = (0..180_u32).filter(|round| {
            let proposal = stage.evaluate([7.5, 10.0, 12.0][(*round % 3) as usize]).proposal;
            if let Some(decided) = &proposal {
                stage.commit(decided, 4);
            }
            proposal.is_some_and(|decided| decided.keep)
        });
        assert!((3..=7).contains(&rows.count()), "{run:?}");
    }
}

#[test]
fn after_a_take_over_the_present_is_no_row_and_what_follows_is() {
    let mut stage = Stage::new("").settled().of(Run::Live);
    assert!(stage.evaluate(7.0).proposal.is_none());
    stage.now += 60;
    assert!(stage.evaluate_where(Executable::Yes, 3.0).proposal.is_some_and(|decided| decided.keep));
}

#[test]
fn a_view_from_before_the_last_commit_is_passed_over() {
    let mut stage = Stage::new("").settled();
    let before = stage.view.clone();
    let decided = stage.evaluate(11.0).proposal.expect("up");
    stage.commit(&decided, 5);
    let after = std::mem::replace(&mut stage.view, before);
    assert!(stage.look(Executable::Yes, 11.0).is_none(), "it has not happened there yet");
    stage.view = after;
    let held = stage.evaluate(7.0);
    assert_eq!(held.decision.current, 5);
    stage.commit(&held.proposal.expect("a clock that has stopped"), 5);
    // A target that was forgotten and came anew is passed over no longer than that.
    stage.view.version = 0;
    assert!(stage.look(Executable::Yes, 7.0).is_none());
    assert!(stage.look(Executable::Yes, 7.0).is_some());
}

#[test]
fn a_person_after_a_row_of_a_hold_is_a_person() {
    let targets = r#", "targets": [{"metric": "queue", "target": 2, "type": "average_value"}]"#;
    let mut stage = Stage::new(targets).settled();
    stage.now += 60;
    let held = stage.evaluate(6.0).proposal.expect("a row");
    assert!(held.keep && held.memory.is_none() && held.decision.action == Action::Hold, "{held:?}");
    stage.commit(&held, 4);
    stage.set(10);
    let decision = stage.evaluate(4.0).decision;
    assert_eq!((decision.action, decision.replicas), (Action::Hold, 10), "{decision}");
}

#[test]
fn what_nobody_can_carry_out_is_told_once_a_minute_at_most() {
    let mut stage = Stage::new("").settled();
    let told = (0..120).filter(|_| {
        let proposal = stage.evaluate_where(Executable::Never, 11.0).proposal;
        if let Some(decided) = &proposal {
            stage.commit(decided, 4);
        }
        proposal.is_some()
    });
    assert_eq!(told.count(), 1);
}

#[test]
fn a_person_clears_the_windows_and_another_arbiter_does_not() {
    let going_down = r#", "scale_down": {"stabilization": "20s"}"#;
    for (person, acts_after) in [(false, 21), (true, 31)] {
        let mut stage = Stage::new(going_down).settled();
        let acted = (1_u32..60).find(|round| {
            if *round == 10 {
                let mut memory = Memory::clone(&stage.view.memory);
                if person {
                    memory.last_change = Some(at(stage.now));
                }
                stage.view.memory = Arc::new(memory);
                stage.view.version += 1;
            }
            let Evaluated { decision, proposal, .. } = stage.evaluate(1.0);
            if let Some(decided) = proposal {
                stage.commit(&decided, decision.replicas);
            }
            decision.action == Action::ScaleDown
        });
        assert!(acted.is_some_and(|round| round.abs_diff(acts_after) <= 2), "{person}: {acted:?}");
    }
}

#[test]
fn a_one_shot_that_could_not_be_carried_out_fires_again() {
    let schedule = r#", "schedules": [{"cron_expression": "* * * * * *", "desired_replicas": 6}]"#;
    let mut stage = Stage::new(schedule).settled();
    let later = stage.evaluate_where(Executable::Later, 7.0);
    assert_eq!((later.decision.replicas, later.proposal.is_none()), (6, true));
    let fired = stage.evaluate(7.0).proposal.expect("it fires");
    assert_eq!(fired.decision.replicas, 6);
    let cursors = |memory: &Memory| memory.policies.values().next().map(|policy| policy.schedules.clone());
    let (with, without) = (fired.memory.as_ref().expect("it acts"), fired.memory_without.as_ref().expect("it may not"));
    assert_eq!(cursors(without), cursors(&stage.view.memory), "what came to nothing is still due");
    assert_ne!(cursors(with), cursors(&stage.view.memory));
}

#[test]
fn what_is_only_recorded_is_not_caught_up() {
    let schedule = r#", "schedules": [{"cron_expression": "* * * * * *", "desired_replicas": 6}]"#;
    let mut stage = Stage::new(schedule).of(Run::DryRun).settled();
    let cursors = |memory: &Memory| memory.policies.values().next().map(|policy| policy.schedules.clone());
    let before = cursors(&stage.view.memory);
    let fired = stage.evaluate(7.0).proposal.expect("it would fire");
    assert_eq!(fired.decision.replicas, 6);
    stage.commit(&fired, 4);
    assert_ne!(cursors(&stage.view.memory), before);
    let state = stage.arbitration.state().expect("a state");
    assert_eq!(cursors(&state.memory), cursors(&stage.view.memory));
}

#[test]
fn what_was_recorded_lets_a_clock_run_on() {
    for recorded in [true, false] {
        let mut stage = Stage::new("");
        let id = stage.view.policies[0].id();
        let clock = HoldClock { holding_since: Some(at(0)), last: Some(at(0)) };
        let mut memory = Memory::default();
        memory.policies.entry(id).or_default().clocks.insert("up queue > 10".to_owned(), clock);
        (stage.view.memory, stage.view.version) = (Arc::new(memory), 7);
        stage.now = 600;
        assert_eq!(stage.arbitration.lacks_since(&stage.view), Some(at(0)));
        if recorded {
            let points = (1..60).map(|step| Point { at: at(step * 10), value: 11.0 });
            stage.arbitration.recall([("queue".to_owned(), points.collect())].into());
        }
        stage.evaluate(11.0);
        let clocks = &stage.arbitration.flight.as_ref().expect("up").with.memory.policies[&id].clocks;
        let since = if recorded { at(0) } else { at(601) };
        assert_eq!(clocks["up queue > 10"].holding_since, Some(since), "recorded: {recorded}");
        assert!(stage.arbitration.history.is_empty(), "it is told once");
        assert_eq!(stage.arbitration.lacks_since(&stage.view), None);
    }
}
