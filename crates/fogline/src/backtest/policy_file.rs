//! Reads one scaling policy from YAML (or JSON, which is YAML) and checks it.
//!
//! Invariant: what comes back has passed every check, and each fault is shown with its place or its field.

use std::path::Path;

use fogline_core::id::PolicyId;
use fogline_core::scaling::{Policy, PolicySpec};
use serde_saphyr::SnippetMode;

use crate::exit::{Exit, Failure, Outcome};
use crate::spec_file::{Plain, read, without_repetition};

const HINT: &str = "docs/how-to/backtest-a-policy.md describes a policy; examples/scaling/policy.yaml is one";

/// Reads the policy; `-` is standard input.
pub fn load(path: &Path) -> Outcome<Policy> {
    let is_stdin = path == Path::new("-");
    let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    parse(&read(path, is_stdin, &shown)?, &shown)
}

fn parse(text: &str, shown: &str) -> Outcome<Policy> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        with_snippet: true,
    };
    let spec: PolicySpec = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let formatter = Plain;
        let options = serde_saphyr::render_options! {
            formatter: &formatter,
            snippets: SnippetMode::Auto,
            source_name: Some(shown),
        };
        Failure::new(Exit::Refused, format!("{shown} is no scaling policy"))
            .because(without_repetition(&error.render_with_options(options)))
            .hint(HINT)
    })?;
    // A policy that is only tried has no id of its own.
    let id = PolicyId::from_uuid(uuid::Uuid::from_u128(1));
    Policy::new(id, spec).map_err(|errors| {
        let mut failure = Failure::new(Exit::Refused, format!("{shown} cannot be accepted"));
        failure.causes = errors.iter().map(ToString::to_string).collect();
        failure.hint(HINT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_at_its_place_or_with_its_field() {
        for (text, parts) in [
            ("name: web\ntarget_type: deployment\nmin_replica: 1\n", ["min_replica", "policy.yaml:3"]),
            ("name: web\ntarget_type: deployment\nmin_replicas: many\n", ["many", "policy.yaml:3"]),
            ("name: web\ntarget_type: deployment\nscale_down: {stabilization: soon}\n", ["soon", "policy.yaml:3"]),
            ("name: web\ntarget_type: deployment\nmin_replicas: 5\nmax_replicas: 2\n", ["max_replicas", "at least"]),
            ("name: [web\n", ["policy.yaml", "^"]),
        ] {
            let shown = parse(text, "policy.yaml").expect_err("refused").to_string();
            for part in parts {
                assert!(shown.contains(part), "no {part:?} in:\n{shown}");
            }
        }
    }
}
