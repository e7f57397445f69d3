//! What the engine counts and measures. Labels come from closed sets.

use std::time::Duration;

use fogline_core::scaling::Decision;
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::policy::SourceKind;
use fogline_core::scaling::sample::Sample;
use metrics::{Counter, Gauge, Histogram};

use crate::telemetry::Telemetry;

/// The engine's series.
pub(super) struct Figures {
    telemetry: Telemetry,
    pub(super) evaluations: Counter,
    pub(super) lag: Histogram,
    pub(super) round: Histogram,
    pub(super) targets: Gauge,
    pub(super) sources: Gauge,
    pub(super) failing_sources: Gauge,
    pub(super) refused: Counter,
    pub(super) samples_dropped: Counter,
    asking: Histogram,
}

impl Figures {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        telemetry.record(|| {
            use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
            describe_counter!("fogline_scaling_evaluations_total", "Evaluations of scaling targets.");
            describe_counter!(
                "fogline_scaling_decisions_total",
                "Decisions other than to hold, by action and trigger."
            );
            describe_counter!("fogline_scaling_decisions_refused_total", "Decisions that the writer did not take.");
            describe_counter!("fogline_scaling_source_failures_total", "Questions to metric sources without a value.");
            describe_counter!("fogline_scaling_executor_failures_total", "Decisions that were not carried out.");
            describe_counter!("fogline_scaling_samples_dropped_total", "Raw samples that were not stored.");
            describe_histogram!("fogline_scaling_lag_seconds", "Time from when an evaluation was due to its end.");
            describe_histogram!("fogline_scaling_round_seconds", "Time to evaluate every target once.");
            describe_histogram!("fogline_scaling_source_seconds", "Time that metric sources take to answer.");
            describe_gauge!("fogline_scaling_targets", "Targets with an enabled policy.");
            describe_gauge!("fogline_scaling_sources", "Distinct questions that are asked of metric sources.");
            describe_gauge!("fogline_scaling_sources_failing", "Those of them whose last answer was no value.");
            Self {
                telemetry: telemetry.clone(),
                evaluations: counter!("fogline_scaling_evaluations_total"),
                lag: histogram!("fogline_scaling_lag_seconds"),
                round: histogram!("fogline_scaling_round_seconds"),
                targets: gauge!("fogline_scaling_targets"),
                sources: gauge!("fogline_scaling_sources"),
                failing_sources: gauge!("fogline_scaling_sources_failing"),
                refused: counter!("fogline_scaling_decisions_refused_total"),
                samples_dropped: counter!("fogline_scaling_samples_dropped_total"),
                asking: histogram!("fogline_scaling_source_seconds"),
            }
        })
    }

    /// A source was asked.
    pub(super) fn asked(&self, kind: SourceKind, sample: &Sample, took: Duration) {
        self.asking.record(took.as_secs_f64());
        let outcome = match sample {
            Sample::Value { .. } => return,
            Sample::Missing => "missing",
            Sample::Stale { .. } => "stale",
            Sample::Error { .. } => "error",
        };
        let kind = kind.as_str();
        self.telemetry.record(|| {
            metrics::counter!("fogline_scaling_source_failures_total", "kind" => kind, "outcome" => outcome)
                .increment(1);
        });
    }

    /// A decision was taken by the writer.
    pub(super) fn decided(&self, decision: &Decision) {
        let action = match decision.action {
            Action::ScaleUp => "scale_up",
            Action::ScaleDown => "scale_down",
            Action::Hold => return,
        };
        let trigger = decision.trigger.as_str();
        self.telemetry.record(|| {
            metrics::counter!("fogline_scaling_decisions_total", "action" => action, "trigger" => trigger).increment(1);
        });
    }

    /// An executor has not done what it should.
    pub(super) fn executor_failed(&self, executor: &'static str) {
        self.telemetry.record(|| {
            metrics::counter!("fogline_scaling_executor_failures_total", "executor" => executor).increment(1);
        });
    }
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}
