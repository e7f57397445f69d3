//! The store of samples: what both backends must do, and what each of them must survive.

mod contract;
mod crowd;
mod disk_full;
mod file;
mod postgres;

use std::time::Duration;

use fogline_core::scaling::sample::Point;
use fogline_core::time::Timestamp;
use fogline_store::{Bucket, SampleStore, SamplesConfig, SeriesKey};

use crate::backend::Backend;

/// 2025-11-25 at ten, in seconds: the beginning of an hour, and of no day.
const TEN: i64 = 1_764_064_800;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(TEN * 1_000_000 + (seconds * 1e6).round() as i64)
}

fn key(metric: &str) -> SeriesKey {
    SeriesKey { target: "deployment:0192d0e0-0000-7000-8000-000000000001".to_owned(), metric: metric.to_owned() }
}

/// A point of the series `a`.
fn point(seconds: f64, value: f64) -> (SeriesKey, Point) {
    (key("a"), Point { at: at(seconds), value })
}

fn bucket(seconds: f64, mean: f64, max: f64, count: u64) -> Bucket {
    Bucket { at: at(seconds), mean, max, count }
}

/// A store of its own, beside the rows of the backend.
async fn open(backend: &Backend) -> SampleStore {
    SampleStore::open(&SamplesConfig::beside(&backend.config())).await.expect("opens")
}

async fn range(store: &SampleStore, metric: &str, from: f64, to: f64, step: Duration) -> Vec<Bucket> {
    store.range(&key(metric), at(from), at(to), step).await.expect("reads")
}
