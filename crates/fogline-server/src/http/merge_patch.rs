//! JSON merge patches (RFC 7396): what is there changes, `null` gives a field its default, lists are replaced whole.
//!
//! Tests: those of the endpoints that take one.

use fogline_api::http::ProblemKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::extract::{field_error, list_for_object};
use super::problem::{ApiError, ApiResult};

/// `whole` with this patch applied.
///
/// # Errors
/// The field that what comes out cannot have, or not with such a value.
pub(super) fn applied<T: Serialize + DeserializeOwned>(whole: &T, patch: Map<String, Value>) -> ApiResult<T> {
    let mut whole = serde_json::to_value(whole).map_err(|error| ApiError::internal("a spec as JSON", &error))?;
    merge(&mut whole, Value::Object(patch));
    let wrong = |error| ApiError::fields(ProblemKind::InvalidRequest, vec![error]);
    let read = serde_path_to_error::deserialize(&whole)
        .map_err(|error| wrong(field_error(&error.path().to_string(), &error.inner().to_string())))?;
    list_for_object(&whole, &read).map_or(Ok(read), |error| Err(wrong(error)))
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}
