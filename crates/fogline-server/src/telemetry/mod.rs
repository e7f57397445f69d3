//! The server's own figures, in the Prometheus format.
//!
//! Each server has a recorder of its own, not the process's global one, so that several servers in one process (tests,
//! a simulation) do not add up. Invariant: labels come from closed sets, so the number of series is bounded whatever
//! people and agents send. Tests: below.

mod census;

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(crate) use census::Census;

const METADATA: Metadata<'static> = Metadata::new("fogline", Level::INFO, Some(module_path!()));

const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const COMMANDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// Counts and measures. Cheap to clone; all clones write to the same series.
#[derive(Clone)]
pub struct Telemetry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    writer: Arc<WriterSeries>,
}

/// What the writer measures.
pub(crate) struct WriterSeries {
    pub(crate) commits: Counter,
    pub(crate) commit_failures: Counter,
    pub(crate) batch_commands: Histogram,
    pub(crate) deciding_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) queue: Gauge,
    pub(crate) revision: Gauge,
}

impl Telemetry {
    /// Figures that all stand at nothing.
    #[must_use]
    pub fn new() -> Self {
        let recorder = Arc::new(recorder());
        let handle = recorder.handle();
        let counter = |name, help: &'static str| {
            recorder.describe_counter(name_of(name), None, help.into());
            recorder.register_counter(&Key::from_static_name(name), &METADATA)
        };
        let gauge = |name, help: &'static str| {
            recorder.describe_gauge(name_of(name), None, help.into());
            recorder.register_gauge(&Key::from_static_name(name), &METADATA)
        };
        let histogram = |name, unit, help: &'static str| {
            recorder.describe_histogram(name_of(name), unit, help.into());
            recorder.register_histogram(&Key::from_static_name(name), &METADATA)
        };
        let writer = WriterSeries {
            commits: counter("fogline_commits_total", "Transactions that were committed."),
            commit_failures: counter("fogline_commit_failures_total", "Transactions that were not committed."),
            batch_commands: histogram("fogline_batch_commands", None, "Commands that were decided together."),
            deciding_seconds: histogram(
                "fogline_deciding_seconds",
                Some(Unit::Seconds),
                "Time to decide one batch, without I/O.",
            ),
            commit_seconds: histogram("fogline_commit_seconds", Some(Unit::Seconds), "Time to commit one batch."),
            queue: gauge("fogline_writer_queue", "Commands that wait for the writer."),
            revision: gauge("fogline_revision", "The last commit."),
        };
        for (name, help) in [
            ("fogline_replicas", "Replicas that are not gone, by status."),
            ("fogline_deployments", "Deployments that are not deleted, by status."),
            ("fogline_nodes", "Nodes, by liveness."),
            ("fogline_agents_attached", "Sessions of agents that are open."),
            ("fogline_leader", "1 while this server leads, else 0."),
            ("fogline_epoch", "The epoch that this server leads in; the last one when it does not."),
        ] {
            recorder.describe_gauge(name_of(name), None, help.into());
        }
        recorder.describe_counter(
            name_of("fogline_rejections_total"),
            None,
            "Commands that were refused, by kind.".into(),
        );
        for (name, help) in [
            ("fogline_take_overs_total", "Terms that this server has led."),
            ("fogline_lost_revisions_total", "Revisions that were acknowledged and are missing in the database."),
        ] {
            recorder.describe_counter(name_of(name), None, help.into());
            recorder.register_counter(&Key::from_static_name(name), &METADATA).absolute(0);
        }
        let telemetry = Self { recorder, handle, writer: Arc::new(writer) };
        telemetry.agents_attached(0);
        telemetry.gauge("fogline_leader", None).set(0.0);
        telemetry
    }

    /// Everything, in the text format that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Runs code that uses the macros of the `metrics` crate, such as `counter!`, so that they count here. The code
    /// must not await, and must take the values of labels from closed sets.
    pub fn record<T>(&self, measure: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.recorder, measure)
    }

    pub(crate) fn writer(&self) -> &WriterSeries {
        &self.writer
    }

    /// A command was refused. `kind` is `Rejection::slug`.
    pub(crate) fn rejected(&self, kind: &'static str) {
        let label = metrics::Label::from_static_parts("kind", kind);
        let key = Key::from_parts("fogline_rejections_total", vec![label]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    pub(crate) fn agents_attached(&self, sessions: usize) {
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 agents")]
        self.gauge("fogline_agents_attached", None).set(sessions as f64);
    }

    /// This server leads in this epoch, or does not.
    pub(crate) fn leads(&self, epoch: Option<u64>) {
        self.gauge("fogline_leader", None).set(if epoch.is_some() { 1.0 } else { 0.0 });
        match epoch {
            Some(epoch) => {
                #[expect(clippy::cast_precision_loss, reason = "for people; nothing is decided by it")]
                self.gauge("fogline_epoch", None).set(epoch as f64);
                self.counter("fogline_take_overs_total").increment(1);
            }
            // What there is in the cluster is the leader's to count.
            None => Census::default().show(self),
        }
    }

    /// So many revisions were acknowledged and are missing.
    pub(crate) fn revisions_lost(&self, revisions: u64) {
        self.counter("fogline_lost_revisions_total").increment(revisions);
    }

    fn counter(&self, name: &'static str) -> Counter {
        self.recorder.register_counter(&Key::from_static_name(name), &METADATA)
    }

    fn gauge(&self, name: &'static str, label: Option<(&'static str, &'static str)>) -> Gauge {
        let key = match label {
            Some((label, value)) => Key::from_parts(name, vec![metrics::Label::from_static_parts(label, value)]),
            None => Key::from_static_name(name),
        };
        self.recorder.register_gauge(&key, &METADATA)
    }

    /// Drains what histograms have collected; without it they grow until somebody asks for the figures.
    pub(crate) async fn upkeep(&self) {
        let mut due = tokio::time::interval(Duration::from_secs(5));
        loop {
            due.tick().await;
            self.handle.run_upkeep();
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

fn recorder() -> PrometheusRecorder {
    let buckets = [
        ("fogline_deciding_seconds", SECONDS),
        ("fogline_commit_seconds", SECONDS),
        ("fogline_http_request_seconds", SECONDS),
        ("fogline_batch_commands", COMMANDS),
        ("fogline_scaling_lag_seconds", SECONDS),
        ("fogline_scaling_round_seconds", SECONDS),
        ("fogline_scaling_source_seconds", SECONDS),
    ];
    let builder = buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        builder
            .set_buckets_for_metric(metrics_exporter_prometheus::Matcher::Full(name.to_owned()), bounds)
            .expect("only an empty list of buckets is refused")
    });
    builder.build_recorder()
}

const fn name_of(name: &'static str) -> metrics::KeyName {
    metrics::KeyName::from_const_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_in_one_process_count_apart() {
        let (one, other) = (Telemetry::new(), Telemetry::new());
        one.rejected("name-taken");
        one.writer().commits.increment(2);
        one.record(|| metrics::counter!("fogline_http_requests_total", "status" => "2xx").increment(3));
        let text = one.render();
        assert!(text.contains("fogline_rejections_total{kind=\"name-taken\"} 1"), "{text}");
        assert!(text.contains("fogline_commits_total 2"), "{text}");
        assert!(text.contains("fogline_http_requests_total{status=\"2xx\"} 3"), "{text}");
        assert!(!other.render().contains("name-taken"));
    }
}
