//! Who calls: shown by an access token, looked up anew with every request, so that a session that was ended or a user
//! that was disabled is out at once.
//!
//! Invariant: whatever is wrong with a token, the answer is 401 and tells nothing about users or sessions.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use fogline_api::http::ProblemKind;
use fogline_core::command::{Actor, Command, IdempotencyKey, Rejection, Request};
use fogline_core::id::{SessionId, UserId};
use fogline_core::record::{Role, SessionRecord, UserRecord};

use crate::http::App;
use crate::http::app::Http;
use crate::http::guard::{Identified, changes};
use crate::http::limits::Asker;
use crate::http::problem::{ApiError, ApiResult};

/// A user who has shown a valid token of an open session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their row.
    pub user: UserRecord,
    /// The session of the token.
    pub session_id: SessionId,
    /// Where they call from.
    pub remote: Remote,
}

/// A caller who is an administrator.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// The address that a connection comes from. Never what a header says of it: anybody can write a header.
#[derive(Clone, Copy, Debug)]
pub struct Remote(pub Option<SocketAddr>);

impl Remote {
    /// The address without the port.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        self.0.map(|address| address.ip())
    }

    /// As the audit log has it.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.0.map(|address| address.to_string())
    }
}

impl Caller {
    /// As core knows them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User { id: self.user.id, name: self.user.username.clone(), role: self.user.role }
    }

    /// A command of theirs.
    #[must_use]
    pub fn request(&self, command: Command, key: Option<IdempotencyKey>) -> Request {
        Request { actor: self.actor(), command, idempotency: key, remote: self.remote.text() }
    }

    /// Whether they may see everybody's objects.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }

    /// Refuses viewers what core is not asked about and is none of theirs all the same: to try a policy has sources asked
    /// and keeps a core busy, to push a sample changes what is decided.
    ///
    /// # Errors
    /// 403.
    pub fn must_write(&self, action: &'static str) -> ApiResult<()> {
        if self.user.role == Role::Viewer {
            return Err(Rejection::Forbidden { action, needed: "user" }.into());
        }
        Ok(())
    }

    /// Whose objects they may see: their own, or everybody's.
    #[must_use]
    pub fn sees(&self) -> Option<UserId> {
        (!self.is_admin()).then_some(self.user.id)
    }

    /// Whether a request of theirs would be let in now as it was: for answers that take long.
    pub async fn is_still_logged_in(&self, app: &Http) -> bool {
        let found = open_session(app, self.session_id).await;
        found.is_ok_and(|found| found.is_some_and(|(_, user)| user.id == self.user.id && user.role == self.user.role))
    }
}

impl FromRequestParts<App> for Remote {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address)))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let Ok(remote) = Remote::from_request_parts(parts, app).await;
        let now = app.shared.clock.now();
        match authenticate(parts, app, remote).await {
            Ok(caller) => {
                app.limits.admit(Asker::User(caller.user.id), now)?;
                if changes(&parts.method) {
                    app.refusals.admit(caller.user.id, now)?;
                }
                if let Some(identified) = parts.extensions.get::<Identified>() {
                    identified.set(caller.user.id);
                }
                Ok(caller)
            }
            Err(error) => {
                // Guessing tokens is hopeless, and should not cost the database much either. Who could not be looked up
                // because the database is away has guessed nothing.
                let refused = error.problem().status == StatusCode::UNAUTHORIZED.as_u16();
                if let Some(ip) = remote.ip().filter(|_| refused) {
                    app.limits.admit(Asker::Stranger(ip), now)?;
                }
                Err(error)
            }
        }
    }
}

/// For what is served to strangers too: who shows a token must show a valid one.
impl OptionalFromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Option<Self>> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<App>>::from_request_parts(parts, app).await.map(Some)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = <Caller as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        if caller.is_admin() {
            return Ok(Self(caller));
        }
        tracing::warn!(user = %caller.user.username, path = %parts.uri.path(), "refused: needs the role admin");
        Err(ApiError::new(ProblemKind::Forbidden, "this needs the role admin"))
    }
}

async fn authenticate(parts: &Parts, app: &App, remote: Remote) -> ApiResult<Caller> {
    let refused = |detail: &str| ApiError::new(ProblemKind::NotAuthenticated, detail);
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("send Authorization: Bearer with the access token of a login"));
    };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = token.ok_or_else(|| refused("the Authorization header is not Bearer and an access token"))?;
    let now = app.shared.clock.now();
    let claims = app.tokens.check(token, now)?;
    let over = || refused("the session has ended: log in again");
    let (session, user) = open_session(app, claims.sid).await?.ok_or_else(over)?;
    if session.user_id != claims.sub || user.id != claims.sub {
        return Err(over());
    }
    Ok(Caller { user, session_id: session.id, remote })
}

/// The session and its user, where neither is over.
async fn open_session(app: &Http, id: SessionId) -> ApiResult<Option<(SessionRecord, UserRecord)>> {
    let now = app.shared.clock.now();
    let found = app.shared.store.session(id).await?;
    Ok(found.filter(|(session, user)| session.revoked_at.is_none() && session.expires_at > now && !user.disabled))
}
