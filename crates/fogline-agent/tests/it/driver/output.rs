//! A replica's output: kept within limits, tailed, followed, and never a reason to fail.

use fogline_agent::driver::{LogsError, Signal};
use fogline_agent::logs::LogLimits;
use tokio_stream::StreamExt;

use super::harness::{Bench, config, within};

#[tokio::test]
async fn both_streams_are_kept_over_runs_and_tailed() {
    let mut bench = Bench::new();
    let mut order = bench.script("echo run $FOGLINE_RUN; echo to stderr >&2; printf unfinished");
    bench.run(&order).await;
    bench.exit(&order).await;
    order.run = 2;
    bench.run(&order).await;
    bench.exit(&order).await;
    let run = |number: u32| format!("run {number}\nto stderr\nunfinished");
    assert_eq!(bench.output(&order).await, format!("{}{}", run(1), run(2)));
    assert_eq!(bench.tail(&order, 2).await, "to stderr\nunfinished");
    assert_eq!(bench.tail(&order, 0).await, "");
    // What is forgotten can still be read, until many others were.
    bench.driver().forget(order.replica_id);
    assert!(!bench.dir(&order).exists());
    assert_eq!(bench.tail(&order, 1).await, "unfinished");
    let unknown = bench.script("never started").replica_id;
    assert!(matches!(bench.driver().logs(unknown, 10, false).await, Err(LogsError::NoSuchReplica(_))));
    bench.nothing_left();
}

#[tokio::test]
async fn a_follower_sees_every_line_over_rotations_and_ends_with_the_replica() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(dir.path());
    config.logs = LogLimits { file_bytes: 100_000, files: 5 };
    let mut bench = Bench::with(config);
    // Some 350 kB: a few files, and fewer than are kept, so nothing is lost however slow the follower is.
    let script = "n=0; while [ $n -lt 10000 ]; do echo line $n and something to fill it; n=$((n+1)); \
                  [ $((n % 1000)) -eq 0 ] && sleep 0.2; done; echo done; exec sleep 1000";
    let order = bench.script(script);
    bench.run(&order).await;
    let mut stream = within(bench.driver().logs(order.replica_id, 10_000, true)).await.expect("output");
    let mut text = String::new();
    while !text.ends_with("done\n") {
        let chunk = within(stream.next()).await.expect("more").expect("read");
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    let expected: String = (0..10_000).map(|n| format!("line {n} and something to fill it\n")).collect();
    assert_eq!(text, format!("{expected}done\n"));
    let sizes: Vec<u64> = std::fs::read_dir(bench.dir(&order).join("logs"))
        .expect("listed")
        .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
        .collect();
    assert!(sizes.len() == 4 && sizes.iter().all(|size| *size <= 100_000), "{sizes:?}");
    bench.signal(&order, Signal::Kill).await;
    bench.exit(&order).await;
    bench.driver().forget(order.replica_id);
    assert!(within(stream.next()).await.is_none(), "nothing will come");
    bench.nothing_left();
}
