//! Waiting for something that will happen on its own, with a deadline: never sleep and hope.
//!
//! The only file of this crate that reads the clock. Invariant: a wait ends, and one in vain names what was waited for.

use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before it counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `seen` gives something.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, seen: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, seen).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Waits until `seen` gives something, or `limit` has passed: then nothing. Looks at least once.
#[expect(clippy::disallowed_methods, reason = "a test waits for a real server; the clock here decides nothing else")]
pub fn wait_at_most<T>(limit: Duration, mut seen: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = seen() {
            return Some(found);
        }
        if start.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
