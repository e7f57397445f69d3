//! What a server and an agent cost while nothing happens: memory that is resident, and processor time.
//!
//! `cargo bench -p fogline --bench idle`; takes 40 seconds.

mod parts;

use std::fs;
use std::process::Child;
use std::time::Duration;

use parts::Parts;
use tokio::time::{Instant, sleep};

/// What starting has left behind is done by then.
const SETTLE: Duration = Duration::from_secs(8);
const MEASURE: Duration = Duration::from_secs(30);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let parts = Parts::start(&[]).await;
        sleep(SETTLE).await;
        let measured = [("server", &parts.server, 60), ("agent", &parts.agent, 25)];
        let before = measured.map(|(_, child, _)| processor_time(child));
        let began = Instant::now();
        sleep(MEASURE).await;
        let seconds = began.elapsed().as_secs_f64();
        parts.client.ready().await.expect("it serves all the while");
        for ((name, child, budget_mb), before) in measured.into_iter().zip(before) {
            let used = (processor_time(child) - before).as_secs_f64();
            println!(
                "idle {name}: {:.1} MB resident (budget {budget_mb} MB), {:.2} % of a core over {seconds:.0} s (budget 1 %)",
                resident_mb(child),
                used / seconds * 100.0,
            );
        }
    });
}

/// User and system time of all threads of a process; in steps of 10 ms.
fn processor_time(child: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
    // The name in parentheses may hold anything; the fields after it do not.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_secs(1) * u32::try_from(ticks).expect("a short life")
        / u32::try_from(rustix::param::clock_ticks_per_second()).expect("a small number")
}

fn resident_mb(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for it");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1_024.0 / 1e6
}
