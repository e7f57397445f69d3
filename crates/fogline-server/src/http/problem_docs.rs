//! The problems in the API's description, so that no endpoint lists them by hand. The variants are never made.
#![expect(dead_code, reason = "read by the derive only")]

use fogline_api::http::Problem;
use utoipa::IntoResponses;

/// What a read may be refused with.
#[derive(IntoResponses)]
pub enum ReadProblems {
    /// A parameter cannot be accepted.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No valid access token.
    #[response(status = 401, content_type = "application/problem+json")]
    NotAuthenticated(Problem),
    /// Not there, or somebody else's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// Too many requests.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(Problem),
    /// Something inside went wrong.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The server cannot answer now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a login may be refused with.
#[derive(IntoResponses)]
pub enum LoginProblems {
    /// A field cannot be accepted.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// Refused.
    #[response(status = 401, content_type = "application/problem+json")]
    Refused(Problem),
    /// Too many refused logins.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(Problem),
}

/// What a change may be refused with. Nothing was changed then, except where the problem is `outcome-unknown`.
#[derive(IntoResponses)]
pub enum ChangeProblems {
    /// A field cannot be accepted, the body is no JSON, or the object's status does not allow it.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No valid access token.
    #[response(status = 401, content_type = "application/problem+json")]
    NotAuthenticated(Problem),
    /// The caller's role or quota does not allow it.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Not there, or somebody else's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// A name or route is taken, something is still in use, or the idempotency key was used for another request.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// It is not the version any more that `If-Match` names, where the endpoint takes one.
    #[response(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Too many requests.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(Problem),
    /// Something inside went wrong.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// Not enough room, or the server cannot change anything now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a command in a replica may be refused with. It was not run then, except where the problem is `timed-out` or the
/// node went away in between.
#[derive(IntoResponses)]
pub enum CommandProblems {
    /// A field cannot be accepted, or the body is no JSON.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No valid access token.
    #[response(status = 401, content_type = "application/problem+json")]
    NotAuthenticated(Problem),
    /// The caller's role does not allow it.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Not there, or somebody else's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The replica does not run.
    #[response(status = 409, content_type = "application/problem+json")]
    NotRunning(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Too many commands of the caller's are running.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(Problem),
    /// Something inside went wrong.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The replica's node cannot be reached, or could not run it.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
    /// It took too long, and was killed where the agent can see its processes.
    #[response(status = 504, content_type = "application/problem+json")]
    TimedOut(Problem),
}
