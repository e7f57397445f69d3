//! Proves by `cargo tree` and `cargo metadata` what each crate cannot reach, as ARCHITECTURE.md says.
//!
//! Must never look at what tests use: a test may reach further than the crate that it tests. Direct use of the heavy
//! libraries is `deny.toml`'s (`wrappers`); this is about what can be reached by any number of steps.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What one crate may use of ours, and what it must be unable to reach.
struct Rule {
    package: &'static str,
    /// The only crates of this workspace that it may depend on.
    may_use: &'static [&'static str],
    /// What must not be anywhere below it.
    cannot_reach: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        package: "fogline-core",
        may_use: &[],
        cannot_reach: &[
            "tokio",
            "futures-util",
            "mio",
            "socket2",
            "sqlx",
            "libsqlite3-sys",
            "tonic",
            "axum",
            "hyper",
            "reqwest",
            "rustls",
            "rustix",
            "libc",
            "getrandom",
            "rand",
            "procfs",
            "tracing",
        ],
        why: "core decides, and needs no waiting, socket, file, clock or entropy for it",
    },
    Rule {
        package: "fogline-api",
        may_use: &["fogline-core"],
        cannot_reach: &["sqlx", "libsqlite3-sys", "argon2", "jsonwebtoken", "procfs", "clap"],
        why: "the wire types are for clients too",
    },
    Rule {
        package: "fogline-store",
        may_use: &["fogline-core"],
        cannot_reach: &["axum", "tonic", "hyper", "reqwest", "procfs", "argon2", "jsonwebtoken", "clap"],
        why: "the store stores; it neither serves nor decides",
    },
    Rule {
        package: "fogline-source",
        may_use: &["fogline-core"],
        cannot_reach: &["axum", "tonic", "procfs", "argon2", "jsonwebtoken", "clap"],
        why: "answers of strangers are read where nothing can reach the cluster",
    },
    Rule {
        package: "fogline-agent",
        may_use: &["fogline-api", "fogline-core"],
        cannot_reach: &["sqlx", "libsqlite3-sys", "argon2", "jsonwebtoken", "clap"],
        why: "an agent that is broken into finds no database and no key",
    },
    Rule {
        package: "fogline-proxy",
        may_use: &["fogline-api", "fogline-core"],
        cannot_reach: &["sqlx", "libsqlite3-sys", "argon2", "jsonwebtoken", "procfs", "clap"],
        why: "what strangers talk to finds no database, no key and no decision",
    },
    Rule {
        package: "fogline-server",
        may_use: &["fogline-api", "fogline-core", "fogline-source", "fogline-store"],
        cannot_reach: &["procfs", "clap"],
        why: "the server runs no workload and looks at no machine",
    },
    Rule {
        package: "fogline-sim",
        may_use: &["fogline-agent", "fogline-api", "fogline-core"],
        cannot_reach: &["sqlx", "libsqlite3-sys"],
        why: "the simulated disk is the simulation's own",
    },
    Rule {
        package: "fogline",
        may_use: &[
            "fogline-agent",
            "fogline-api",
            "fogline-core",
            "fogline-proxy",
            "fogline-server",
            "fogline-source",
            "fogline-store",
        ],
        cannot_reach: &["fogline-sim", "openssl-sys", "ring"],
        why: "the simulation is for tests, and there is one cryptography provider",
    },
    Rule {
        package: "fogline-testbed",
        may_use: &[],
        cannot_reach: &["tokio", "hyper", "rustls", "sqlx", "libsqlite3-sys"],
        why: "what starts servers for tests knows nothing of what is tested, and is built for every test",
    },
    Rule { package: "xtask", may_use: &[], cannot_reach: &["tokio"], why: "chores run when no crate compiles" },
];

/// Checks every rule and prints a line for each.
pub fn run() -> Result<()> {
    let workspace = workspace()?;
    let mut broken = Vec::new();
    for package in workspace.keys().filter(|name| !RULES.iter().any(|rule| rule.package == name.as_str())) {
        broken.push(format!("{package} has no rule: add one to xtask/src/purity.rs that says what it cannot reach"));
    }
    for rule in RULES {
        let Some(uses) = workspace.get(rule.package) else {
            broken.push(format!("there is no crate {}: remove its rule from xtask/src/purity.rs", rule.package));
            continue;
        };
        let found = breaches(rule, uses, &reachable(rule.package)?);
        if found.is_empty() {
            println!("{:<16} cannot reach {} ({})", rule.package, rule.cannot_reach.join(", "), rule.why);
        }
        broken.extend(found);
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("\n")) }
}

fn breaches(rule: &Rule, uses: &BTreeSet<String>, reached: &BTreeSet<String>) -> Vec<String> {
    let Rule { package, why, .. } = rule;
    let ours = uses
        .iter()
        .filter(|used| !rule.may_use.contains(&used.as_str()))
        .map(|used| format!("{package} may not depend on {used}: {why}"));
    let others =
        rule.cannot_reach.iter().filter(|name| reached.contains(**name)).map(|name| {
            format!("{package} can reach {name}: {why}. See `cargo tree -p {package} -e normal -i {name}`")
        });
    ours.chain(others).collect()
}

/// The crates of this workspace with what each uses of this workspace, without what only tests use.
fn workspace() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cannot read what `cargo metadata` says")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
    let name = |value: &serde_json::Value| value["name"].as_str().map(str::to_owned);
    let mut found = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().context("`cargo metadata` names no dependencies")?;
        let ours = dependencies.iter().filter(|one| one["path"].is_string() && one["kind"] != "dev").filter_map(name);
        found.insert(name(package).context("`cargo metadata` has a package without a name")?, ours.collect());
    }
    Ok(found)
}

/// Every crate that is linked into `package`. What only runs while compiling (macros, build scripts) does not count.
fn reachable(package: &str) -> Result<BTreeSet<String>> {
    let arguments = [
        "tree",
        "--package",
        package,
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ];
    let names = names(&cargo(&arguments)?);
    // A tree without its root is a format that this does not understand, and would prove anything.
    anyhow::ensure!(names.contains(package), "`cargo {}` does not name {package}", arguments.join(" "));
    Ok(names)
}

fn names(tree: &str) -> BTreeSet<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(crate::root()?).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("cargo's answer is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_breach_names_the_crate_and_the_reason() {
        let rule = Rule { package: "a", may_use: &["b"], cannot_reach: &["sqlx"], why: "because" };
        assert!(breaches(&rule, &set(&["b"]), &set(&["a", "b", "serde"])).is_empty());
        let found = breaches(&rule, &set(&["b", "c"]), &set(&["a", "sqlx"]));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], "a may not depend on c: because");
        assert!(found[1].starts_with("a can reach sqlx: because."), "{}", found[1]);
    }

    #[test]
    fn names_are_read_from_a_tree() {
        let tree = "fogline-core v0.1.0 (/src/fogline-core)\nserde v1.0.229\nserde v1.0.229 (*)\n\n";
        assert_eq!(names(tree), set(&["fogline-core", "serde"]));
    }

    #[test]
    fn the_rules_allow_no_circle_and_name_only_crates_with_rules() {
        for rule in RULES {
            for used in rule.may_use {
                let other =
                    RULES.iter().find(|other| other.package == *used).expect("a crate that may be used has a rule");
                assert!(!other.may_use.contains(&rule.package), "{} and {used} use each other", rule.package);
            }
        }
    }
}
