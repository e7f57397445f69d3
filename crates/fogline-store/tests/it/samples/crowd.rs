//! Ten thousand series at once, as a large cluster has them. With `--nocapture` it says how long that took.

use std::time::Duration;

use fogline_core::scaling::sample::Point;
use fogline_store::{Compacted, SeriesKey};
use tokio::time::Instant;

use super::{DAY, MINUTE, SECOND, at, bucket, key, open, range};
use crate::backend::Backend;

const SERIES: usize = 10_000;
const ROWS: u32 = 3;

async fn ten_thousand_series_are_taken_at_once(backend: Backend, name: &str) {
    let store = open(&backend).await;
    let keys: Vec<SeriesKey> = (0..SERIES).map(|series| key(&format!("metric_{series}"))).collect();
    let (mut new, mut again) = (Duration::ZERO, Duration::ZERO);
    for row in 0..ROWS {
        for (took, seconds) in [(&mut new, 0.0), (&mut again, 5.0)] {
            let at = at(f64::from(row) * 10.0 + seconds);
            let batch: Vec<_> = keys.iter().map(|key| (key.clone(), Point { at, value: seconds })).collect();
            let started = Instant::now();
            store.append(&batch).await.expect("adds");
            *took += started.elapsed();
        }
    }
    let started = Instant::now();
    let compacted = store.compact(at(DAY.as_secs_f64() + 60.0)).await.expect("compacts");
    println!(
        "{name}: {SERIES} series, a point each: {:?} where rows are new, {:?} where they are there; {} rows moved in {:?}",
        new / ROWS,
        again / ROWS,
        compacted.moved,
        started.elapsed()
    );
    assert_eq!(compacted, Compacted { moved: SERIES as u64 * u64::from(ROWS), removed: 0 });
    for series in [0, 4_711, SERIES - 1] {
        let found = range(&store, &format!("metric_{series}"), 0.0, 60.0, MINUTE).await;
        assert_eq!(found, [bucket(0.0, 2.5, 5.0, 6)]);
    }

    let day: Vec<_> = (0..8_640).map(|row| (key("one"), Point { at: at(f64::from(row) * 10.0), value: 1.0 })).collect();
    store.append(&day).await.expect("adds");
    let started = Instant::now();
    let found = range(&store, "one", 0.0, DAY.as_secs_f64(), 10 * SECOND).await.len();
    println!("{name}: a day in {found} steps read in {:?}", started.elapsed());
    assert_eq!(found, 8_640);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_series_are_taken_at_once_by_sqlite() {
    ten_thousand_series_are_taken_at_once(Backend::sqlite().await, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_series_are_taken_at_once_by_postgres() {
    ten_thousand_series_are_taken_at_once(Backend::postgres().await, "PostgreSQL").await;
}
