//! Whether a text is a value that a setting may have.

use std::net::SocketAddr;

use super::{Definition, Kind};

/// The word for no limit.
pub const UNLIMITED: &str = "unlimited";

/// Checks a value; the error says what would be accepted.
pub fn check(definition: &Definition, value: &str) -> Result<(), String> {
    match definition.kind {
        Kind::Address => value
            .parse::<SocketAddr>()
            .map(drop)
            .map_err(|_| "accepted: an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000".to_owned()),
        Kind::Number(from, to) => {
            let number = value.parse::<u64>().ok().filter(|number| (from..=to).contains(number));
            number.map(drop).ok_or_else(|| format!("accepted: a whole number from {from} to {to}"))
        }
        Kind::Limit if value == UNLIMITED => Ok(()),
        Kind::Limit => value.parse::<u32>().map(drop).map_err(|_| format!("accepted: a whole number, or {UNLIMITED}")),
        Kind::Word(words) if words.contains(&value) => Ok(()),
        Kind::Word(words) => Err(format!("accepted: {}", words.join(", "))),
        Kind::Path if value.contains('\0') => Err("accepted: a path".to_owned()),
        Kind::Path | Kind::Text | Kind::Secret => Ok(()),
    }
}
