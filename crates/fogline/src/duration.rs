//! Lengths of time as people type them: `90s`, `2m`, `1h30m`, or plain seconds.

use std::time::Duration;

/// Parses such a length.
///
/// # Errors
/// Says what would be accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no length of time: try 90s, 2m or 1h30m");
    let mut total_s: u64 = 0;
    let mut digits = String::new();
    let mut had_unit = false;
    for c in text.trim().chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit_s = match c {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return Err(refused()),
        };
        let count: u64 = std::mem::take(&mut digits).parse().map_err(|_| refused())?;
        total_s = count.checked_mul(unit_s).and_then(|s| total_s.checked_add(s)).ok_or_else(refused)?;
        had_unit = true;
    }
    match (digits.parse::<u64>(), had_unit) {
        (Ok(seconds), false) => total_s = seconds,
        (Err(_), true) if digits.is_empty() => {}
        _ => return Err(refused()),
    }
    // A deadline that far away is none; and it must not overflow a clock.
    if total_s > 365 * 86_400 { Err(refused()) } else { Ok(Duration::from_secs(total_s)) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_people_type() {
        for (text, seconds) in [("90s", 90), ("2m", 120), ("1h30m", 5_400), ("45", 45), ("0", 0)] {
            assert_eq!(parse(text).expect("a length").as_secs(), seconds, "{text}");
        }
        for text in ["", "soon", "5x", "m", "1m30", "-1s", "99999999999999999999", "99999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
