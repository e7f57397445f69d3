//! How elastic a service is over ten minutes of steps of its load: what really happened, second by second, and beside it
//! what its policy, an autoscaler like Kubernetes' and a fixed number of replicas would have made of the same load.
//!
//! The load that was measured goes to a file, which it names: `examples/scaling/steps.csv` is one. `fogline backtest` shows it
//! again.
//! `cargo bench -p fogline --bench elasticity`.

mod parts;
#[path = "parts/scaled.rs"]
mod scaled;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fogline_core::scaling::backtest::{ChangeRecord, Figures, Moment};
use scaled::Scaled;
use tokio::time::{Instant, sleep_until};

/// For so many seconds so many requests a second.
const PLAN: [(u64, u32); 6] = [(60, 10), (150, 500), (120, 110), (90, 310), (120, 40), (60, 10)];
/// Requests a second that one replica carries.
const CAPACITY: f64 = 50.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let moments = runtime.block_on(record());
    let changes: Vec<_> = moments.windows(2).filter_map(changed).collect();
    let figures = Figures::of(&moments, &changes, None);
    println!("what happened, {} seconds: {figures:#?}", moments.len());

    let series = Path::new(env!("CARGO_TARGET_TMPDIR")).join("elasticity.csv");
    fs::write(&series, csv(&moments)).expect("a file can be written");
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scaling/steps.yaml");
    let mut backtest = Command::new(env!("CARGO_BIN_EXE_fogline"));
    backtest.arg("backtest").arg("-f").arg(policy).arg("--series").arg(&series);
    backtest.args(["--capacity", &CAPACITY.to_string(), "--start-time", "1s"]);
    println!("what would have happened, on {}:", series.display());
    assert!(backtest.status().expect("the program starts").success());
}

/// What there was at the end of each second.
async fn record() -> Vec<Moment> {
    let service = Scaled::start().await;
    let began = Instant::now();
    let (mut moments, mut ends) = (Vec::new(), 0);
    for (seconds, rate) in PLAN {
        let load = service.load(rate);
        ends += seconds;
        while (moments.len() as u64) < ends {
            sleep_until(began + Duration::from_secs(moments.len() as u64 + 1)).await;
            moments.push(moment(&service).await);
        }
        let report = load.stop();
        assert!(report.is_flawless(), "at {rate} requests a second: {report:#?}");
        println!("{seconds} s at {rate} requests a second: {} answers, none failed", report.good());
    }
    moments
}

async fn moment(service: &Scaled) -> Moment {
    let client = &service.parts.client;
    let traffic = client.traffic(&service.id.to_string()).await.expect("an answer");
    let load = traffic.seconds.last().map_or(0.0, |second| second.request_rate);
    let asked = client.deployment(service.id).await.expect("an answer").target_replicas;
    let ready = u32::try_from(service.ready().await.len()).expect("few");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred, and never less than none"
    )]
    let demanded = (load / CAPACITY).ceil().max(1.0) as u32;
    Moment { at: traffic.at, load, demanded, asked, ready }
}

fn changed(pair: &[Moment]) -> Option<ChangeRecord> {
    let (before, after) = (pair[0], pair[1]);
    (before.asked != after.asked).then(|| ChangeRecord {
        at: after.at,
        from: before.asked,
        to: after.asked,
        reason: String::new(),
    })
}

fn csv(moments: &[Moment]) -> String {
    // There is one a second.
    moments.iter().enumerate().fold("time,request_rate\n".to_owned(), |mut text, (second, moment)| {
        let _ = writeln!(text, "{second},{:.1}", moment.load);
        text
    })
}
