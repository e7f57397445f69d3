//! An error with its causes, which libraries for HTTP, gRPC and SQL do not show by themselves.

use std::error::Error;

/// The error and what is behind it, as one line; what a cause only repeats is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
