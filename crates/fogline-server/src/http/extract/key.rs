//! The `Idempotency-Key` header: makes a retry safe.

use axum::http::request::Parts;
use fogline_core::command::IdempotencyKey;
use sha2::{Digest, Sha256};

use crate::http::problem::{ApiError, ApiResult};

const HEADER: &str = "idempotency-key";

/// The key of a request with this body, if the caller has given one.
///
/// # Errors
/// When there are several, or one of another form than 1 to 255 visible ASCII characters.
pub(super) fn idempotency_key(parts: &Parts, body: &[u8]) -> ApiResult<Option<IdempotencyKey>> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let (Some(key), None) = (key, values.next()) else {
        let accepted = "one header of 1 to 255 visible ASCII characters, such as a UUID";
        return Err(ApiError::field("Idempotency-Key", "is not a key", accepted));
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let mut digest = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", body] {
        digest.update(part);
    }
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint: digest.finalize().into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(path: &str, keys: &[&str]) -> Parts {
        let mut request = Request::builder().method("POST").uri(path);
        for key in keys {
            request = request.header(HEADER, *key);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_key_is_one_of_a_few_characters() {
        assert_eq!(idempotency_key(&parts("/", &[]), b"").expect("none"), None);
        let key = idempotency_key(&parts("/", &["k"]), b"").expect("a key").expect("there");
        assert_eq!(key.key, "k");
        for keys in [&[""][..], &["a", "b"], &[&"x".repeat(256)]] {
            assert!(idempotency_key(&parts("/", keys), b"").is_err(), "{keys:?}");
        }
    }

    #[test]
    fn another_body_or_path_is_another_request() {
        let of =
            |path, body: &[u8]| idempotency_key(&parts(path, &["k"]), body).expect("a key").expect("there").fingerprint;
        assert_eq!(of("/a?force=true", b"{}"), of("/a?force=true", b"{}"));
        assert_ne!(of("/a", b"{}"), of("/b", b"{}"));
        assert_ne!(of("/a", b"{}"), of("/a", b"{ }"));
        assert_ne!(of("/a", b"{}"), of("/a?force=true", b"{}"));
    }
}
