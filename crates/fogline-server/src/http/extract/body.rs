//! JSON bodies: read whole within a size and a time, parsed whatever the Content-Type says, refused by field.
//!
//! Calls that are authenticated by a bearer token cannot be forged by another site's page, so the Content-Type need
//! not be asked for (the seeds' curl examples send none). Invariant: an unknown field, a wrong type or bytes after the
//! JSON are refused, never ignored. Tests: the table of bad input in `tests/it/http`.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use fogline_api::http::ProblemKind;
use fogline_core::command::IdempotencyKey;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field::{cut, field_error, list_for_object};
use super::key::idempotency_key;
use crate::http::App;
use crate::http::problem::{ApiError, ApiResult};
use crate::http::read_on::read_on;

/// How long a caller may take to send a body.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What callers that have not logged in may send.
const MAX_OPEN_BODY_BYTES: usize = 16 * 1_024;

/// The body of a change, with its idempotency key.
#[derive(Debug)]
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// So that a retry is answered and not done again.
    pub key: Option<IdempotencyKey>,
}

/// The body of a question, which may be left out; `{}` is taken for none.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

/// A change without a body; `{}` is taken for none.
#[derive(Debug)]
pub struct NoBody {
    /// So that a retry is answered and not done again.
    pub key: Option<IdempotencyKey>,
}

/// The body of somebody who has not logged in: small, and without an idempotency key.
#[derive(Debug)]
pub struct OpenBody<T>(pub T);

impl<T: Serialize + DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (parts, bytes) = read(request, app.shared.config.max_body_bytes).await?;
        Ok(Self { value: parse(&bytes)?, key: idempotency_key(&app.fingerprints, &parts, &bytes)? })
    }
}

impl FromRequest<App> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (parts, bytes) = read(request, app.shared.config.max_body_bytes).await?;
        if !is_none(&bytes) {
            return Err(ApiError::field("body", "is not empty, and this call takes none", "no body, or {}"));
        }
        Ok(Self { key: idempotency_key(&app.fingerprints, &parts, b"")? })
    }
}

impl<T: Serialize + DeserializeOwned> FromRequest<App> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (_, bytes) = read(request, app.shared.config.max_body_bytes).await?;
        if is_none(&bytes) { Ok(Self(None)) } else { parse(&bytes).map(|value| Self(Some(value))) }
    }
}

impl<T: Serialize + DeserializeOwned> FromRequest<App> for OpenBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> ApiResult<Self> {
        let (_, bytes) = read(request, MAX_OPEN_BODY_BYTES).await?;
        parse(&bytes).map(Self)
    }
}

/// Whether there is nothing, or an object without fields.
fn is_none(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    text.is_empty() || text.starts_with(b"{") && text[1..].trim_ascii_start() == b"}"
}

async fn read(request: Request, most: usize) -> ApiResult<(Parts, Bytes)> {
    let too_large = || ApiError::new(ProblemKind::TooLarge, format!("the body is larger than {most} bytes: send less"));
    let (parts, body) = read_on(request).into_parts();
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::new(ProblemKind::UnsupportedMediaType, "the body is compressed: send it as it is"));
    }
    let told = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok((parts, whole.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(ProblemKind::NotJson, "the body ended before it was complete")),
        Err(_) => Err(ApiError::new(ProblemKind::TimedOut, "the body took too long to arrive")),
    }
}

fn parse<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(ApiError::new(ProblemKind::NotJson, "the body is empty, and a JSON object is needed"));
    }
    // As in `list_for_object`.
    if text.starts_with(b"[") {
        return Err(ApiError::field("body", "is a list", "an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.inner())
    })?;
    json.end().map_err(|error| refusal(".", &error))?;
    if text.contains(&b'[')
        && let Ok(shape) = serde_json::from_slice::<serde_json::Value>(text)
        && let Some(error) = list_for_object(&shape, &value)
    {
        return Err(ApiError::fields(ProblemKind::InvalidRequest, vec![error]));
    }
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> ApiError {
    if error.is_data() {
        return ApiError::fields(ProblemKind::InvalidRequest, vec![field_error(path, &error.to_string())]);
    }
    // Where the JSON broke off between two fields, there is no field.
    let known = path.trim_end_matches('?').trim_matches('.');
    let field = if known.is_empty() { "body".to_owned() } else { cut(known) };
    let accepted = "JSON (RFC 8259): no NaN, no comments, numbers within a double, at most 127 levels deep";
    let errors = vec![fogline_core::spec::FieldError::new(field, error.to_string(), accepted)];
    ApiError::fields(ProblemKind::NotJson, errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_api::http::ScaleRequest;
    use fogline_core::spec::DeploymentSpec;

    fn refused<T: Serialize + DeserializeOwned + std::fmt::Debug>(body: &str) -> (String, Vec<String>) {
        let error = parse::<T>(body.as_bytes()).expect_err(body);
        let problem = error.problem();
        assert_eq!(problem.status, 400, "{problem:?}");
        let kind = problem.kind.trim_start_matches("/problems/").to_owned();
        (kind, problem.errors.iter().map(|error| error.field.clone()).collect())
    }

    #[test]
    fn a_wrong_body_names_its_field() {
        let nested = format!("{{\"replicas\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for (body, kind, field) in [
            ("{}", "invalid-request", "replicas"),
            (r#"{"replicas":"5"}"#, "invalid-request", "replicas"),
            (r#"{"replicas":2.5}"#, "invalid-request", "replicas"),
            (r#"{"replicas":null}"#, "invalid-request", "replicas"),
            (r#"{"replicas":18446744073709551616}"#, "invalid-request", "replicas"),
            (r#"{"replicas":5,"owner":"x"}"#, "invalid-request", "owner"),
            (r#"{"replicas":5,"replicas":6}"#, "invalid-request", "replicas"),
            (r#"{"replicas":5,"target_replicas":6}"#, "invalid-request", "replicas"),
            ("[5]", "invalid-request", "body"),
            ("5", "invalid-request", "body"),
            ("null", "invalid-request", "body"),
            (r#"{"replicas":NaN}"#, "not-json", "replicas"),
            (r#"{"replicas":1e999}"#, "not-json", "replicas"),
            (r#"{"replicas":5}{"replicas":6}"#, "not-json", "body"),
            (r#"{"replicas":5"#, "not-json", "body"),
            ("replicas=5", "not-json", "body"),
            ("<xml/>", "not-json", "body"),
            (&nested, "invalid-request", "replicas"),
        ] {
            let shown: String = body.chars().take(60).collect();
            let (found_kind, fields) = refused::<ScaleRequest>(body);
            assert_eq!((found_kind.as_str(), fields.as_slice()), (kind, &[field.to_owned()][..]), "{shown}");
        }
    }

    #[test]
    fn a_wrong_spec_names_the_field_inside() {
        let with = |field: &str| format!("{{\"name\":\"a\",\"resources\":{{\"cpu\":1,\"memory\":512}},{field}}}");
        for (body, field) in [
            (r#"{"name":"a","resources":{"cpu":"x","memory":512}}"#.to_owned(), "resources.cpu"),
            (r#"{"name":"a","resources":{"cpu":1}}"#.to_owned(), "resources.memory"),
            (r#"{"name":"a","resources":{"cpu":1,"memory":-1}}"#.to_owned(), "resources.memory"),
            (r#"{"name":"a","resources":{"cpu":0.00001,"memory":512}}"#.to_owned(), "resources.cpu"),
            (r#"{"name":"a","resources":{"cpu":1,"memory":512,"swap":1}}"#.to_owned(), "resources.swap"),
            (with(r#""status":"running""#), "status"),
            (with(r#""env":{"A":1}"#), "env.A"),
            (with(r#""command":["a",1]"#), "command[1]"),
            (with(r#""port":70000"#), "port"),
            (with(r#""runtime":"vm""#), "runtime"),
            (r#"{"name":"a","resources":[1,512,0,10]}"#.to_owned(), "resources"),
            (with(r#""port":80,"health":["tcp"]"#), "health"),
            (with(r#""placement":["required"]"#), "placement"),
            (with(r#""port":80,"traffic":{"hold":[1]}"#), "traffic.hold"),
            (with(r#""placement":{"constraints":[["a","exists"]]}"#), "placement.constraints[0]"),
            (with(r#""placement":{"constraints":[{"label":"a","op":"like"}]}"#), "placement.constraints[0].op"),
        ] {
            assert_eq!(
                refused::<DeploymentSpec>(&body),
                ("invalid-request".to_owned(), vec![field.to_owned()]),
                "{body}"
            );
        }
    }

    #[test]
    fn a_list_is_taken_where_one_belongs() {
        let body = r#"{"name":"a","resources":{"cpu":1,"memory":512},
            "placement":{"constraints":[{"label":"region","op":"in","values":["eu-west"]}]}}"#;
        let spec = parse::<DeploymentSpec>(body.as_bytes()).expect("a constraint with its values");
        assert_eq!(spec.placement.constraints.len(), 1);
    }
}
