//! `wrk`: as many requests as there can be, over connections that stay.

use std::time::Duration;

use crate::program;

/// What it measured.
#[derive(Clone, Copy, Debug)]
pub struct WrkReport {
    /// Requests that were answered.
    pub requests: u64,
    /// In how long.
    pub seconds: f64,
    /// Half of them took at most this.
    pub p50: Duration,
    /// All but one in a hundred took at most this.
    pub p99: Duration,
    /// Answers other than 200 to 399, and connections that broke.
    pub failed: u64,
}

impl WrkReport {
    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let requests = self.requests as f64;
        requests / self.seconds
    }
}

/// Says in one line what [`wrk`] reads.
const SCRIPT: &str = "function done(summary, latency, requests)\n  local e = summary.errors\n  \
    io.write(string.format('RESULT %d %d %d %d %d\\n', summary.requests, summary.duration, latency:percentile(50), \
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))\nend\n";

/// Asks `url` over so many connections, for so long, from one thread. Each connection waits for `pause` after each answer,
/// in whole milliseconds: without one there are as many requests as there can be.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn wrk(url: &str, connections: u32, seconds: u32, pause: Duration) -> WrkReport {
    let script = tempfile::Builder::new().suffix(".lua").tempfile().expect("a temporary file can be made");
    let delay = match pause.as_millis() {
        0 => String::new(),
        ms => format!("function delay()\n  return {ms}\nend\n"),
    };
    std::fs::write(script.path(), format!("{delay}{SCRIPT}")).expect("a file can be written");
    let mut command = program::command(&program::find("wrk", "wrk"));
    command.args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{seconds}s"), "-s"]);
    let said = program::run(command.arg(script.path()).arg(url));
    let line = said.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or_else(|| panic!("wrk says: {said}"));
    let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests, micros, p50, p99, failed] = numbers[..] else { panic!("wrk says: {said}") };
    WrkReport {
        requests,
        seconds: Duration::from_micros(micros).as_secs_f64(),
        p50: Duration::from_micros(p50),
        p99: Duration::from_micros(p99),
        failed,
    }
}
