//! Errors as RFC 9457 problem details, and the closed list of their kinds.
//!
//! Invariant: a kind's `type`, status and title never change once released; `detail` may.

use fogline_core::spec::FieldError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of every error's body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error's body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable relative URI that names the kind of error, such as `/problems/insufficient-nodes`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/insufficient-nodes")]
    pub kind: String,
    /// The kind in words. The same for every error of its kind.
    pub title: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What went wrong this time, and what to do about it.
    pub detail: String,
    /// The fields at fault, where it is about fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which a retry makes sense, as in the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The request's id, as in the `X-Request-Id` header and in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.uri().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            request_id: None,
        }
    }

    /// The kind, where this version knows it.
    #[must_use]
    pub fn known_kind(&self) -> Option<ProblemKind> {
        ProblemKind::ALL.iter().copied().find(|kind| kind.uri() == self.kind)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal, $status:literal, $title:literal;)+) => {
        /// Every kind of error there is.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ProblemKind { $($(#[$doc])* $variant,)+ }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable `type` of the problem.
            #[must_use]
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$variant => concat!("/problems/", $slug),)+ }
            }

            /// The HTTP status it comes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The kind in words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

kinds! {
    /// A body, query or header that cannot be accepted; `errors` names the fields.
    InvalidRequest = "invalid-request", 400, "The request cannot be accepted";
    /// The body is no JSON, or is nested too deeply.
    NotJson = "not-json", 400, "The body is not JSON";
    /// The object is in a state that does not allow this.
    WrongStatus = "wrong-status", 400, "The deployment's status does not allow this";
    /// No token, or one that is not valid (any more).
    NotAuthenticated = "not-authenticated", 401, "Not logged in";
    /// User name or password is wrong, or the user is disabled.
    LoginRefused = "login-refused", 401, "The login was refused";
    /// The session has ended: it expired, was revoked, or an old refresh token was shown.
    SessionEnded = "session-ended", 401, "The session has ended";
    /// The caller's role does not allow this.
    Forbidden = "forbidden", 403, "The caller's role does not allow this";
    /// The caller's tier does not allow so much.
    QuotaExceeded = "quota-exceeded", 403, "The tier's quota would be exceeded";
    /// Nothing there, or somebody else's.
    NotFound = "not-found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, "The path does not know this method";
    /// Another object has the name.
    NameTaken = "name-taken", 409, "The name is taken";
    /// Another deployment has the route, or another user the host.
    RouteTaken = "route-taken", 409, "The route is taken";
    /// Replicas still depend on it.
    StillInUse = "still-in-use", 409, "It is still in use";
    /// The replica does not run.
    NotRunning = "not-running", 409, "The replica does not run";
    /// The last administrator can be neither removed nor disabled.
    LastAdministrator = "last-administrator", 409, "The last administrator must stay";
    /// Somebody else has changed it since it was read.
    ChangedMeanwhile = "changed-meanwhile", 409, "It was changed meanwhile";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", 409, "The idempotency key was used for another request";
    /// Changes from there on are not kept any more.
    EventsGone = "events-gone", 410, "The events are not kept any more";
    /// It is not the version that `If-Match` names any more.
    PreconditionFailed = "precondition-failed", 412, "It is another version by now";
    /// The body is too large.
    TooLarge = "too-large", 413, "The body is too large";
    /// A call that is authenticated by a cookie must send JSON as such.
    UnsupportedMediaType = "unsupported-media-type", 415, "The body's media type is not accepted";
    /// Too many logins or requests.
    TooManyRequests = "too-many-requests", 429, "Too many requests";
    /// A defect, or something that the server cannot work without.
    Internal = "internal", 500, "Something inside went wrong";
    /// Not enough room for a scale-up.
    InsufficientNodes = "insufficient-nodes", 503, "Not enough nodes with capacity";
    /// The writer's queue is full.
    Busy = "busy", 503, "The server is busy";
    /// The database has no room.
    StorageFull = "storage-full", 503, "The server's storage is full";
    /// Whether the change was made is not known.
    OutcomeUnknown = "outcome-unknown", 503, "Whether the change was made is not known";
    /// Another server leads.
    NotLeader = "not-leader", 503, "This server does not lead";
    /// No server leads now, or the one that does cannot be reached.
    NoLeader = "no-leader", 503, "No leader can be reached";
    /// The database cannot be reached.
    DatabaseUnavailable = "database-unavailable", 503, "The database cannot be reached";
    /// The server is stopping or not ready yet.
    Unavailable = "unavailable", 503, "The server is not available";
    /// The body took too long to arrive, or the answer too long to be made.
    TimedOut = "timed-out", 504, "The request took too long";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_uri_of_its_own() {
        let mut uris: Vec<_> = ProblemKind::ALL.iter().map(|kind| kind.uri()).collect();
        uris.sort_unstable();
        uris.dedup();
        assert_eq!(uris.len(), ProblemKind::ALL.len());
    }

    #[test]
    fn a_problem_finds_its_kind_again() {
        for &kind in ProblemKind::ALL {
            let json = serde_json::to_string(&Problem::new(kind, "because")).expect("serialises");
            let read: Problem = serde_json::from_str(&json).expect("parses");
            assert_eq!(read.known_kind(), Some(kind));
        }
    }
}
