//! The drivers, with real processes and real containers. What both must do is in `contract`; the rest here is the `process`
//! driver's own, and `docker` the other's. What a replica leaves behind is looked for by the ids of the test itself.

mod adopting;
mod contract;
mod docker;
mod ending;
mod exec;
mod harness;
mod holding;
mod limits;
mod output;
mod starting;
mod wear;

use std::path::PathBuf;

/// Not a test but the shim: this binary is started again as `… --exact driver::shim_entry --nocapture DIR`. Without a
/// replica's directory as last argument, as in a run of all tests, there is nothing to do.
#[test]
fn shim_entry() {
    let last = std::env::args_os().next_back().map(PathBuf::from);
    if let Some(dir) = last.filter(|dir| dir.is_absolute() && dir.join("order.json").exists()) {
        std::process::exit(fogline_agent::shim::run(&dir));
    }
}
