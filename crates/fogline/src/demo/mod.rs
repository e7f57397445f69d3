//! The demo: a server, nodes in two regions, real services; scaled, broken, healed, refused, scaled by a policy, and
//! cleared away.
//!
//! Each step is a command as a user would type it, run by the same code, and checked: a step that did not do what it
//! should ends the demo with that failure. Invariant: at the end, however it came, nothing of it runs.

mod checks;
mod leftovers;
mod scaling;
mod script;
mod stage;

use std::path::Path;

use tokio::time::Instant;

use crate::env::Environment;
use crate::exit::{Failure, Outcome};
use crate::output::{say, show};
use crate::signals;
use stage::Stage;

/// Runs it.
///
/// # Errors
/// The step that failed, or what was left running.
pub async fn run(environment: &Environment, keep_data: bool) -> Outcome {
    let python = environment.find_program("python3").ok_or_else(|| {
        Failure::general("the demo's service is `python3 -m http.server`, and there is no python3 on PATH")
            .hint("install it, for example with: apt-get install python3")
    })?;
    let started = Instant::now();
    let mut stage = Stage::set_up(environment, keep_data)?;
    let root = stage.root().to_owned();
    let stop = signals::stop_token(move || clear_away_at_once(&root, keep_data))?;
    let played = tokio::select! {
        played = script::play(&mut stage, &python) => played,
        () = stop.cancelled() => Err(Failure::general("the demo was interrupted")),
    };
    let cleared = stage.clear_away().await;
    played.and(cleared)?;
    show!("\nThat took {:.1} s. Next: `fogline dev`, and the README.", started.elapsed().as_secs_f32());
    Ok(())
}

/// What a second signal leaves time for: nothing of the demo goes on, in whatever order it ends.
fn clear_away_at_once(root: &Path, keep_data: bool) {
    let killed = leftovers::kill_all(root).len();
    let removed = !keep_data && std::fs::remove_dir_all(root).is_ok();
    let end = if removed { "is removed" } else { "is kept" };
    say!("interrupted twice: {killed} processes of the demo were killed; {} {end}", root.display());
}
