//! What only Prometheus can do: ranges, series, moments, words.

use std::time::Duration;

use fogline_core::scaling::policy::{Aggregate, MetricSpec, SourceKind, Span};
use fogline_core::scaling::sample::{Reading, Sample, Source};
use fogline_core::time::Timestamp;
use fogline_source::{Connection, Sources, SourcesConfig};
use fogline_testbed::{Exporter, Prometheus};

use crate::hostile::Hostile;
use crate::setup::{Scraped, ask, ask_at, connected, now, open, question, question_at, reason, value};

fn asking(query: &str) -> MetricSpec {
    MetricSpec { query: Some(query.to_owned()), ..question(SourceKind::Prometheus) }
}

fn scraped() -> (std::sync::Arc<Scraped>, Sources) {
    let scraped = Scraped::shared();
    let sources = connected(Connection::new(SourceKind::Prometheus, scraped.prometheus.url()));
    (scraped, sources)
}

#[tokio::test]
async fn something_is_made_of_several_series_where_it_is_asked_for() {
    let (_held, sources) = scraped();
    for (aggregate, expected) in
        [(Aggregate::Sum, 12.0), (Aggregate::Avg, 6.0), (Aggregate::Max, 7.0), (Aggregate::Min, 5.0)]
    {
        let spec = MetricSpec { aggregate: Some(aggregate), ..asking("queue_length") };
        assert_eq!(value(&ask(&sources, &spec).await), expected, "{aggregate:?}");
    }
    let answer = ask(&sources, &asking("queue_length")).await;
    assert!(reason(&answer).contains("queue=\"a\"") && reason(&answer).contains("queue=\"b\""), "{answer:?}");
    let answer = ask(&sources, &asking("{__name__=~\"scrape.*|up|queue_length\"}")).await;
    assert_eq!(reason(&answer).matches("instance=").count(), 3, "three are named: {answer:?}");
}

#[tokio::test]
async fn a_scalar_is_a_value() {
    let (_held, sources) = scraped();
    assert_eq!(value(&ask(&sources, &asking("scalar(queue_length{queue=\"a\"}) * 2")).await), 14.0);
}

#[test]
fn a_range_gives_what_was_while_nobody_asked() {
    let exporter = Exporter::start("jobs_waiting 4");
    let prometheus = Prometheus::start(&[exporter.addr()]);
    prometheus.wait_for("count_over_time(jobs_waiting[1m]) >= 3");
    exporter.set("jobs_waiting 6");
    prometheus.wait_for("jobs_waiting == 6");
    let sources = connected(Connection::new(SourceKind::Prometheus, prometheus.url()));
    let spec = MetricSpec { range: Some(Span::seconds(60)), interval: Span::seconds(1), ..asking("jobs_waiting") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let now = now();
    let answer = runtime.block_on(ask_at(&sources, &spec, now));
    assert_eq!(value(&answer), 6.0);
    let Answered { at, history } = Answered::of(&answer);
    assert!(now.since(at) < Duration::from_secs(2), "the last step is now");
    assert!(history.len() >= 2 && history.iter().any(|(_, value)| *value == 4.0), "{history:?}");
    assert!(history.is_sorted_by(|one, next| one.0 < next.0) && history.iter().all(|(then, _)| *then < at));
    let gaps: Vec<_> = history.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    assert!(gaps.iter().all(|gap| *gap == Duration::from_secs(1)), "{gaps:?}");

    // What is scraped goes away: the last value is what it was, with its time, and stale by that.
    drop(exporter);
    prometheus.wait_for("up == 0");
    let stale = || {
        let then = crate::setup::now();
        let answer = runtime.block_on(ask_at(&sources, &spec, then));
        let reading = Reading::of(answer.sample, Source::Prometheus, spec.interval.0);
        matches!(reading.judged(then), Sample::Stale { value: 6.0, .. }).then_some(())
    };
    fogline_testbed::patience::wait_for("the last value to be stale", stale);
    // Without a range there is nothing at this moment.
    let spec = MetricSpec { range: None, ..spec };
    assert_eq!(runtime.block_on(ask(&sources, &spec)).sample, Sample::Missing);
}

struct Answered {
    at: Timestamp,
    history: Vec<(Timestamp, f64)>,
}

impl Answered {
    fn of(answer: &fogline_source::Answer) -> Self {
        let Sample::Value { at, .. } = answer.sample else { panic!("a value was expected: {answer:?}") };
        Self { at, history: answer.history.iter().map(|point| (point.at, point.value)).collect() }
    }
}

#[tokio::test]
async fn a_days_range_is_a_thousand_points_at_most() {
    let (_held, sources) = scraped();
    for interval in [1, 15, 3_600] {
        let spec =
            MetricSpec { range: Some(Span::seconds(86_400)), interval: Span::seconds(interval), ..asking("vector(1)") };
        let answer = ask(&sources, &spec).await;
        assert_eq!(value(&answer), 1.0);
        assert!(answer.history.len() < 1_000 && answer.history.len() >= 23, "{} points", answer.history.len());
    }
}

#[tokio::test]
async fn the_servers_time_of_a_value_counts() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1000000,"5"]}]}}"#;
    let server = Hostile::http("200 OK", &[], body);
    let spec = MetricSpec { query: Some("up".to_owned()), ..question_at(SourceKind::Prometheus, server.url("http")) };
    let now = now();
    let answer = ask_at(&open(), &spec, now).await;
    let reading = Reading::of(answer.sample, Source::Prometheus, spec.interval.0);
    let at = Timestamp::from_micros(1_000_000_000_000);
    assert_eq!(reading.judged(now), Sample::Stale { value: 5.0, at });
}

#[tokio::test]
async fn the_one_of_the_settings_is_asked_where_none_is_named() {
    let scraped = Scraped::shared();
    let config = SourcesConfig { prometheus_url: Some(scraped.prometheus.url()), ..SourcesConfig::default() };
    let sources = Sources::new(&config).expect("a URL");
    let spec = MetricSpec { connection: None, ..asking("queue_length{queue=\"b\"}") };
    sources.check(&spec).expect("there is one");
    assert_eq!(value(&ask(&sources, &spec).await), 5.0);
}

#[tokio::test]
async fn a_long_query_is_sent() {
    let (_held, sources) = scraped();
    let query = vec!["vector(1)"; 5_000].join(" + ");
    assert_eq!(value(&ask(&sources, &asking(&query)).await), 5_000.0);
}

#[tokio::test]
async fn the_words_of_a_failure_are_shown_shortened() {
    let long = "x".repeat(10_000);
    let body = format!(r#"{{"status":"error","error":"first\u001b[2J\n{long}"}}"#);
    let server = Hostile::http("503 Service Unavailable", &[], &body);
    let spec = MetricSpec { query: Some("up".to_owned()), ..question_at(SourceKind::Prometheus, server.url("http")) };
    let answer = ask(&open(), &spec).await;
    assert!(reason(&answer).starts_with("127.0.0.1: answers 503: first [2J xxx"), "{answer:?}");
    assert!(reason(&answer).chars().count() < 250, "{answer:?}");
}
