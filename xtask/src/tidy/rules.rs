//! The rules, each a pure function from a file to its breaches.
//!
//! Must never read a file or know the date: what is checked is what was handed in. A rule that finds too much is
//! worse than none, because people learn to work around it; so each has a test of what it lets pass.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::{Breach, Exceptions, File, Long};

/// From here on a Rust file needs a reason for not being split.
const LONG_LINES: usize = 500;
/// The architecture is read in one sitting, or not at all.
const ARCHITECTURE_LINES: usize = 300;
/// Names under which anything could be put, and therefore is.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "types", "manager", "misc"];
/// Put together here, so that this file does not break its own rule.
const LATER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNWRITTEN: &[&str] = &[concat!("unimpl", "emented!"), concat!("to", "do!(")];

fn breach(file: &File, line: usize, what: impl Into<String>) -> Breach {
    Breach { path: file.path.clone(), line, what: what.into() }
}

fn lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// A file says first what it decides, what it must never do, what always holds in it, and where its tests are.
pub(super) fn header(file: &File) -> Option<Breach> {
    let what = "start the file with `//!`: what it decides, what it must never do, its invariant, where its tests are";
    (!file.text.starts_with("//! ")).then(|| breach(file, 1, what))
}

/// A name says what is inside.
pub(super) fn name(file: &File) -> Option<Breach> {
    let parts = file.path.trim_end_matches(".rs").split(['/', '-', '_']);
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(breach(file, 0, format!("{empty:?} says nothing about what is inside; name the concept")))
}

/// Nothing is left for later where only a reader of the source would find it.
pub(super) fn words(file: &File) -> Vec<Breach> {
    let later = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.find(|word| LATER.contains(word)).map(str::to_owned)
    };
    let unwritten = |line: &str| UNWRITTEN.iter().find(|word| line.contains(**word)).map(|word| (*word).to_owned());
    lines(file)
        .filter_map(|(number, line)| {
            let word = later(line).or_else(|| file.path.ends_with(".rs").then(|| unwritten(line)).flatten())?;
            Some(breach(file, number, format!("{word}: do it now, or describe it where the work is planned")))
        })
        .collect()
}

/// A lint is lifted only where it strikes, with the reason; a test is left out only where something else runs it.
pub(super) fn attributes(file: &File) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in lines(file) {
        let code = line.trim_start();
        if code.starts_with(concat!("#[al", "low(")) || code.starts_with(concat!("#![al", "low(")) {
            breaches.push(breach(
                file,
                number,
                "use #[expect(lint, reason = \"…\")], which tells when it is not needed",
            ));
        }
        if code.starts_with(concat!("#[ig", "nore")) && !is_run_elsewhere(file, code) {
            let what =
                "a test that nobody runs proves nothing: run it, or say that `make soak` does, or which test starts it";
            breaches.push(breach(file, number, what));
        }
    }
    breaches
}

/// Whether the reason why a test is left out says who runs it: `… make soak`, or `started by <another test here>`.
fn is_run_elsewhere(file: &File, attribute: &str) -> bool {
    let starter = attribute.split("started by ").nth(1).and_then(|rest| rest.split('"').next());
    attribute.contains("make soak") || starter.is_some_and(|name| file.text.contains(&format!("fn {name}(")))
}

/// No file knows the machine on which it was written.
pub(super) fn places(file: &File, root: &str) -> Vec<Breach> {
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    // A checkout in the root or one below it has a name that other texts may hold by chance.
    let own = Some(root).filter(|root| root.matches('/').count() > 1);
    lines(file)
        .filter_map(|(number, line)| {
            let place = homes.into_iter().chain(own).find(|place| line.contains(place))?;
            Some(breach(file, number, format!("{place} is a path of one machine")))
        })
        .collect()
}

/// A long file holds more than one concept, unless a reason says otherwise.
pub(super) fn length(file: &File, exceptions: &Exceptions) -> Option<Breach> {
    let count = file.text.lines().count();
    let limit = exceptions.long.iter().find(|long| long.path == file.path).map_or(LONG_LINES, |long| long.lines);
    (count > limit).then(|| breach(file, 0, format!("{count} lines, where {limit} are the most: split it by concept")))
}

/// The list of exceptions only gets shorter.
pub(super) fn exceptions(exceptions: &Exceptions, files: &[File]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for Long { path, lines, reason } in &exceptions.long {
        let count = files.iter().find(|file| file.path == *path).map(|file| file.text.lines().count());
        let what = match count {
            None => format!("there is no {path}: remove its entry"),
            Some(count) if count <= LONG_LINES => format!("{path} has only {count} lines: remove its entry"),
            Some(count) if count < *lines => format!("{path} has only {count} lines: lower its number to that"),
            Some(_) if reason.trim().len() < 10 => format!("say why {path} is not split"),
            Some(_) => continue,
        };
        breaches.push(Breach { path: "xtask/tidy.toml".to_owned(), line: 0, what });
    }
    breaches
}

/// The architecture stays short enough to be read.
pub(super) fn architecture(file: &File) -> Option<Breach> {
    let count = file.text.lines().count();
    (file.path == "ARCHITECTURE.md" && count > ARCHITECTURE_LINES).then(|| {
        breach(file, 0, format!("{count} lines, where {ARCHITECTURE_LINES} are the most: details go to docs/"))
    })
}

/// Every dependency has its reason in `docs/dependencies.md`, and no reason has lost its dependency.
pub(super) fn dependencies(manifest: &str, document: &str) -> Result<Vec<Breach>> {
    let manifest: toml::Table = toml::from_str(manifest).context("cannot read Cargo.toml")?;
    let declared = manifest["workspace"]["dependencies"].as_table().context("Cargo.toml has no dependencies")?;
    let declared: BTreeSet<&str> =
        declared.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.as_str()).collect();
    let explained: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)).collect();
    let breach = |what| Breach { path: "docs/dependencies.md".to_owned(), line: 0, what };
    let missing = declared.difference(&explained).map(|name| breach(format!("does not say why {name} is used")));
    let surplus = explained.difference(&declared).map(|name| breach(format!("explains {name}, which is not used")));
    Ok(missing.chain(surplus).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn rust(text: &str) -> File {
        file("crates/fogline-core/src/x.rs", text)
    }

    #[test]
    fn a_file_starts_by_saying_what_it_is() {
        assert_eq!(header(&rust("//! Decides.\n")), None);
        assert!(header(&rust("use std::fmt;\n")).is_some());
        assert!(header(&rust("//!\n")).is_some());
    }

    #[test]
    fn names_say_what_is_inside() {
        assert!(name(&file("crates/fogline-core/src/utils.rs", "")).is_some());
        assert!(name(&file("crates/fogline-core/src/types/id.rs", "")).is_some());
        assert!(name(&file("crates/fogline-common/src/lib.rs", "")).is_some());
        assert!(name(&file("crates/fogline-core/src/node_manager.rs", "")).is_some());
        assert_eq!(name(&file("crates/fogline-core/src/placement/score.rs", "")), None);
        assert_eq!(name(&file("crates/fogline/src/commands/types_of.rs", "")).map(|found| found.line), Some(0));
        assert_eq!(name(&file("crates/fogline/src/prototypes.rs", "")), None);
    }

    #[test]
    fn nothing_is_left_for_later() {
        let later = LATER[0];
        assert_eq!(words(&rust(&format!("a\n// {later}: b\n"))).first().map(|found| found.line), Some(2));
        assert_eq!(words(&file("README.md", &format!("({later})\n"))).len(), 1);
        assert_eq!(words(&rust(&format!("    {}\"later\")", UNWRITTEN[1]))).len(), 1);
        assert!(words(&rust(&format!("let {later}S = 1; // mastodon"))).is_empty());
    }

    #[test]
    fn lints_are_expected_with_a_reason() {
        let lifted = format!("    #[{}(dead_code)]\n#![{}(unused)]\n", "allow", "allow");
        assert_eq!(attributes(&rust(&lifted)).len(), 2);
        assert_eq!(attributes(&rust(&format!("#[{}]\nfn a() {{}}\n", "ignore"))).len(), 1);
        assert_eq!(attributes(&rust(&format!("#[{} = \"slow\"]\nfn a() {{}}\n", "ignore"))).len(), 1);
        assert!(attributes(&rust(&format!("#[{} = \"takes minutes: make soak\"]\n", "ignore"))).is_empty());
        let started = format!("#[{} = \"started by outer\"]\n", "ignore");
        assert_eq!(attributes(&rust(&started)).len(), 1);
        assert!(attributes(&rust(&format!("{started}fn inner() {{}}\nfn outer() {{}}\n"))).is_empty());
        assert!(attributes(&rust("#[expect(dead_code, reason = \"x\")]\n// #[allow( is banned\n")).is_empty());
    }

    #[test]
    fn no_machine_is_named() {
        let home = format!("path = \"/{}/ada/x\"", "home");
        assert_eq!(places(&rust(&home), "/src").len(), 1);
        assert_eq!(places(&rust("see /src/fogline/x"), "/src/fogline").len(), 1);
        assert!(places(&rust("crates/fogline-core/src in /src"), "/src").is_empty());
    }

    #[test]
    fn long_files_need_a_reason_and_only_shrink() {
        let long = |lines| Exceptions {
            long: vec![Long { path: rust("").path, lines, reason: "one table of one thing".to_owned() }],
        };
        let none = Exceptions { long: Vec::new() };
        let of = |lines: usize| rust(&"//! x\n".repeat(lines));
        assert_eq!(length(&of(500), &none), None);
        assert!(length(&of(501), &none).is_some());
        assert_eq!(length(&of(600), &long(600)), None);
        assert!(length(&of(601), &long(600)).is_some());
        assert!(exceptions(&long(600), &[of(600)]).is_empty());
        assert!(exceptions(&long(600), &[of(599)])[0].what.contains("lower its number"));
        assert!(exceptions(&long(600), &[of(500)])[0].what.contains("remove its entry"));
        assert!(exceptions(&long(600), &[])[0].what.contains("remove its entry"));
    }

    #[test]
    fn the_architecture_stays_short() {
        assert!(architecture(&file("ARCHITECTURE.md", &"x\n".repeat(301))).is_some());
        assert_eq!(architecture(&file("ARCHITECTURE.md", &"x\n".repeat(300))), None);
        assert_eq!(architecture(&file("CHANGELOG.md", &"x\n".repeat(301))), None);
    }

    #[test]
    fn every_dependency_has_its_reason() {
        let manifest = "[workspace.dependencies]\nfogline-core = { path = \"x\" }\nserde = \"1\"\ntokio = \"1\"\n";
        let found = dependencies(manifest, "| `serde` | why |\n| `gone` | why |\n").unwrap();
        let found: Vec<&str> = found.iter().map(|breach| breach.what.as_str()).collect();
        assert_eq!(found, ["does not say why tokio is used", "explains gone, which is not used"]);
    }
}
