//! Checks the rules of the house that no compiler knows, over all files of the checkout.
//!
//! Each rule is a pure function in [`rules`]; here the files are read, and the figures printed. Exceptions are in
//! `xtask/tidy.toml`, and only ever get fewer. Must never change a file. Invariant: a rule that is broken anywhere
//! fails the whole, with the place and what to do.

mod links;
mod rules;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Directories that hold nothing of ours.
const NOT_OURS: &[&str] = &["target", ".git", "node_modules"];

/// A file of the checkout.
struct File {
    /// From the root, with `/` between.
    path: String,
    text: String,
}

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    path: String,
    /// From 1; 0 where the breach is about the whole file.
    line: usize,
    what: String,
}

/// `xtask/tidy.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    long: Vec<Long>,
}

/// A file that may be long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    path: String,
    lines: usize,
    reason: String,
}

/// Checks every rule on every file.
pub fn run() -> Result<()> {
    let root = crate::root()?;
    let exceptions = std::fs::read_to_string(root.join("xtask/tidy.toml")).context("cannot read xtask/tidy.toml")?;
    let exceptions: Exceptions = toml::from_str(&exceptions).context("cannot read xtask/tidy.toml")?;
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();

    let mut breaches = rules::exceptions(&exceptions, &files);
    for file in &files {
        breaches.extend(rules::words(file));
        breaches.extend(rules::places(file, &root.display().to_string()));
        if file.path.ends_with(".rs") {
            breaches.extend(rules::name(file));
            breaches.extend(rules::header(file));
            breaches.extend(rules::attributes(file));
            breaches.extend(rules::length(file, &exceptions));
        }
        if file.path.ends_with(".md") {
            breaches.extend(rules::architecture(file));
            breaches.extend(links::broken(file, &paths));
        }
    }
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    breaches.extend(rules::dependencies(text("Cargo.toml"), text("docs/dependencies.md"))?);

    print_figures(&files);
    if breaches.is_empty() {
        return Ok(());
    }
    for Breach { path, line, what } in &breaches {
        eprintln!("{path}:{line}: {what}");
    }
    bail!("{} rule(s) broken", breaches.len())
}

/// Reads every text file below `directory`.
fn collect(root: &Path, directory: &Path, files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !NOT_OURS.contains(&entry.file_name().to_string_lossy().as_ref()) {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            // What is not text is no file that the rules are about.
            if let Ok(text) = String::from_utf8(bytes) {
                let path = path.strip_prefix(root).context("a file of the checkout lies below its root")?;
                files.push(File { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    Ok(())
}

fn print_figures(files: &[File]) {
    let mut sizes: Vec<(usize, &str)> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    sizes.sort_unstable();
    let Some((longest, path)) = sizes.last() else { return };
    let total: usize = sizes.iter().map(|(lines, _)| lines).sum();
    let median = sizes[sizes.len() / 2].0;
    println!("{} Rust files, {total} lines, median {median}, longest {longest} ({path})", sizes.len());
}
