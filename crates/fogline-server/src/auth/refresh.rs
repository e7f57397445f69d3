//! Refresh tokens: 256 random bits that get the next access token, once.
//!
//! The token names its session, so that it is found without a search; only the SHA-256 of the whole is kept. A fast
//! hash is enough, because nobody can guess 256 random bits. Rotation and theft are core's: `Command::RotateSession`.

use fogline_core::id::SessionId;
use sha2::{Digest, Sha256};

use super::entropy::random_bytes;

const PREFIX: &str = "fgr_";
const SECRET_BYTES: usize = 32;

/// A refresh token's secret part; with a session's id it makes the token.
#[derive(Clone)]
pub struct RefreshToken {
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self { secret: random_bytes() }
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// What its owner is given.
    #[must_use]
    pub fn reveal(&self, session: SessionId) -> String {
        format!("{PREFIX}{}_{}", session.as_uuid().simple(), hex(&self.secret))
    }

    /// Reads what somebody shows. Whether it is any good is not known yet.
    #[must_use]
    pub fn parse(text: &str) -> Option<(SessionId, Self)> {
        let (session, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        if session.len() != 32 || secret.len() != 2 * SECRET_BYTES || !secret.is_ascii() {
            return None;
        }
        let mut bytes = [0; SECRET_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(secret.as_bytes().chunks_exact(2)) {
            *byte = hex_digit(digits[0])? << 4 | hex_digit(digits[1])?;
        }
        Some((session.parse().ok()?, Self { secret: bytes }))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(hidden)")
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    #[test]
    fn a_token_finds_its_session_and_hash_again() {
        let session = IdSource::new(1).next(Timestamp::from_micros(1));
        let token = RefreshToken::generate();
        let (read_session, read) = RefreshToken::parse(&token.reveal(session)).expect("a token");
        assert_eq!((read_session, read.hash()), (session, token.hash()));
        assert_ne!(token.hash(), RefreshToken::generate().hash());
    }

    #[test]
    fn what_is_no_token_is_no_token() {
        let session = IdSource::new(1).next(Timestamp::from_micros(1));
        let good = RefreshToken::generate().reveal(session);
        for text in
            ["", "fgr_", "fgr__", &good[1..], &good[..good.len() - 1], &format!("{good}0"), &good.to_uppercase()]
        {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }
}
