//! The figures for monitoring, in the Prometheus text format.
//!
//! Invariants: strangers see sums, which tell of nobody; the number of series is bounded: of [`super::MOST_SHOWN`] deployments
//! each has its own, those beyond are one, called `other`; and so many replicas. Deployments are named by their ids, for
//! whoever reads this may not know whose they are. What is shown is copied under the lock and made into text outside of it,
//! because reports and scaling wait for it. Tests: [`super::tests`].

use std::fmt::Write;
use std::time::Duration;

use fogline_core::id::DeploymentId;
use fogline_core::traffic::LATENCY_BOUNDS_MS;

use super::second::BUCKETS;
use super::series::{Series, Totals};
use super::{Book, Figures};

/// Replicas with series of their own.
const MOST_REPLICAS: usize = 2_000;

const WAKES: [&str; 4] = ["woken", "awake", "refused", "failed"];

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// Of all deployments together.
    Sums,
    /// Of each.
    ByDeployment,
}

/// What is shown under the same labels.
#[derive(Default)]
struct Row {
    /// With a comma behind each.
    labels: String,
    totals: Totals,
    open: u64,
    held: u64,
}

/// A replica's part.
struct ReplicaRow {
    labels: String,
    ended: u64,
    open: u64,
}

/// What is copied under the lock.
struct Seen {
    attached: usize,
    leaving: usize,
    wakes: [u64; 4],
    rows: Vec<Row>,
    replicas: Vec<ReplicaRow>,
}

impl Figures {
    /// All of them, to be put behind the server's own.
    pub(crate) fn render(&self, detail: Detail) -> String {
        let seen = self.lock().seen(detail);
        let mut text = String::new();
        gauge(&mut text, "fogline_proxies_attached", "Proxies that are attached.", seen.attached);
        gauge(&mut text, "fogline_drains_waiting", "Replicas that leave and are not stopped yet.", seen.leaving);
        head(&mut text, "fogline_wakes_total", "counter", "Wake-ups that proxies asked for, by what became of them.");
        for (outcome, count) in WAKES.iter().zip(seen.wakes) {
            line(&mut text, "fogline_wakes_total", &format!("outcome=\"{outcome}\","), count);
        }
        type Counter = (&'static str, &'static str, &'static str, fn(&Row) -> u64);
        let counters: [Counter; 5] = [
            ("fogline_traffic_requests_total", "counter", "Requests that have come in.", |row| row.totals.begun),
            ("fogline_traffic_errors_total", "counter", "Requests that were answered with 500 to 599.", |row| {
                row.totals.failed
            }),
            (
                "fogline_traffic_refused_total",
                "counter",
                "Requests that proxies refused for want of a replica.",
                |row| row.totals.refused,
            ),
            ("fogline_traffic_open", "gauge", "Requests that are with a replica.", |row| row.open),
            ("fogline_traffic_held", "gauge", "Requests that wait for a replica.", |row| row.held),
        ];
        for (name, kind, help, of) in counters {
            head(&mut text, name, kind, help);
            for row in &seen.rows {
                line(&mut text, name, &row.labels, of(row));
            }
        }
        let name = "fogline_traffic_seconds";
        head(&mut text, name, "histogram", "Time from the first byte of a request to the last of its answer.");
        for row in &seen.rows {
            histogram(&mut text, name, &row.labels, &row.totals.latency, row.totals.latency_sum);
        }
        let name = "fogline_traffic_cold_start_seconds";
        head(&mut text, name, "histogram", "Time for which requests were held that met a deployment at zero.");
        for row in seen.rows.iter().filter(|row| row.totals.cold_starts.iter().any(|count| *count > 0)) {
            histogram(&mut text, name, &row.labels, &row.totals.cold_starts, row.totals.cold_start_sum);
        }
        if detail == Detail::ByDeployment {
            let name = "fogline_traffic_replica_requests_total";
            head(&mut text, name, "counter", "Requests that have ended at a replica.");
            for replica in &seen.replicas {
                line(&mut text, name, &replica.labels, replica.ended);
            }
            let name = "fogline_traffic_replica_open";
            head(&mut text, name, "gauge", "Requests that are with a replica.");
            for replica in &seen.replicas {
                line(&mut text, name, &replica.labels, replica.open);
            }
        }
        text
    }
}

impl Book {
    fn seen(&self, detail: Detail) -> Seen {
        let (rows, replicas) = match detail {
            Detail::Sums => (vec![self.sums()], Vec::new()),
            Detail::ByDeployment => (self.rows(), self.replicas()),
        };
        let leaving = self.services.values().map(|series| series.leaving).sum();
        Seen { attached: self.sessions.len(), leaving, wakes: self.wakes, rows, replicas }
    }

    fn sums(&self) -> Row {
        let mut sums = Row { totals: self.gone_shown, ..Row::default() };
        sums.totals.add(&self.gone);
        for series in self.services.values() {
            sums.add(series);
        }
        sums
    }

    fn rows(&self) -> Vec<Row> {
        let shown = self.services.iter().filter(|(_, series)| series.shown);
        let row = |(id, series): (&DeploymentId, &Series)| {
            let mut row = Row { labels: format!("deployment=\"{id}\","), ..Row::default() };
            row.add(series);
            row
        };
        let mut rows: Vec<Row> = shown.map(row).collect();
        let mut other = Row { labels: "deployment=\"other\",".to_owned(), totals: self.gone, ..Row::default() };
        for series in self.services.values().filter(|series| !series.shown) {
            other.add(series);
        }
        if other.totals != Totals::default() || other.open > 0 || other.held > 0 {
            rows.push(other);
        }
        rows
    }

    fn replicas(&self) -> Vec<ReplicaRow> {
        let shown = self.services.iter().filter(|(_, series)| series.shown);
        let of = shown.flat_map(|(id, series)| series.upstreams().map(move |replica| (id, series, replica)));
        of.take(MOST_REPLICAS)
            .map(|(id, series, replica)| ReplicaRow {
                labels: format!("deployment=\"{id}\",replica=\"{replica}\","),
                ended: series.replicas.get(&replica).map_or(0, |of| of.ended),
                open: series.replica(replica).0,
            })
            .collect()
    }
}

impl Row {
    fn add(&mut self, series: &Series) {
        let (open, held) = series.open_and_held();
        self.totals.add(&series.totals);
        self.open = self.open.saturating_add(open);
        self.held = self.held.saturating_add(held);
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: usize) {
    head(text, name, "gauge", help);
    put(text, format_args!("{name} {value}\n"));
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    put(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(text: &mut String, name: &str, labels: &str, value: u64) {
    put(text, format_args!("{name}{} {value}\n", braced(labels)));
}

fn braced(labels: &str) -> String {
    labels.strip_suffix(',').map(|labels| format!("{{{labels}}}")).unwrap_or_default()
}

fn histogram(text: &mut String, name: &str, labels: &str, counts: &[u64; BUCKETS], sum: Duration) {
    let mut below = 0u64;
    for (count, bound) in counts.iter().zip(LATENCY_BOUNDS_MS) {
        below = below.saturating_add(*count);
        let bound = f64::from(bound) / 1_000.0;
        put(text, format_args!("{name}_bucket{{{labels}le=\"{bound}\"}} {below}\n"));
    }
    let all = below.saturating_add(counts[BUCKETS - 1]);
    put(text, format_args!("{name}_bucket{{{labels}le=\"+Inf\"}} {all}\n"));
    let labels = braced(labels);
    put(text, format_args!("{name}_sum{labels} {}\n", sum.as_secs_f64()));
    put(text, format_args!("{name}_count{labels} {all}\n"));
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("text takes whatever is written to it");
}
