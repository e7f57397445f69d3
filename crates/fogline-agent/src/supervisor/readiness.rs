//! Whether one run of a replica is ready, and when it is asked next.
//!
//! Decides when to probe and what the answers mean; never probes itself. One probe is out at a time; one whose answer
//! never comes counts as failed. Invariant: `ready` turns false only after `unhealthy_after` failures in a row. Tests:
//! below.

use fogline_core::spec::{HealthCheck, HealthSpec};

use super::crashes::{PAUSE_FORGOTTEN_AFTER_US, STEADY_AFTER_US};

/// A replica that is not ready yet is asked this soon. Each further pause is a part of the time that it has had: so
/// readiness is seen late by no more than that part of the start, and one that takes long is not asked all the time.
const FIRST_PROBE_US: u64 = 5_000;
const PAUSE_PART_OF_START: u64 = 5;
const SLOWEST_START_PROBE_US: u64 = 250_000;
/// One that was ready and is not any more is asked at least this often.
const SLOWEST_RECOVERY_PROBE_US: u64 = 1_000_000;
/// How much longer than its time-out an answer is waited for.
const ANSWER_SLACK_US: u64 = 1_000_000;
const SECOND_US: u64 = 1_000_000;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeTarget {
    /// Whether the port accepts a connection.
    Tcp {
        /// On the machine.
        port: u16,
    },
    /// Whether a GET answers 200 to 399.
    Http {
        /// On the machine.
        port: u16,
        /// Starts with `/`.
        path: String,
    },
}

/// A probe to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub number: u64,
    pub target: ProbeTarget,
    pub timeout_us: u64,
}

/// What is known of a run when its readiness begins to be watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Past {
    /// It was never ready.
    New,
    /// It was ready once, and was not when it was last seen.
    WasReady,
    /// It was ready when it was last seen.
    Ready,
}

/// The readiness of one run.
#[derive(Debug)]
pub(super) struct Readiness {
    target: Option<ProbeTarget>,
    interval_us: u64,
    timeout_us: u64,
    unhealthy_after: u32,
    /// When the current stretch of being ready began.
    ready_since_us: Option<u64>,
    ever_ready: bool,
    failures: u32,
    last_failure: Option<String>,
    next_probe_us: u64,
    since_us: u64,
    asked: Option<(u64, u64)>,
    next_number: u64,
    /// The stretch that was last told, so that each mark is told once.
    marked_us: u64,
}

impl Readiness {
    /// Of a run that has just started, or that was adopted: `past` says what was known of it.
    pub fn new(health: &HealthSpec, port: Option<u16>, past: Past, now_us: u64) -> Self {
        let target = match (health.check, port) {
            (HealthCheck::Tcp, Some(port)) => Some(ProbeTarget::Tcp { port }),
            (HealthCheck::Http, Some(port)) => Some(ProbeTarget::Http { port, path: health.path.clone() }),
            // Without a port there is nothing that could be asked.
            (HealthCheck::None, _) | (_, None) => None,
        };
        let ready = past == Past::Ready || target.is_none();
        Self {
            target,
            interval_us: u64::from(health.interval_s.max(1)) * SECOND_US,
            timeout_us: u64::from(health.timeout_s.max(1)) * SECOND_US,
            unhealthy_after: health.unhealthy_after.max(1),
            ready_since_us: ready.then_some(now_us),
            ever_ready: ready || past == Past::WasReady,
            failures: 0,
            last_failure: None,
            next_probe_us: if past == Past::New { now_us.saturating_add(FIRST_PROBE_US) } else { now_us },
            since_us: now_us,
            asked: None,
            next_number: 1,
            marked_us: 0,
        }
    }

    /// Whether it is ready now.
    pub const fn is_ready(&self) -> bool {
        self.ready_since_us.is_some()
    }

    /// Whether this run was ever ready.
    pub const fn was_ready(&self) -> bool {
        self.ever_ready
    }

    /// Lets the time of being ready begin now, where it is ready: what was before does not count.
    pub fn count_from(&mut self, now_us: u64) {
        self.ready_since_us = self.ready_since_us.map(|_| now_us);
        self.marked_us = 0;
    }

    /// Why the last probe failed.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// How long it has been ready without a break.
    pub fn ready_for_us(&self, now_us: u64) -> u64 {
        self.ready_since_us.map_or(0, |since_us| now_us.saturating_sub(since_us))
    }

    /// When [`Self::poll`] has something to do next.
    pub fn due_us(&self) -> Option<u64> {
        let probe_us = self.target.as_ref().map(|_| match self.asked {
            Some((_, answer_by_us)) => answer_by_us,
            None => self.next_probe_us,
        });
        let mark_us = self.ready_since_us.and_then(|since_us| {
            [STEADY_AFTER_US, PAUSE_FORGOTTEN_AFTER_US]
                .into_iter()
                .find(|mark_us| *mark_us > self.marked_us)
                .map(|mark_us| since_us.saturating_add(mark_us))
        });
        probe_us.into_iter().chain(mark_us).min()
    }

    /// The next probe, where one is due. Gives up on an answer that is overdue.
    pub fn poll(&mut self, now_us: u64) -> Option<Question> {
        self.marked_us = self.marked_us.max(self.ready_for_us(now_us));
        let target = self.target.clone()?;
        if let Some((number, answer_by_us)) = self.asked {
            if now_us < answer_by_us {
                return None;
            }
            self.answer(number, Err("no answer from the probe".to_owned()), now_us);
        }
        if now_us < self.next_probe_us {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.asked = Some((number, now_us.saturating_add(self.timeout_us + ANSWER_SLACK_US)));
        Some(Question { number, target, timeout_us: self.timeout_us })
    }

    /// Takes an answer. One that is late, or of another run, changes nothing.
    pub fn answer(&mut self, number: u64, result: Result<(), String>, now_us: u64) {
        if self.asked.is_none_or(|(asked, _)| asked != number) {
            return;
        }
        self.asked = None;
        let pause_us = match result {
            Ok(()) => {
                self.failures = 0;
                self.last_failure = None;
                self.ever_ready = true;
                self.ready_since_us.get_or_insert(now_us);
                self.interval_us
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(why);
                if self.failures >= self.unhealthy_after {
                    self.ready_since_us = None;
                    self.marked_us = 0;
                }
                if self.is_ready() {
                    self.interval_us
                } else if self.ever_ready {
                    self.interval_us.min(SLOWEST_RECOVERY_PROBE_US)
                } else {
                    let part_us = now_us.saturating_sub(self.since_us) / PAUSE_PART_OF_START;
                    part_us.clamp(FIRST_PROBE_US, SLOWEST_START_PROBE_US).min(self.interval_us)
                }
            }
        };
        self.next_probe_us = now_us.saturating_add(pause_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(past: Past) -> Readiness {
        let health = HealthSpec { unhealthy_after: 3, interval_s: 5, ..HealthSpec::default() };
        Readiness::new(&health, Some(20_000), past, 0)
    }

    /// Asks at the due time and answers at once; says when that was.
    fn ask(readiness: &mut Readiness, ok: bool) -> u64 {
        let now_us = readiness.due_us().expect("due");
        let question = readiness.poll(now_us).expect("a probe is due");
        readiness.answer(question.number, if ok { Ok(()) } else { Err("refused".to_owned()) }, now_us);
        now_us
    }

    #[test]
    fn a_new_run_is_asked_soon_and_then_less_often() {
        let mut readiness = tcp(Past::New);
        let times_ms: Vec<u64> = (0..26).map(|_| ask(&mut readiness, false) / 1_000).collect();
        assert_eq!(times_ms[..8], [5, 10, 15, 20, 25, 30, 36, 43]);
        assert_eq!(times_ms[21..], [554, 665, 798, 958, 1150]);
        assert!(!readiness.was_ready());
        let ready_at_us = ask(&mut readiness, true);
        assert!(readiness.is_ready());
        assert_eq!(readiness.due_us(), Some(ready_at_us + 5_000_000));
    }

    #[test]
    fn it_takes_three_failures_in_a_row_to_lose_readiness_and_one_success_to_get_it_back() {
        let mut readiness = tcp(Past::Ready);
        for (ok, ready) in
            [(false, true), (false, true), (true, true), (false, true), (false, true), (false, false), (true, true)]
        {
            ask(&mut readiness, ok);
            assert_eq!(readiness.is_ready(), ready);
        }
    }

    #[test]
    fn without_a_check_a_run_is_ready_at_once() {
        let health = HealthSpec { check: HealthCheck::None, ..HealthSpec::default() };
        let mut readiness = Readiness::new(&health, Some(1), Past::New, 7);
        assert!(readiness.is_ready() && readiness.was_ready());
        assert_eq!(readiness.poll(1_000_000), None);
        assert_eq!(readiness.due_us(), Some(7 + STEADY_AFTER_US), "only the mark");
    }

    #[test]
    fn an_answer_that_never_comes_is_a_failure_and_a_late_one_changes_nothing() {
        let mut readiness = tcp(Past::New);
        let question = readiness.poll(10_000).expect("due");
        assert_eq!(readiness.poll(20_000), None, "one at a time");
        let overdue_us = readiness.due_us().expect("due");
        readiness.poll(overdue_us);
        readiness.answer(question.number, Ok(()), overdue_us);
        assert!(!readiness.is_ready());
    }

    #[test]
    fn marks_are_told_once() {
        let mut readiness = tcp(Past::Ready);
        ask(&mut readiness, true);
        for mark_us in [STEADY_AFTER_US, PAUSE_FORGOTTEN_AFTER_US] {
            while readiness.ready_for_us(readiness.due_us().expect("due")) < mark_us {
                ask(&mut readiness, true);
            }
            assert_eq!(readiness.due_us(), Some(mark_us));
            if let Some(question) = readiness.poll(mark_us) {
                readiness.answer(question.number, Ok(()), mark_us);
            }
            assert!(readiness.due_us() > Some(mark_us));
        }
    }
}
