//! What goes to standard output: tables for people, JSON or YAML for programs.
//!
//! Decides the format and whether colours are used. Invariant: text that came from somewhere else (names, reasons, log
//! lines) passes [`clean`] before it reaches a terminal. Progress and remarks go to standard error, so that standard
//! output is always what a script wants.

mod age;
mod clean;
mod table;

use std::fmt;
use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::{Failure, Outcome};

pub use age::{age, moment};
pub use clean::{LogCleaner, clean};
pub use table::{Paint, Table};

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// JSON, as the API answers.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Whether colours are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where results go, and how.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Table, JSON or YAML.
    pub format: Format,
    /// Whether standard output may have colours.
    pub colors: bool,
}

impl Output {
    /// Settles what was asked for against where output goes.
    pub fn new(format: Format, color: Color, no_color: bool) -> Self {
        let colors = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color && std::io::stdout().is_terminal(),
        };
        Self { format, colors }
    }

    /// Prints `value` for a program, or what `table` makes of it for a person.
    pub fn print<T: Serialize>(&self, value: &T, table: impl FnOnce(Paint) -> String) -> Outcome {
        match self.format {
            Format::Table => self.text(&table(Paint { colors: self.colors })),
            Format::Json => self.text(&json(value)?),
            Format::Yaml => {
                let yaml = serde_saphyr::to_string(value)
                    .map_err(|error| Failure::general("cannot write the answer as YAML").because(error))?;
                self.text(yaml.trim_end())
            }
        }
    }

    /// Prints `value` for a program; people have been told by remarks.
    pub fn print_for_programs<T: Serialize>(&self, value: &T) -> Outcome {
        if self.format == Format::Table { Ok(()) } else { self.print(value, |_| String::new()) }
    }

    /// Prints one remark for people; programs that asked for JSON or YAML get nothing.
    pub fn remark(&self, text: &str) -> Outcome {
        if self.format == Format::Table { self.text(text) } else { Ok(()) }
    }

    /// Prints lines as they are.
    pub fn text(&self, text: &str) -> Outcome {
        let mut out = std::io::stdout().lock();
        written(writeln!(out, "{text}").and_then(|()| out.flush()))
    }
}

/// Turns a failed write into a failure. A reader that has seen enough (`| head`) is no failure of ours, but there is no
/// sense in going on: the program ends quietly, as other programs do.
pub fn written(result: std::io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::general("cannot write to standard output").because(error)),
    }
}

/// Writes a line to standard error. Where nobody reads it any more, there is nobody to tell.
pub fn to_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a line to standard output, for commands that must go on when nobody reads it any more.
pub fn to_stdout(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Says something to the person at the terminal; unlike `eprintln!` it never panics.
macro_rules! say {
    ($($words:tt)*) => { $crate::output::to_stderr(format_args!($($words)*)) };
}

/// Shows something on standard output; unlike `println!` it never panics.
macro_rules! show {
    ($($words:tt)*) => { $crate::output::to_stdout(format_args!($($words)*)) };
}

pub(crate) use {say, show};

/// JSON in which no control character is left: serde_json leaves DEL, C1 and the bidirectional ones as they are.
fn json<T: Serialize>(value: &T) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::general("cannot write the answer as JSON").because(error))?;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Such a character can only stand inside a string, where the escape means the same.
        if c != '\n' && clean::is_unsafe(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_no_control_characters_and_means_the_same() {
        let value = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}é";
        let text = json(&value).expect("serialises");
        assert!(text.chars().all(|c| !clean::is_unsafe(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).expect("parses"), value);
    }
}
