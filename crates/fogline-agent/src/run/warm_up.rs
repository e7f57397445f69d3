//! Warms replicas up: asks them, or runs a command in them, as often as their specs say.
//!
//! Decides nothing about what follows. Invariant: each order is answered once, within its time-out and what it takes to
//! kill a command. Tests: `tests/it/run/warm_up.rs`.

use std::time::Duration;

use tokio::sync::mpsc;

use super::Event;
use crate::clock::boot_us;
use crate::driver::{Drivers, ExecError, ExecOrder, ExecOutcome};
use crate::probe;
use crate::supervisor::{Input, ProbeTarget, WarmUpOrder};

/// What is kept of a command's output, to say why it failed.
const OUTPUT_BYTES: usize = 4_096;

/// Begins one.
pub(super) fn start(drivers: &Drivers, address: &str, order: WarmUpOrder, events: &mpsc::Sender<Event>) {
    let (drivers, address, events) = (drivers.clone(), address.to_owned(), events.clone());
    tokio::spawn(async move {
        let result = warm_up(&drivers, &address, &order).await;
        let input = Input::WarmedUp { replica_id: order.replica_id, run: order.run, result };
        let _ = events.send(Event::Supervisor(input)).await;
    });
}

async fn warm_up(drivers: &Drivers, address: &str, order: &WarmUpOrder) -> Result<(), String> {
    let end_us = boot_us().saturating_add(order.timeout_us);
    let times = order.spec.times.max(1);
    for time in 1..=times {
        let left = Duration::from_micros(end_us.saturating_sub(boot_us()));
        if left.is_zero() {
            return Err(format!("only {} of {times} times within its timeout_s", time - 1));
        }
        let done = match (&order.spec.path, order.port) {
            (Some(path), Some(port)) => {
                probe::ask(address, &ProbeTarget::Http { port, path: path.clone() }, left).await
            }
            (Some(path), None) => Err(format!("GET {path}: the replica listens on no port")),
            (None, _) => run(drivers, order, left).await,
        };
        done.map_err(|why| if times > 1 { format!("time {time} of {times}: {why}") } else { why })?;
    }
    Ok(())
}

async fn run(drivers: &Drivers, order: &WarmUpOrder, left: Duration) -> Result<(), String> {
    let command = order.spec.command.clone();
    let program = command.first().cloned().unwrap_or_default();
    let exec = ExecOrder { command, deadline: left, max_output: OUTPUT_BYTES };
    match drivers.exec(order.replica_id, &exec).await {
        Ok(ExecOutcome { exit_code: 0, .. }) => Ok(()),
        Ok(outcome) => Err(format!("{program:?} ended with {}{}", outcome.exit_code, last_words(&outcome))),
        Err(ExecError::TimedOut { .. }) => Err(format!("{program:?} did not end within its timeout_s")),
        Err(error) => Err(error.to_string()),
    }
}

/// The last line that it wrote to standard error, or else to standard output.
fn last_words(outcome: &ExecOutcome) -> String {
    let last = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(ToOwned::to_owned)
    };
    last(&outcome.stderr).or_else(|| last(&outcome.stdout)).map(|line| format!(": {line}")).unwrap_or_default()
}
