//! What a failed call means for the person at the terminal: the exit code and the next step.

use fogline_api::client::ClientError;
use fogline_api::http::{Problem, ProblemKind};

use crate::exit::{Exit, Failure};

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Address { .. } => {
                Self::new(Exit::Usage, error.to_string()).hint("an address looks like http://127.0.0.1:8000")
            }
            ClientError::Setup { .. } => Self::general(error.to_string()),
            ClientError::Unreachable { .. } => Self::new(Exit::Unavailable, error.to_string())
                .hint("is it running? `fogline dev` starts one here; --server or FOGLINE_SERVER name another"),
            ClientError::Interrupted { .. } => Self::new(Exit::Unavailable, error.to_string())
                .hint("look with `fogline status` or `fogline list` whether the change was made before trying again"),
            ClientError::Unexpected { .. } => Self::general(error.to_string())
                .hint("check the address: is that a Fogline server, and is there a proxy in between?"),
            ClientError::Problem(problem) => refused(problem),
        }
    }
}

fn refused(problem: &Problem) -> Failure {
    let message = if problem.errors.is_empty() { problem.detail.clone() } else { problem.title.clone() };
    let mut failure = Failure::new(exit_of(problem), message);
    failure.causes = problem.errors.iter().map(ToString::to_string).collect();
    failure.hint = hint_of(problem);
    failure
}

fn exit_of(problem: &Problem) -> Exit {
    use ProblemKind as Kind;
    let Some(kind) = problem.known_kind() else {
        // A newer server's kind: the status still says what sort of thing it is.
        return match problem.status {
            401 => Exit::Unauthenticated,
            404 => Exit::NotFound,
            400..=499 => Exit::Refused,
            502..=504 => Exit::Unavailable,
            _ => Exit::Failure,
        };
    };
    match kind {
        Kind::NotAuthenticated | Kind::LoginRefused | Kind::SessionEnded => Exit::Unauthenticated,
        Kind::NotFound => Exit::NotFound,
        Kind::InsufficientNodes => Exit::Insufficient,
        Kind::Busy
        | Kind::OutcomeUnknown
        | Kind::NotLeader
        | Kind::NoLeader
        | Kind::DatabaseUnavailable
        | Kind::Unavailable
        | Kind::TimedOut => Exit::Unavailable,
        Kind::Internal | Kind::StorageFull => Exit::Failure,
        Kind::InvalidRequest
        | Kind::NotJson
        | Kind::WrongStatus
        | Kind::Forbidden
        | Kind::QuotaExceeded
        | Kind::MethodNotAllowed
        | Kind::NameTaken
        | Kind::RouteTaken
        | Kind::StillInUse
        | Kind::NotRunning
        | Kind::EventsGone
        | Kind::LastAdministrator
        | Kind::ChangedMeanwhile
        | Kind::PreconditionFailed
        | Kind::IdempotencyKeyReused
        | Kind::TooLarge
        | Kind::UnsupportedMediaType
        | Kind::TooManyRequests => Exit::Refused,
    }
}

fn hint_of(problem: &Problem) -> Option<String> {
    use ProblemKind as Kind;
    let hint = match problem.known_kind()? {
        Kind::NotAuthenticated | Kind::SessionEnded => "run `fogline login`",
        Kind::LoginRefused => {
            "check name and password; the first start of a server creates `admin` with FOGLINE_ADMIN_PASSWORD, or prints a generated password once"
        }
        Kind::InsufficientNodes => {
            "`fogline explain NAME` says why each node was turned away, `fogline node list` what is free"
        }
        Kind::NameTaken => "`fogline apply -f FILE` updates a deployment that is there",
        Kind::RouteTaken => "`fogline route list` shows your routes; every host is one user's",
        Kind::NotFound => "`fogline list` shows what there is",
        Kind::StorageFull => "free some space on the server; it goes on by itself",
        Kind::Internal => "the server's log says more; look for the request's id",
        Kind::OutcomeUnknown => "look with `fogline status` before trying again",
        Kind::Busy | Kind::TooManyRequests => {
            return Some(match problem.retry_after_s {
                Some(seconds) => format!("try again in {seconds} s"),
                None => "try again in a moment".to_owned(),
            });
        }
        _ => return None,
    };
    Some(match (&problem.request_id, problem.known_kind()) {
        (Some(id), Some(Kind::Internal)) => format!("{hint} {id}"),
        _ => hint.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_decides_the_exit_code() {
        for (kind, exit) in [
            (ProblemKind::NotFound, Exit::NotFound),
            (ProblemKind::InsufficientNodes, Exit::Insufficient),
            (ProblemKind::SessionEnded, Exit::Unauthenticated),
            (ProblemKind::NameTaken, Exit::Refused),
            (ProblemKind::NotLeader, Exit::Unavailable),
        ] {
            let failure = Failure::from(ClientError::Problem(Box::new(Problem::new(kind, "because"))));
            assert_eq!((failure.exit, failure.message.as_str()), (exit, "because"));
        }
    }
}
