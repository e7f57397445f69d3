//! What a container image is exactly, whatever its tag points to tomorrow.
//!
//! Invariant: a digest is `sha256:` and 64 lower-case hexadecimal digits, and nothing else ever becomes one, so a value
//! of this type can go into a reference, a row or a message as it is. Tests: below.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

const PREFIX: &str = "sha256:";
const HEX_DIGITS: usize = 64;

/// The digest of an image's manifest, such as `sha256:9f86d081…`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "String")]
pub struct ImageDigest(Arc<str>);

/// Text that is no digest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{shown:?} is no digest of an image; accepted: sha256: and 64 digits of 0-9a-f")]
pub struct BadDigest {
    shown: String,
}

impl ImageDigest {
    /// The text, with `sha256:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest that a reference such as `web:v1@sha256:…` names itself.
    #[must_use]
    pub fn of_reference(reference: &str) -> Option<Self> {
        reference.split_once('@')?.1.parse().ok()
    }

    /// Enough of it to tell two apart in a sentence.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..PREFIX.len() + 12]
    }
}

impl FromStr for ImageDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix(PREFIX) {
            Some(hex) if hex.len() == HEX_DIGITS && hex.bytes().all(is_digit) => Ok(Self(text.into())),
            _ => Err(BadDigest { shown: text.chars().take(PREFIX.len() + HEX_DIGITS).collect() }),
        }
    }
}

impl TryFrom<Cow<'_, str>> for ImageDigest {
    type Error = BadDigest;

    fn try_from(text: Cow<'_, str>) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<ImageDigest> for String {
    fn from(digest: ImageDigest) -> Self {
        digest.0.as_ref().to_owned()
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialSchema for ImageDigest {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^sha256:[0-9a-f]{64}$")).into()
    }
}

impl ToSchema for ImageDigest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_digest_becomes_one() {
        let hex = "0123456789abcdef".repeat(4);
        let good = format!("sha256:{hex}");
        assert_eq!(good.parse::<ImageDigest>().expect("a digest").as_str(), good);
        let broken = [
            String::new(),
            hex.clone(),
            "sha256:".to_owned(),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha512:{hex}{hex}"),
            format!("sha256:{}\n", &hex[1..]),
            format!(" {good}"),
            format!("{good}@{good}"),
            format!("sha256:{}../x", &hex[5..]),
            format!("sha256:{}é", &hex[2..]),
        ];
        for text in broken {
            assert!(text.parse::<ImageDigest>().is_err(), "{text:?}");
            let json = serde_json::to_string(&text).expect("text");
            assert!(serde_json::from_str::<ImageDigest>(&json).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_reference_may_name_its_digest_itself() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(ImageDigest::of_reference(&format!("web:v1@{digest}")), digest.parse().ok());
        for none in ["web", "web:v1", "web@latest", "localhost:5000/web:v1"] {
            assert_eq!(ImageDigest::of_reference(none), None, "{none}");
        }
    }

    #[test]
    fn it_is_text_in_json() {
        let digest: ImageDigest = format!("sha256:{}", "b".repeat(64)).parse().expect("a digest");
        let json = serde_json::to_string(&digest).expect("text");
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<ImageDigest>(&json).expect("a digest"), digest);
        assert_eq!(digest.short(), "sha256:bbbbbbbbbbbb");
    }
}
