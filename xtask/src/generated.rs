//! Documents that are made from the code and committed, so that a reviewer sees what a change does to them.
//!
//! The program itself prints them (`fogline openapi`, `fogline schema`), so what is committed is what a user gets.
//! Must never edit what it was given: the only thing added is the newline at the end.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A document that is made from the code.
#[derive(Clone, Copy, Debug)]
pub enum Document {
    /// What the HTTP API offers.
    OpenApi,
    /// The JSON Schema of a deployment's YAML.
    SpecSchema,
    /// The JSON Schema of a scaling policy's YAML.
    PolicySchema,
}

/// Whether to write or to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Write the file.
    Write,
    /// Fail if the file is not what would be written.
    Check,
}

impl Document {
    const fn path(self) -> &'static str {
        match self {
            Self::OpenApi => "docs/openapi.json",
            Self::SpecSchema => "docs/spec.schema.json",
            Self::PolicySchema => "docs/policy.schema.json",
        }
    }

    /// The chore that writes it, which is also the subcommand of `fogline` that prints it.
    const fn chore(self) -> &'static str {
        match self {
            Self::OpenApi => "openapi",
            Self::SpecSchema | Self::PolicySchema => "schema",
        }
    }

    /// What `fogline` is called with.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::OpenApi => &["openapi"],
            Self::SpecSchema => &["schema", "deployment"],
            Self::PolicySchema => &["schema", "policy"],
        }
    }
}

/// Makes a document and writes or compares it.
pub fn run(document: Document, mode: Mode) -> Result<()> {
    let made = make(document)?;
    let path = crate::root()?.join(document.path());
    match mode {
        Mode::Write => {
            std::fs::write(&path, &made).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}: {} bytes", document.path(), made.len());
            Ok(())
        }
        Mode::Check => check(document, &path, &made),
    }
}

fn check(document: Document, path: &Path, made: &str) -> Result<()> {
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    match first_difference(&committed, made) {
        None => {
            println!("{}: up to date", document.path());
            Ok(())
        }
        Some((line, old, new)) => bail!(
            "{} is not what the code makes. First difference, in line {line}:\n  committed: {old}\n  made:      {new}\n\
             Run `cargo xtask {}` and commit the result.",
            document.path(),
            document.chore(),
        ),
    }
}

fn make(document: Document) -> Result<String> {
    let mut arguments = vec!["run", "--quiet", "--locked", "--package", "fogline", "--"];
    arguments.extend(document.arguments());
    let output = Command::new(env!("CARGO"))
        .args(&arguments)
        .current_dir(crate::root()?)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("the document is not UTF-8")?;
    let document: serde_json::Value = serde_json::from_str(&text).context("the document is not JSON")?;
    anyhow::ensure!(document.is_object(), "the document is not a JSON object");
    Ok(format!("{}\n", text.trim_end()))
}

/// The number of the first line that differs, with both of its versions.
fn first_difference<'a>(old: &'a str, new: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut old_lines, mut new_lines) = (old.lines(), new.lines());
    for line in 1.. {
        match (old_lines.next(), new_lines.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => return Some((line, one.unwrap_or("(nothing)"), other.unwrap_or("(nothing)"))),
        }
    }
    // The same lines may still differ in how they end.
    (old != new).then_some((old.lines().count(), "(line endings)", "(line endings)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "(nothing)", "c")));
        assert_eq!(first_difference("", "a\n"), Some((1, "(nothing)", "a")));
        assert!(first_difference("a", "a\n").is_some());
    }
}
