//! The `Idempotency-Key` header: makes a retry safe.

use axum::http::request::Parts;
use fogline_core::command::IdempotencyKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::http::problem::{ApiError, ApiResult};

const HEADER: &str = "idempotency-key";

/// Tells requests apart by what they say. Their fingerprints are stored, and a body may hold a password: without the key,
/// which is not in the database, nobody can try passwords on them. With a new key, a request that was answered before counts
/// as another one, so its repetition is refused.
#[derive(Clone)]
pub struct Fingerprints(Hmac<Sha256>);

impl Fingerprints {
    /// With the server's secret. What is derived from it is good for nothing else.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let derived = keyed(secret).chain_update(b"fogline: fingerprints of requests").finalize().into_bytes();
        Self(keyed(&derived))
    }

    fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The key of a request with this body, if the caller has given one.
///
/// # Errors
/// When there are several, or one of another form than 1 to 255 visible ASCII characters.
pub(super) fn idempotency_key(
    fingerprints: &Fingerprints,
    parts: &Parts,
    body: &[u8],
) -> ApiResult<Option<IdempotencyKey>> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let (Some(key), None) = (key, values.next()) else {
        let accepted = "one header of 1 to 255 visible ASCII characters, such as a UUID";
        return Err(ApiError::field("Idempotency-Key", "is not a key", accepted));
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let fingerprint = fingerprints.of(&[parts.method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", body]);
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn fingerprints() -> Fingerprints {
        Fingerprints::new(b"a secret of the server's")
    }

    fn parts(path: &str, keys: &[&str]) -> Parts {
        let mut request = Request::builder().method("POST").uri(path);
        for key in keys {
            request = request.header(HEADER, *key);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_key_is_one_of_a_few_characters() {
        assert_eq!(idempotency_key(&fingerprints(), &parts("/", &[]), b"").expect("none"), None);
        let key = idempotency_key(&fingerprints(), &parts("/", &["k"]), b"").expect("a key").expect("there");
        assert_eq!(key.key, "k");
        for keys in [&[""][..], &["a", "b"], &[&"x".repeat(256)]] {
            assert!(idempotency_key(&fingerprints(), &parts("/", keys), b"").is_err(), "{keys:?}");
        }
    }

    #[test]
    fn another_body_or_path_is_another_request() {
        let of = |path, body: &[u8]| {
            idempotency_key(&fingerprints(), &parts(path, &["k"]), body).expect("a key").expect("there").fingerprint
        };
        assert_eq!(of("/a?force=true", b"{}"), of("/a?force=true", b"{}"));
        assert_ne!(of("/a", b"{}"), of("/b", b"{}"));
        assert_ne!(of("/a", b"{}"), of("/a", b"{ }"));
        assert_ne!(of("/a", b"{}"), of("/a?force=true", b"{}"));
    }

    #[test]
    fn without_the_secret_a_fingerprint_tells_nothing_and_with_it_always_the_same() {
        let of = |secret: &[u8]| {
            let fingerprints = Fingerprints::new(secret);
            let key = idempotency_key(&fingerprints, &parts("/a", &["k"]), b"{}").expect("a key");
            key.expect("there").fingerprint
        };
        assert_eq!(of(b"one"), of(b"one"));
        assert_ne!(of(b"one"), of(b"other"));
    }

    #[test]
    fn it_is_hmac_sha_256() {
        // RFC 4231, test case 2.
        let code = keyed(b"Jefe").chain_update(b"what do ya want for nothing?").finalize().into_bytes();
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
