//! Why PostgreSQL gave nothing, in words of our own.
//!
//! Must never show the server's message: it quotes what the query found (`invalid input syntax for type integer: "…"`),
//! and whoever writes a query can have it quote anything. What is told is the code and what that stands for
//! (postgresql.org/docs/current/errcodes-appendix.html).

use fogline_core::causes;
use sqlx::Error;

/// Why a query failed.
pub(super) fn words(error: &Error) -> String {
    told("the query failed", error)
}

/// Why there is no connection.
pub(super) fn of_login(error: &Error) -> String {
    told("the login failed", error)
}

fn told(what: &str, error: &Error) -> String {
    match error.as_database_error() {
        Some(error) => of_code(what, error.code().as_deref().unwrap_or_default()),
        // A connection that could not be made, or broke: the client's words, with what is behind them.
        None => causes::chain(error),
    }
}

fn of_code(what: &str, code: &str) -> String {
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let code = if is_code { code } else { "XX000" };
    format!("{what} ({code}, {})", meaning(code))
}

/// The codes that people meet, and of the rest the class.
fn meaning(code: &str) -> &'static str {
    match code {
        "22003" => "numeric value out of range",
        "22012" => "division by zero",
        "22P02" => "invalid text representation",
        "25006" => "it would write, in a transaction that may not",
        "28P01" => "password authentication failed",
        "3D000" => "there is no such database",
        "42501" => "the role may not do this",
        "42601" => "syntax error",
        "42703" => "undefined column",
        "42883" => "undefined function",
        "42P01" => "undefined table",
        "53300" => "too many connections",
        "57014" => "canceled: statement timeout, or by an administrator",
        "57P03" => "the server cannot take connections now",
        _ => match code.get(..2).unwrap_or_default() {
            "08" => "connection exception",
            "0A" => "feature not supported",
            "21" => "a subquery gives several rows",
            "22" => "data exception",
            "23" => "a constraint is violated",
            "25" => "invalid transaction state",
            "28" => "the login is not accepted",
            "40" => "the transaction was rolled back",
            "42" => "syntax error or access rule violation",
            "53" => "insufficient resources",
            "54" => "a limit of the program is exceeded",
            "55" => "an object is not in the state for this",
            "57" => "an administrator intervened",
            "58" => "an error of the server's system",
            "P0" => "raised by a function",
            "XX" => "internal error",
            _ => "see the appendix of PostgreSQL's manual",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_with_what_it_stands_for_and_nothing_else() {
        for (code, text) in [
            ("22P02", "the query failed (22P02, invalid text representation)"),
            ("22023", "the query failed (22023, data exception)"),
            ("ZZ123", "the query failed (ZZ123, see the appendix of PostgreSQL's manual)"),
            ("", "the query failed (XX000, internal error)"),
            ("secret", "the query failed (XX000, internal error)"),
            ("ab\u{1b}[", "the query failed (XX000, internal error)"),
        ] {
            assert_eq!(of_code("the query failed", code), text);
        }
    }
}
