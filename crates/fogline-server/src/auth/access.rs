//! Access tokens: JWTs that are good for minutes and name a session.
//!
//! The algorithm is pinned to HS256 whatever a token's header says, and nothing else of the header is looked at: no
//! `kid`, no `jku`. Times are compared with the server's steady clock, never with the library's. A valid token is not
//! enough: the caller must also find its session open. Tests: below, and the table over all routes in `tests/it/http`.

use std::time::Duration;

use fogline_core::id::{SessionId, UserId};
use fogline_core::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "fogline";
const AUDIENCE: &str = "fogline-api";

/// A token that we made is a quarter of this.
const MAX_TOKEN_BYTES: usize = 2_048;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The session that it was made from.
    pub sid: SessionId,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// From when on it is not good any more, in seconds since 1970.
    pub exp: i64,
}

/// Why a token is refused. Said to the caller as it is, so it tells nothing that the caller has not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum TokenError {
    #[error("the access token is not valid")]
    Invalid,
    #[error("the access token has expired")]
    Expired,
}

/// Makes and checks access tokens.
pub struct AccessTokens {
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
    ttl: Duration,
}

impl AccessTokens {
    /// With the key that signs, and how long a token is good for.
    #[must_use]
    pub fn new(key: &[u8], ttl: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Checked below, by the server's own clock.
        validation.validate_exp = false;
        Self { sign: EncodingKey::from_secret(key), check: DecodingKey::from_secret(key), validation, ttl }
    }

    /// Seconds that a token is good for.
    #[must_use]
    pub const fn ttl_s(&self) -> u64 {
        self.ttl.as_secs()
    }

    /// A token of this session.
    ///
    /// # Errors
    /// Never for claims such as these; the library's signature says so.
    pub fn issue(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<String, TokenError> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: session,
            iat: seconds(now),
            exp: seconds(now.plus(self.ttl)),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(|_| TokenError::Invalid)
    }

    /// What a token says, if it is one of ours and its time is not over.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let claims: Claims =
            jsonwebtoken::decode(token, &self.check, &self.validation).map_err(|_| TokenError::Invalid)?.claims;
        if claims.exp <= seconds(now) { Err(TokenError::Expired) } else { Ok(claims) }
    }
}

const fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;

    const NOW: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);
    const TTL: Duration = Duration::from_secs(900);
    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn ids() -> (UserId, SessionId) {
        let mut ids = IdSource::new(1);
        (ids.next(NOW), ids.next(NOW))
    }

    fn claims() -> Claims {
        let (sub, sid) = ids();
        let (iat, exp) = (seconds(NOW), seconds(NOW) + 60);
        Claims { iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), sub, sid, iat, exp }
    }

    fn signed(algorithm: Algorithm, claims: &impl Serialize, key: &[u8]) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).expect("signs")
    }

    #[test]
    fn what_is_issued_is_accepted_until_it_expires() {
        let tokens = AccessTokens::new(KEY, TTL);
        let (user, session) = ids();
        let token = tokens.issue(user, session, NOW).expect("signs");
        let read = tokens.check(&token, NOW).expect("valid");
        assert_eq!((read.sub, read.sid), (user, session));
        assert!(tokens.check(&token, NOW.plus(Duration::from_secs(899))).is_ok());
        assert_eq!(tokens.check(&token, NOW.plus(TTL)), Err(TokenError::Expired));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let tokens = AccessTokens::new(KEY, TTL);
        let good = signed(Algorithm::HS256, &claims(), KEY);
        assert!(tokens.check(&good, NOW).is_ok());
        let mut parts: Vec<&str> = good.split('.').collect();
        // {"alg":"none","typ":"JWT"}
        parts[0] = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        let without_signature = format!("{}.{}.", parts[0], parts[1]);
        let mut no_expiry = serde_json::to_value(claims()).expect("JSON");
        no_expiry.as_object_mut().expect("an object").remove("exp");
        for (what, token) in [
            ("empty", String::new()),
            ("garbage", "a.b.c".to_owned()),
            ("alg none, signed", parts.join(".")),
            ("alg none, unsigned", without_signature),
            ("another algorithm, same key", signed(Algorithm::HS512, &claims(), KEY)),
            ("another key", signed(Algorithm::HS256, &claims(), b"another key of thirty-two bytes!!")),
            ("another audience", signed(Algorithm::HS256, &Claims { aud: "other".to_owned(), ..claims() }, KEY)),
            ("another issuer", signed(Algorithm::HS256, &Claims { iss: "other".to_owned(), ..claims() }, KEY)),
            ("no expiry", signed(Algorithm::HS256, &no_expiry, KEY)),
            ("huge", format!("{good}{}", "A".repeat(1_000_000))),
        ] {
            assert_eq!(tokens.check(&token, NOW), Err(TokenError::Invalid), "{what}");
        }
    }
}
