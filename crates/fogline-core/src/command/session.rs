//! Logins: opened with a refresh token, kept alive by swapping it for the next, ended.
//!
//! Invariant: one session has one valid refresh token. Showing any other ends the session, because then two parties
//! hold tokens of it and one of them has stolen it, however often it was swapped since (RFC 9700, section 4.14.2).

use super::{Actor, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::{SessionId, UserId};
use crate::record::SessionRecord;
use crate::time::Timestamp;

/// Logins that one user may have open; the oldest ends when one more is opened.
pub const MAX_SESSIONS_PER_USER: usize = 50;

impl Cluster {
    pub(super) fn open_session(
        &mut self,
        actor: &Actor,
        user_id: UserId,
        refresh_hash: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("opening sessions")?;
        if self.known_user(user_id)?.disabled {
            return Err(Rejection::SessionEnded);
        }
        let mut open: Vec<SessionId> = self.sessions_of(user_id).collect();
        open.sort_unstable();
        let too_many = (open.len() + 1).saturating_sub(MAX_SESSIONS_PER_USER);
        for id in open.into_iter().take(too_many) {
            self.end_session(id, now, changes);
        }
        let session_id = self.new_id(now);
        let record =
            SessionRecord { id: session_id, user_id, refresh_hash, created_at: now, expires_at, revoked_at: None };
        self.put_session(changes, record);
        Ok(Outcome::SessionOpened { session_id })
    }

    /// A token that is not the valid one ends the session: that is a change, so it is an outcome
    /// ([`Outcome::SessionRevoked`]) and not a rejection. The caller is refused all the same.
    pub(super) fn rotate_session(
        &mut self,
        session_id: SessionId,
        presented: [u8; 32],
        next: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let mut session = self.session(session_id).ok_or(Rejection::SessionEnded)?.clone();
        let disabled = self.user(session.user_id).is_none_or(|user| user.disabled);
        if disabled || session.expires_at <= now {
            return Err(Rejection::SessionEnded);
        }
        if session.refresh_hash != presented {
            self.end_session(session_id, now, changes);
            return Ok(Outcome::SessionRevoked { session_id });
        }
        session.refresh_hash = next;
        session.expires_at = expires_at;
        let user_id = session.user_id;
        self.put_session(changes, session);
        Ok(Outcome::SessionRotated { session_id, user_id })
    }

    pub(super) fn revoke_session(
        &mut self,
        actor: &Actor,
        session_id: SessionId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let owner = self.session(session_id).map(|session| session.user_id);
        if owner.is_none() || (!actor.is_admin() && actor.user_id() != owner) {
            return Err(Rejection::NotFound { kind: "session", id: session_id.to_string() });
        }
        self.end_session(session_id, now, changes);
        Ok(Outcome::SessionRevoked { session_id })
    }

    pub(super) fn end_sessions_of(&mut self, user_id: UserId, now: Timestamp, changes: &mut Changes) {
        let mut open: Vec<SessionId> = self.sessions_of(user_id).collect();
        open.sort_unstable();
        for id in open {
            self.end_session(id, now, changes);
        }
    }

    fn end_session(&mut self, id: SessionId, now: Timestamp, changes: &mut Changes) {
        if let Some(session) = self.session(id).cloned() {
            self.put_session(changes, SessionRecord { revoked_at: Some(now), ..session });
        }
    }
}
