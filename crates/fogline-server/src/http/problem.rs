//! The one mapping from refusals and failures to RFC 9457 problem details.
//!
//! Invariant: what an inside failure says in its details goes to the log, never to the caller; what a refusal says goes
//! to the caller whole. Every error of the API is made here. Tests: below, and the tables in `tests/it/http`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fogline_api::http::{PROBLEM_JSON, Problem, ProblemKind};
use fogline_core::command::Rejection;
use fogline_core::spec::FieldError;
use fogline_store::StoreError;

use crate::agents::{ExecError, LogError};
use crate::auth::{HashError, TokenError};
use crate::scaling::EvaluateError;
use crate::writer::WriteError;

/// An error on its way to the caller.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    audited: bool,
}

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(kind, detail)), audited: false }
    }

    /// Fields that cannot be accepted.
    #[must_use]
    pub fn fields(kind: ProblemKind, errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mut error = Self::new(kind, detail);
        error.problem.errors = errors;
        error
    }

    /// One field that cannot be accepted.
    pub fn field(field: impl Into<String>, message: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self::fields(ProblemKind::InvalidRequest, vec![FieldError::new(field, message, accepted)])
    }

    /// Nothing there, or somebody else's: the two look alike.
    #[must_use]
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("{kind} {} does not exist, or is not yours", shown(id)))
    }

    /// Something that should not happen. `what` and `error` go to the log only.
    pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %error, "a request failed inside");
        Self::new(ProblemKind::Internal, "the server could not finish this: its log says why, under the request's id")
    }

    /// With a time after which a retry makes sense.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.problem.retry_after_s = Some(seconds);
        self
    }

    /// What the caller will be told.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = render(&self.problem);
        // The outermost layer knows the request's id and renders the problem once more with it.
        response.extensions_mut().insert(Refused { problem: self.problem, audited: self.audited });
        response
    }
}

/// Marks a response as a problem, for the layer that knows the request's id.
#[derive(Clone)]
pub(super) struct Refused {
    pub problem: Box<Problem>,
    /// Whether core has refused it and a line of the audit log says so, where it was a change.
    pub audited: bool,
}

/// A problem as a response.
pub(super) fn render(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_string(problem).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    if status == StatusCode::UNAUTHORIZED {
        set(header::WWW_AUTHENTICATE, "Bearer realm=\"fogline\"");
    }
    if let Some(seconds) = problem.retry_after_s {
        set(header::RETRY_AFTER, &seconds.to_string());
    }
    response
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let kind = match &rejection {
            Rejection::NotFound { .. } => ProblemKind::NotFound,
            Rejection::Forbidden { .. } => ProblemKind::Forbidden,
            Rejection::Invalid(_) => ProblemKind::InvalidRequest,
            Rejection::NameTaken { .. } => ProblemKind::NameTaken,
            Rejection::RouteTaken(_) => ProblemKind::RouteTaken,
            Rejection::TooManyWakes { .. } => ProblemKind::TooManyRequests,
            Rejection::WrongStatus { .. } => ProblemKind::WrongStatus,
            Rejection::NotRunning { .. } => ProblemKind::NotRunning,
            Rejection::Insufficient { .. } => ProblemKind::InsufficientNodes,
            Rejection::QuotaExceeded { .. } => ProblemKind::QuotaExceeded,
            Rejection::StillInUse { .. } => ProblemKind::StillInUse,
            Rejection::KeyReused { .. } => ProblemKind::IdempotencyKeyReused,
            Rejection::SessionEnded => ProblemKind::SessionEnded,
            Rejection::ChangedMeanwhile { .. } | Rejection::ScalingPending { .. } => ProblemKind::ChangedMeanwhile,
            Rejection::NotPending { .. } => ProblemKind::NotFound,
            Rejection::LastAdministrator(_) => ProblemKind::LastAdministrator,
        };
        let audited = matches!(kind, ProblemKind::NotFound | ProblemKind::Forbidden | ProblemKind::SessionEnded);
        let error = match rejection {
            Rejection::Invalid(errors) => Self::fields(kind, errors),
            other => Self::new(kind, other.to_string()),
        };
        Self { audited, ..error }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        let (kind, retry_after_s) = match error {
            WriteError::Rejected(rejection) => return rejection.into(),
            WriteError::Contradiction(_) => return Self::internal("the database refused a change", &error),
            WriteError::Busy => (ProblemKind::Busy, 1),
            WriteError::StorageFull => (ProblemKind::StorageFull, 10),
            WriteError::OutcomeUnknown => (ProblemKind::OutcomeUnknown, 1),
            WriteError::DatabaseAway => (ProblemKind::DatabaseUnavailable, 2),
            WriteError::NotLeader { .. } => (ProblemKind::NotLeader, 1),
            WriteError::Stopping => (ProblemKind::Unavailable, 1),
        };
        Self::new(kind, error.to_string()).retry_after_s(retry_after_s)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor { .. } => Self::field("cursor", error.to_string(), "`next` of the page before"),
            StoreError::Full => Self::new(ProblemKind::StorageFull, error.to_string()).retry_after_s(10),
            StoreError::Unavailable { .. } => {
                tracing::warn!(%error, "a read was refused");
                let detail = "the database cannot be reached, so nothing can be read: try again in a few seconds; what \
                              runs goes on running";
                Self::new(ProblemKind::DatabaseUnavailable, detail).retry_after_s(2)
            }
            _ => Self::internal("the database could not be read", &error),
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        let kind = match error {
            LogError::TooManyOfYours => ProblemKind::TooManyRequests,
            LogError::TooMany => ProblemKind::Busy,
            LogError::NotLeader => ProblemKind::NotLeader,
            LogError::NotAttached(_)
            | LogError::Detached
            | LogError::Agent(_)
            | LogError::TooSlow
            | LogError::Stalled => ProblemKind::Unavailable,
        };
        Self::new(kind, error.to_string()).retry_after_s(1)
    }
}

impl From<ExecError> for ApiError {
    fn from(error: ExecError) -> Self {
        let kind = match error {
            ExecError::NotRunning(_) => return Self::new(ProblemKind::NotRunning, error.to_string()),
            ExecError::TimedOut(_) => return Self::new(ProblemKind::TimedOut, error.to_string()),
            ExecError::TooManyOfYours => ProblemKind::TooManyRequests,
            ExecError::TooMany => ProblemKind::Busy,
            ExecError::NotLeader => ProblemKind::NotLeader,
            ExecError::NotAttached(_) | ExecError::Detached | ExecError::Agent(_) => ProblemKind::Unavailable,
        };
        Self::new(kind, error.to_string()).retry_after_s(1)
    }
}

impl From<EvaluateError> for ApiError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::NoPolicy(_) => Self::new(ProblemKind::NotFound, error.to_string()),
            EvaluateError::Unavailable(error) => error.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Self::new(ProblemKind::NotAuthenticated, format!("{error}: log in again"))
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::new(ProblemKind::TooManyRequests, error.to_string()).retry_after_s(1),
            HashError::Failed => Self::internal("hashing a password", &error),
        }
    }
}

/// What a caller sent, as an error may quote it: without control characters, and never longer than the error.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut head: String = clean.take(MOST + 1).collect();
    if head.chars().count() > MOST {
        head.pop();
        head.push('…');
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::state::DeploymentStatus;

    #[test]
    fn every_refusal_has_the_status_that_was_promised() {
        let insufficient = Rejection::Insufficient { action: "scale-up", needed: 5, found: 2 };
        for (rejection, status, kind, detail) in [
            (insufficient, 503, "insufficient-nodes", "Insufficient nodes for scale-up: need 5, found 2 with capacity"),
            (
                Rejection::WrongStatus { action: "scale", status: DeploymentStatus::Failed },
                400,
                "wrong-status",
                "Cannot scale a failed deployment",
            ),
            (
                Rejection::NotFound { kind: "deployment", id: "x".to_owned() },
                404,
                "not-found",
                "deployment x does not exist, or is not yours",
            ),
            (
                Rejection::Forbidden { action: "scaling", needed: "user" },
                403,
                "forbidden",
                "scaling needs the role user",
            ),
            (
                Rejection::field(FieldError::new("replicas", "101 is out of range", "1 to 100")),
                400,
                "invalid-request",
                "replicas: 101 is out of range; accepted: 1 to 100",
            ),
        ] {
            let error = ApiError::from(WriteError::Rejected(rejection));
            let problem = error.problem();
            assert_eq!((problem.status, problem.detail.as_str()), (status, detail));
            assert_eq!(problem.kind, format!("/problems/{kind}"));
        }
    }

    #[test]
    fn an_inside_failure_tells_the_caller_nothing_of_the_inside() {
        let error = ApiError::from(WriteError::Contradiction("UNIQUE constraint failed: users.username".to_owned()));
        assert_eq!(error.problem().status, 500);
        assert!(!error.problem().detail.contains("UNIQUE"));
    }

    #[test]
    fn a_quote_is_short_and_clean() {
        assert_eq!(shown("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!(shown(&"x".repeat(1_000_000)).chars().count(), 121);
    }
}
