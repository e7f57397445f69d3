//! Times as people read them.

use fogline_core::time::Timestamp;

use crate::env;

/// How long ago, in its two largest units: `3h5m`.
pub fn age(at: Timestamp) -> String {
    span((env::now_micros() - at.as_micros()).max(0) / 1_000_000)
}

/// A point in time, to the second.
pub fn moment(at: Timestamp) -> String {
    Timestamp::from_micros(at.as_micros() - at.as_micros().rem_euclid(1_000_000)).to_string().replace(".000000Z", "Z")
}

fn span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_enough() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m1s"), (3_661, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_moment_has_no_fraction() {
        assert_eq!(moment(Timestamp::from_micros(1_764_064_800_900_001)), "2025-11-25T10:00:00Z");
    }
}
