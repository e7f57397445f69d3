//! The `If-Match` header: a change is made only to the version that it was made for.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use fogline_api::http::ProblemKind;

use crate::http::App;
use crate::http::problem::{ApiError, ApiResult};

/// The version that a change is for, where the caller says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IfMatch(pub Option<u32>);

impl IfMatch {
    /// What to say where core found another version than the one that was named: RFC 9110 has a status for it.
    pub fn explain<T>(self, result: ApiResult<T>) -> ApiResult<T> {
        result.map_err(|error| match (self.0, error.problem().known_kind()) {
            (Some(version), Some(ProblemKind::ChangedMeanwhile)) => {
                let detail = format!("it is not version {version} any more: read it again, and repeat what you wanted");
                ApiError::new(ProblemKind::PreconditionFailed, detail)
            }
            _ => error,
        })
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> ApiResult<Self> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let text = value.to_str().ok().map(str::trim);
        match (text, values.next()) {
            (Some("*"), None) => Ok(Self(None)),
            (Some(text), None) if version(text).is_some() => Ok(Self(version(text))),
            _ => Err(ApiError::field(
                "If-Match",
                "is no version",
                "one version as the ETag header shows it, such as \"3\"",
            )),
        }
    }
}

fn version(text: &str) -> Option<u32> {
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    bare.parse().ok().filter(|version| *version > 0)
}

/// The `ETag` header of a version.
pub fn entity_tag(version: u32) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_with_or_without_quotes() {
        for (text, found) in [
            ("\"3\"", Some(3)),
            ("3", Some(3)),
            ("\"0\"", None),
            ("\"3", None),
            ("W/\"3\"", None),
            ("", None),
            ("\"3\", \"4\"", None),
        ] {
            assert_eq!(version(text), found, "{text}");
        }
    }
}
