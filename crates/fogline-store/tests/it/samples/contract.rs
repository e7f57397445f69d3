//! What both backends must do.

use std::time::Duration;

use fogline_core::time::Timestamp;
use fogline_store::Compacted;

use super::{DAY, HOUR, MINUTE, SECOND, at, bucket, key, open, point, range};
use crate::backend::Backend;

macro_rules! both {
    ($($test:ident,)+) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::backend::Backend::sqlite().await).await;
            }
        )+}
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::backend::Backend::postgres().await).await;
            }
        )+}
    };
}

both! {
    points_come_back_in_steps,
    a_later_point_of_the_same_instant_counts,
    what_says_nothing_does_no_harm,
    a_day_is_kept_in_ten_seconds_and_a_month_in_minutes,
    a_late_point_joins_its_minute,
    nothing_is_lost_or_counted_twice_while_it_is_moved,
    a_caller_who_goes_away_leaves_it_usable,
    the_rows_and_the_samples_do_not_know_of_each_other,
}

async fn points_come_back_in_steps(backend: Backend) {
    let store = open(&backend).await;
    assert_eq!(range(&store, "a", -1e6, 1e6, SECOND).await, []);
    store.append(&[]).await.expect("adds nothing");
    let mut batch = vec![point(1.0, 2.0), point(9.999_999, 6.0), point(10.0, -1.0), point(95.0, 0.5)];
    batch.push((key("b"), point(1.0, 100.0).1));
    store.append(&batch).await.expect("adds");
    store.append(&[point(5.0, 7.0), point(12.0, -3.0)]).await.expect("adds");
    let fine = [bucket(0.0, 5.0, 7.0, 3), bucket(10.0, -2.0, -1.0, 2), bucket(90.0, 0.5, 0.5, 1)];
    for step in [Duration::ZERO, SECOND, 10 * SECOND] {
        assert_eq!(range(&store, "a", 0.0, 100.0, step).await, fine);
    }
    let half = [bucket(0.0, 2.2, 7.0, 5), bucket(90.0, 0.5, 0.5, 1)];
    assert_eq!(range(&store, "a", 0.0, 100.0, 30 * SECOND).await, half);
    assert_eq!(range(&store, "a", 0.0, 100.0, 21 * SECOND).await, half, "steps are multiples of 10 s");
    let mean = 11.5 / 6.0;
    assert_eq!(range(&store, "a", 0.0, 100.0, DAY).await, [bucket(-36_000.0, mean, 7.0, 6)]);
    // Ends are rounded outwards, and nothing is of two ranges that follow each other by whole steps.
    assert_eq!(range(&store, "a", 9.0, 10.0, SECOND).await, fine[..1]);
    assert_eq!(range(&store, "a", 9.0, 10.1, SECOND).await, fine[..2]);
    assert_eq!(range(&store, "a", 10.0, 90.0, SECOND).await, fine[1..2]);
    assert_eq!(range(&store, "b", 0.0, 100.0, SECOND).await, [bucket(0.0, 100.0, 100.0, 1)]);
    assert_eq!(range(&store, "a", 100.0, 0.0, SECOND).await, []);
    let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    assert_eq!(store.range(&key("a"), first, last, SECOND).await.expect("reads"), fine);
    assert_eq!(store.range(&key("a"), first, last, Duration::MAX).await.expect("reads").len(), 1);

    store.close().await;
    assert!(store.append(&batch).await.is_err(), "it is closed");
    assert_eq!(range(&open(&backend).await, "a", 0.0, 100.0, SECOND).await, fine);
}

async fn a_later_point_of_the_same_instant_counts(backend: Backend) {
    let store = open(&backend).await;
    store.append(&[point(1.0, 9.0), point(1.0, 2.0), point(2.0, 4.0), point(2.0, 3.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await, [bucket(0.0, 2.5, 3.0, 2)]);
    // The last one there is given again, alone and with others behind it.
    store.append(&[point(2.0, 8.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await, [bucket(0.0, 5.0, 8.0, 2)]);
    store.append(&[point(2.0, 1.0), point(3.0, 6.0), point(4.0, 3.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await, [bucket(0.0, 3.0, 6.0, 4)]);
    // One from before counts beside them.
    store.append(&[point(0.5, 8.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await, [bucket(0.0, 4.0, 8.0, 5)]);
    // The largest is forgotten with the point that was it.
    store.append(&[point(11.0, 1e280)]).await.expect("adds");
    store.append(&[point(11.0, 5.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 10.0, 20.0, SECOND).await, [bucket(10.0, 5.0, 5.0, 1)]);
}

async fn what_says_nothing_does_no_harm(backend: Backend) {
    let store = open(&backend).await;
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX].map(|value| point(1.0, value));
    store.append(&odd).await.expect("leaves them out");
    store.append(&[point(-1e10, 1.0), (key("nul\0"), point(1.0, 1.0).1)]).await.expect("leaves them out");
    assert_eq!(range(&store, "a", -1e6, 1e6, SECOND).await, []);
    let mut batch: Vec<_> = odd.into();
    batch.push((key("'; DROP TABLE sample_fine; -- «ü»"), point(1.0, 3.0).1));
    for (seconds, value) in [(1.0, 1e290), (2.0, 1e290), (3.0, -1e290), (4.0, -1e290), (5.0, 0.0)] {
        batch.push(point(seconds, value));
    }
    store.append(&batch).await.expect("adds the others");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await, [bucket(0.0, 0.0, 1e290, 5)]);
    // Far from now in both directions is only far away.
    let far = [point(1e9, 1.0), point(-1e9, 1.0)];
    store.append(&far).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await.len(), 1);
    store.compact(at(0.0)).await.expect("compacts");
    assert_eq!(range(&store, "a", -2e9, 10.0, DAY).await.len(), 1);
}

async fn a_day_is_kept_in_ten_seconds_and_a_month_in_minutes(backend: Backend) {
    let store = open(&backend).await;
    // Two hours before the border and two behind it, every 10 s.
    let batch: Vec<_> =
        (-720..720).map(|row: i32| point(f64::from(row) * 10.0 + 3.0, f64::from(row.rem_euclid(6)))).collect();
    store.append(&batch).await.expect("adds");
    let whole = range(&store, "a", -7_200.0, 7_200.0, HOUR).await;
    assert_eq!(whole.len(), 4);
    let now = at(86_400.0 + 59.9);
    assert_eq!(store.compact(now).await.expect("compacts"), Compacted { moved: 720, removed: 0 });
    assert_eq!(store.compact(now).await.expect("compacts"), Compacted::default(), "there is nothing left to do");
    assert_eq!(range(&store, "a", -7_200.0, 7_200.0, HOUR).await, whole, "a coarser look sees the same");
    let border = range(&store, "a", -120.0, 30.0, 10 * SECOND).await;
    let minutes = [bucket(-120.0, 2.5, 5.0, 6), bucket(-60.0, 2.5, 5.0, 6)];
    let seconds = [bucket(0.0, 0.0, 0.0, 1), bucket(10.0, 1.0, 1.0, 1), bucket(20.0, 2.0, 2.0, 1)];
    assert_eq!(border, [minutes.as_slice(), &seconds].concat());
    assert_eq!(range(&store, "a", -120.0, 60.0, MINUTE).await, [minutes[0], minutes[1], bucket(0.0, 2.5, 5.0, 6)]);
    assert_eq!(range(&store, "a", -119.0, 10.0, 10 * SECOND).await.len(), 3, "the step around the beginning is in it");

    // A month later what was moved first is gone, and the rest is minutes.
    let now = at(30.0 * 86_400.0 - 3_600.0);
    let done = store.compact(now).await.expect("compacts");
    assert_eq!(done, Compacted { moved: 720, removed: 60 });
    assert_eq!(range(&store, "a", -7_200.0, 7_200.0, HOUR).await, whole[1..]);
    let done = store.compact(at(31.0 * 86_400.0)).await.expect("compacts");
    assert_eq!(
        (done, range(&store, "a", -7_200.0, 7_200.0, HOUR).await),
        (Compacted { moved: 0, removed: 180 }, vec![])
    );
}

async fn a_late_point_joins_its_minute(backend: Backend) {
    let store = open(&backend).await;
    store.append(&[point(0.0, 2.0), point(30.0, 4.0)]).await.expect("adds");
    let now = at(86_400.0 + 60.0);
    store.compact(now).await.expect("compacts");
    store.append(&[point(31.0, 9.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 60.0, MINUTE).await, [bucket(0.0, 5.0, 9.0, 3)], "in whichever table it is");
    assert_eq!(store.compact(now).await.expect("compacts"), Compacted { moved: 1, removed: 0 });
    assert_eq!(range(&store, "a", 0.0, 60.0, SECOND).await, [bucket(0.0, 5.0, 9.0, 3)]);
}

async fn nothing_is_lost_or_counted_twice_while_it_is_moved(backend: Backend) {
    let store = open(&backend).await;
    let old: Vec<_> = (0..600).map(|row| point(f64::from(row) * 10.0, 1.0)).collect();
    store.append(&old).await.expect("adds");
    let adding = async {
        for batch in 0..50 {
            let late = [point(f64::from(batch) * 119.0 + 0.5, 1.0), point(2.0 * 86_400.0 + f64::from(batch), 1.0)];
            store.append(&late).await.expect("adds");
        }
    };
    let looking = async {
        for _ in 0..20 {
            let count: u64 = range(&store, "a", 0.0, 6_000.0, MINUTE).await.iter().map(|bucket| bucket.count).sum();
            assert!((600..=650).contains(&count), "{count} points");
        }
    };
    let now = at(2.0 * 86_400.0);
    let moving = async { store.compact(now).await.expect("compacts") };
    tokio::join!(adding, looking, moving);
    store.compact(now).await.expect("compacts");
    for (from, points) in [(0.0, 650), (2.0 * 86_400.0, 50)] {
        let count: u64 = range(&store, "a", from, from + 6_000.0, MINUTE).await.iter().map(|bucket| bucket.count).sum();
        assert_eq!(count, points);
    }
}

async fn a_caller_who_goes_away_leaves_it_usable(backend: Backend) {
    let store = open(&backend).await;
    for round in 0..30_u64 {
        let batch: Vec<_> = (0..500)
            .flat_map(|series| {
                let key = key(&format!("{round}-{series}"));
                [1.0, 2.0].map(|seconds| (key.clone(), point(seconds, 1.0).1))
            })
            .collect();
        // Gives up somewhere in the middle, each time elsewhere.
        let _ = tokio::time::timeout(Duration::from_micros(round * 300), store.append(&batch)).await;
        store.append(&[point(round as f64 * 10.0, 1.0)]).await.expect("adds");
        // All of the batch is there, or nothing.
        let mut there = 0;
        for series in [0, 250, 499] {
            let found = range(&store, &format!("{round}-{series}"), 0.0, 10.0, SECOND).await;
            assert!(found.is_empty() || found == [bucket(0.0, 1.0, 1.0, 2)], "{found:?}");
            there += found.len();
        }
        assert!(there == 0 || there == 3, "{there} of 3");
    }
    assert_eq!(range(&store, "a", 0.0, 300.0, SECOND).await.len(), 30);
}

/// Neither a step back of the schema nor a backup has anything to do with samples.
async fn the_rows_and_the_samples_do_not_know_of_each_other(backend: Backend) {
    let rows = backend.open().await;
    let store = open(&backend).await;
    store.append(&[point(0.0, 1.0)]).await.expect("adds");
    rows.revert(usize::MAX).await.expect("reverts");
    rows.migrate().await.expect("migrates");
    assert_eq!(range(&store, "a", 0.0, 10.0, SECOND).await.len(), 1);
}
