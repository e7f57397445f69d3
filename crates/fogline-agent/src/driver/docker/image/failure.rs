//! Why an image cannot be had, in words that say what to do.
//!
//! Engines tell failures of a pull as sentences, and mostly under the same status: what is known of those sentences is in
//! [`ImageFailure::of`] alone. What is not recognised is told as it is, and tried again. Tests: below, with sentences as
//! engines say them.

use serde::{Deserialize, Serialize};

/// Why an image is not on the node.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum ImageFailure {
    /// The spec's text is no name of an image.
    #[error("{detail}; write it as [registry/]name[:tag] or name@sha256:…")]
    BadReference {
        /// Which part.
        detail: String,
    },
    /// The registry has no such image.
    #[error("registry {registry} has no such image; check name and tag, and whether it was pushed ({detail})")]
    NoSuchImage {
        /// Which registry.
        registry: String,
        /// What the engine says.
        detail: String,
    },
    /// The registry wants other credentials, or any.
    #[error(
        "registry {registry} denies access {shown}, or has no such image: {with}; the file is the one that the \
         agent's setting `registry_auth` names ({detail})",
        shown = if *known { "with the credentials that this node has for it" } else { "without credentials" },
        with = if *known { "check the entry of that registry in the file with credentials" }
            else { "add that registry to `auths` in the file with credentials" },
    )]
    Denied {
        /// Which registry.
        registry: String,
        /// Whether credentials were sent.
        known: bool,
        /// What the engine says.
        detail: String,
    },
    /// Credentials are set up, and cannot be used.
    #[error("{detail}")]
    Credentials {
        /// Why not, and what would do. Never a part of them.
        detail: String,
    },
    /// Nobody answers there, or not as a registry should.
    #[error("registry {registry} cannot be reached from this node: {detail}")]
    Unreachable {
        /// Which registry.
        registry: String,
        /// What the engine says.
        detail: String,
    },
    /// The registry wants to be asked less often.
    #[error("registry {registry} has answered enough for now: {detail}; pull with credentials, or later")]
    TooOften {
        /// Which registry.
        registry: String,
        /// What the engine says.
        detail: String,
    },
    /// No room for it.
    #[error(
        "the disk of this node's container engine is full: free some space there, or lower `image_gc_disk_percent`"
    )]
    DiskFull,
    /// It is made for other machines.
    #[error("the image is not made for this node's platform: {detail}; build it for that, or place it elsewhere")]
    WrongPlatform {
        /// What the engine says.
        detail: String,
    },
    /// It has taken too long.
    #[error("the pull was given up: {detail}")]
    TimedOut {
        /// What took too long.
        detail: String,
    },
    /// What was pulled is not what was asked for.
    #[error("what the engine holds under this name is not {wanted}: {detail}")]
    NotThatImage {
        /// The digest.
        wanted: String,
        /// What it is.
        detail: String,
    },
    /// Anything else.
    #[error("{detail}")]
    Other {
        /// What the engine says.
        detail: String,
    },
}

/// Longest sentence of an engine that is passed on.
const LONGEST_DETAIL: usize = 600;

impl ImageFailure {
    /// What an engine's sentence about a pull from `registry` means. `known`: whether credentials were sent.
    #[must_use]
    pub fn of(said: &str, registry: &str, known: bool) -> Self {
        let text = said.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let registry = registry.to_owned();
        let detail: String = said.trim().chars().filter(|c| !c.is_control()).take(LONGEST_DETAIL).collect();
        if has(&["no space left on device", "disk quota exceeded"]) {
            Self::DiskFull
        } else if has(&["no matching manifest for", "does not match the specified platform", "on this platform"]) {
            Self::WrongPlatform { detail }
        } else if has(&["toomanyrequests", "too many requests", "rate limit"]) {
            Self::TooOften { registry, detail }
        } else if has(&["denied", "unauthorized", "no basic auth", "authentication required", "forbidden"]) {
            Self::Denied { registry, known, detail }
        } else if has(&["manifest unknown", "name unknown", "not found", "no such image", "no such manifest"])
            && !has(&["no such host"])
        {
            Self::NoSuchImage { registry, detail }
        } else if has(&[
            "no such host",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "timeout exceeded",
            "handshake timeout",
            "network is unreachable",
            "no route to host",
            "request canceled",
            "server misbehaving",
            "name resolution",
            "x509:",
            "http response to https client",
            "eof",
        ]) {
            Self::Unreachable { registry, detail }
        } else {
            Self::Other { detail }
        }
    }

    /// Whether it may work in a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            // A certificate that is not believed in is not believed in a second later.
            Self::Unreachable { detail, .. } => !detail.contains("x509:") && !detail.contains("HTTPS client"),
            Self::TooOften { .. } | Self::Other { .. } => true,
            Self::BadReference { .. }
            | Self::NoSuchImage { .. }
            | Self::Denied { .. }
            | Self::Credentials { .. }
            | Self::DiskFull
            | Self::WrongPlatform { .. }
            | Self::TimedOut { .. }
            | Self::NotThatImage { .. } => false,
        }
    }

    /// Whether an image that is on the node already may stand in: nobody has said that it is a wrong one.
    #[must_use]
    pub const fn leaves_what_is_there(&self) -> bool {
        matches!(
            self,
            Self::NoSuchImage { .. }
                | Self::Denied { .. }
                | Self::Unreachable { .. }
                | Self::TooOften { .. }
                | Self::DiskFull
                | Self::TimedOut { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(said: &str) -> String {
        let failure = ImageFailure::of(said, "localhost:5000", false);
        serde_json::to_value(failure).expect("serialises")["why"].as_str().expect("a word").to_owned()
    }

    #[test]
    fn sentences_of_engines_are_understood() {
        let table = [
            ("manifest for localhost:5000/web:v9 not found: manifest unknown: manifest unknown", "no_such_image"),
            (
                "failed to resolve reference \"docker.io/library/web:v9\": docker.io/library/web:v9: not found",
                "no_such_image",
            ),
            ("name unknown: repository name not known to registry", "no_such_image"),
            (
                "pull access denied for web, repository does not exist or may require 'docker login': denied: requested \
                 access to the resource is denied",
                "denied",
            ),
            ("Head \"http://localhost:5001/v2/web/manifests/v1\": no basic auth credentials", "denied"),
            ("unauthorized: authentication required", "denied"),
            ("Get \"http://localhost:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", "unreachable"),
            ("Get \"https://nowhere.example/v2/\": dial tcp: lookup nowhere.example: no such host", "unreachable"),
            ("dial tcp: lookup nowhere.example on 10.0.0.1:53: server misbehaving", "unreachable"),
            ("net/http: request canceled while waiting for connection (Client.Timeout exceeded)", "unreachable"),
            ("Get \"https://10.0.0.1:5000/v2/\": http: server gave HTTP response to HTTPS client", "unreachable"),
            ("Get \"https://r.example/v2/\": x509: certificate signed by unknown authority", "unreachable"),
            ("toomanyrequests: You have reached your pull rate limit", "too_often"),
            ("failed to register layer: write /usr/lib/x: no space left on device", "disk_full"),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", "wrong_platform"),
            ("image operating system \"windows\" cannot be used on this platform", "wrong_platform"),
            ("something nobody has seen", "other"),
        ];
        for (said, expected) in table {
            assert_eq!(slug(said), expected, "{said}");
        }
    }

    #[test]
    fn a_user_is_told_which_registry_and_what_to_do() {
        let denied =
            |known| ImageFailure::of("unauthorized: authentication required", "r.example:5000", known).to_string();
        assert!(
            denied(false).contains("r.example:5000") && denied(false).contains("add that registry"),
            "{}",
            denied(false)
        );
        assert!(denied(true).contains("check the entry") && denied(true).contains("registry_auth"), "{}", denied(true));
        let long = ImageFailure::of(&format!("{}\u{1b}[31m", "x".repeat(10_000)), "r", false).to_string();
        assert!(long.len() < 1_000 && !long.contains('\u{1b}'));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let may_pass = |said| ImageFailure::of(said, "r", false).may_pass();
        assert!(may_pass("connection refused") && may_pass("unexpected EOF") && may_pass("never heard"));
        assert!(!may_pass("x509: certificate has expired") && !may_pass("manifest unknown") && !may_pass("denied"));
    }
}
