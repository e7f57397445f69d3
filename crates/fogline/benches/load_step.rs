//! How long it takes from a step of the load until a replica that was started for it serves: 10 requests a second become
//! 500, of which one replica is to have 50. Through the front door, with a real agent; a replica serves when the server
//! says that it is ready, which is a moment after it does.
//!
//! `cargo bench -p fogline --bench load_step`.

mod parts;
#[path = "parts/scaled.rs"]
mod scaled;

use std::time::Duration;

use parts::soon;
use scaled::Scaled;
use tokio::time::Instant;

const STEPS: usize = 5;
const BEFORE: u32 = 10;
const AFTER: u32 = 500;
/// The figures of the load before are whole by then.
const SETTLE: Duration = Duration::from_secs(10);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut times: Vec<Duration> = (0..STEPS).map(|_| runtime.block_on(step())).collect();
    times.sort();
    let (median, worst) = (times[(STEPS - 1) / 2].as_secs_f64(), times[STEPS - 1].as_secs_f64());
    println!(
        "{STEPS} steps from {BEFORE} to {AFTER} requests a second: a new replica serves after p50 {median:.2} s, worst \
         {worst:.2} s (budget 3 s)"
    );
}

/// One step, on a server and an agent of its own, so that none is faster for what the one before has left.
async fn step() -> Duration {
    let service = Scaled::start().await;
    let before = service.load(BEFORE);
    tokio::time::sleep(SETTLE).await;
    let known = service.ready().await;
    let began = Instant::now();
    let after = service.load(AFTER);
    soon("a replica more", async || service.ready().await.difference(&known).next().map(|_| ())).await;
    let took = began.elapsed();
    for load in [before, after] {
        let report = load.stop();
        assert!(report.is_flawless(), "{report:#?}");
    }
    took
}
