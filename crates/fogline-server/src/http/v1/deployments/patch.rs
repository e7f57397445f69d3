//! `PATCH /api/v1/deployments/{id}`: a JSON merge patch (RFC 7396) of the spec.

use axum::extract::State;
use fogline_api::http::{OperationResponse, ProblemKind};
use fogline_core::spec::DeploymentSpec;
use serde_json::{Map, Value};

use super::replace::update;
use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId, visible_deployment};
use crate::http::merge_patch;
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Other names that a spec's fields go by. A patch may use them; the spec it is merged into has the first ones.
const ALIASES: [(&str, &str); 6] = [
    ("image", "container_image"),
    ("target_replicas", "replicas"),
    ("cpu_cores", "cpu"),
    ("memory_mb", "memory"),
    ("gpu_units", "gpu"),
    ("storage_gb", "storage"),
];

/// How often a patch is made anew because the spec has changed under it.
const TRIES: u32 = 5;

/// How deep a spec goes, and somewhat more.
const MAX_DEPTH: u32 = 16;

/// Changes the fields that are there. `null` gives a field its default; lists are replaced whole.
#[utoipa::path(
    patch, path = "/api/v1/deployments/{id}", operation_id = "patchDeployment", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body(content = Object, description = "Any fields of a spec"),
    responses((status = 200, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<Map<String, Value>>,
) -> ApiResult<Changed<OperationResponse>> {
    let mut tries = TRIES;
    loop {
        let record = visible_deployment(&app, &caller, &id).await?;
        let spec = merged(&record.spec, value.clone())?;
        match update(&app, &caller, record.id, spec, Some(record.spec), key.clone()).await {
            // Somebody has changed another field: that change stays, and this one is made on top of it.
            Err(error) if error.problem().known_kind() == Some(ProblemKind::ChangedMeanwhile) && tries > 1 => {
                tries -= 1
            }
            result => return result,
        }
    }
}

fn merged(spec: &DeploymentSpec, patch: Map<String, Value>) -> ApiResult<DeploymentSpec> {
    let patch = plain_names(patch, 0)?;
    merge_patch::applied(spec, patch)
}

/// The same patch with each field under its first name.
fn plain_names(patch: Map<String, Value>, depth: u32) -> ApiResult<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return Err(ApiError::field("body", "is nested too deeply", "the fields of a spec"));
    }
    let mut plain = Map::new();
    for (name, value) in patch {
        // Names of variables are the user's own.
        let variables = name == "env";
        let name = match ALIASES.iter().find(|(alias, _)| *alias == name) {
            Some((_, first)) => (*first).to_owned(),
            None => name,
        };
        let value = match value {
            Value::Object(inner) if !variables => Value::Object(plain_names(inner, depth + 1)?),
            other => other,
        };
        if plain.insert(name.clone(), value).is_some() {
            return Err(ApiError::field(name, "is there twice, or under two names", "one value"));
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec() -> DeploymentSpec {
        let spec = json!({
            "name": "web", "runtime": "process", "command": ["serve", "8080"], "env": {"A": "1", "image": "2"}, "replicas": 3,
            "resources": {"cpu": 1.5, "memory": 1024}, "port": 80,
        });
        serde_json::from_value(spec).expect("a spec")
    }

    fn patched(patch: Value) -> Result<DeploymentSpec, ApiError> {
        let Value::Object(patch) = patch else { panic!("an object") };
        merged(&spec(), patch)
    }

    #[test]
    fn only_what_is_there_changes() {
        assert_eq!(patched(json!({})).expect("merges"), spec());
        let changed = patched(json!({"resources": {"memory_mb": 2048}, "env": {"A": null, "B": "3"}, "port": null}));
        let mut expected = spec();
        expected.resources.memory_mb = 2048;
        expected.env = [("B", "3"), ("image", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        expected.port = None;
        assert_eq!(changed.expect("merges"), expected);
        let changed = patched(json!({"command": ["other"], "target_replicas": 5, "image": "nginx"})).expect("merges");
        assert_eq!((changed.command, changed.replicas), (vec!["other".to_owned()], 5));
        assert_eq!(changed.container_image.as_deref(), Some("nginx"));
    }

    #[test]
    fn what_a_spec_does_not_have_is_refused_by_name() {
        for (patch, field) in [
            (json!({"owner": "x"}), "owner"),
            (json!({"resources": {"swap": 1}}), "resources.swap"),
            (json!({"resources": null}), "resources"),
            (json!({"resources": [1, 512, 0, 10]}), "resources"),
            (json!({"replicas": "5"}), "replicas"),
            (json!({"replicas": 5, "target_replicas": 6}), "replicas"),
        ] {
            let error = patched(patch.clone()).expect_err("refused");
            assert_eq!(error.problem().status, 400);
            assert_eq!(error.problem().errors[0].field, field, "{patch}");
        }
    }
}
