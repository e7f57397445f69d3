//! What is told of one request. Invariant: a line is one line whatever a client sent, because serde escapes it, and of a
//! bounded length. Tests: below.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::id::ReplicaId;
use fogline_core::time::Timestamp;
use serde::{Serialize, Serializer};

use crate::clock::micros;

/// The longest text of a client's that is logged, in bytes; what is longer is cut.
const LONGEST_TEXT: usize = 1_024;

/// One request that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it came in.
    pub time: Timestamp,
    /// The real client, behind trusted proxies too.
    pub client: IpAddr,
    /// As sent.
    #[serde(serialize_with = "cut")]
    pub method: String,
    /// As normalised for the choice of a route; empty where it was refused before.
    #[serde(serialize_with = "cut")]
    pub host: String,
    /// Without the query, which may hold secrets.
    #[serde(serialize_with = "cut")]
    pub path: String,
    /// Such as `HTTP/1.1`, `HTTP/2`, `TCP`.
    pub protocol: &'static str,
    /// What was answered; 0 where nothing was, because the client had gone or there is none to give (TCP).
    pub status: u16,
    /// Of bodies, from the client.
    pub bytes_in: u64,
    /// Of bodies, to the client.
    pub bytes_out: u64,
    /// From the first byte of the request to the last of the answer.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// How much of it the request waited for a replica.
    #[serde(rename = "held_ms", serialize_with = "milliseconds")]
    pub held: Duration,
    /// Whose it was; nothing where no route fits.
    pub deployment: Option<Arc<str>>,
    /// Who answered; nothing where the proxy did.
    pub replica: Option<ReplicaId>,
    /// How often it was sent again to another replica.
    pub retries: u32,
    /// As sent.
    #[serde(serialize_with = "cut_option")]
    pub user_agent: Option<String>,
    /// Whether it came over TLS.
    pub tls: bool,
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole microseconds: more digits say nothing.
    serializer.serialize_f64(Duration::from_micros(micros(*duration)).as_secs_f64() * 1e3)
}

/// As much of a client's text as is logged.
pub(crate) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

fn cut<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(shortened(text))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn cut_option<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(shortened).serialize(serializer)
}

#[cfg(test)]
pub(super) fn sample(path: &str) -> Entry {
    Entry {
        time: Timestamp::EPOCH,
        client: IpAddr::from([192, 0, 2, 1]),
        method: "GET".to_owned(),
        host: "shop.example.com".to_owned(),
        path: path.to_owned(),
        protocol: "HTTP/1.1",
        status: 200,
        bytes_in: 0,
        bytes_out: 5,
        duration: Duration::from_micros(1_500),
        held: Duration::ZERO,
        deployment: Some("shop".into()),
        replica: None,
        retries: 0,
        user_agent: None,
        tls: true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_says_everything_by_fixed_names() {
        let line = serde_json::to_value(sample("/cart")).expect("JSON");
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:00.000000Z", "client": "192.0.2.1", "method": "GET", "host": "shop.example.com",
            "path": "/cart", "protocol": "HTTP/1.1", "status": 200, "bytes_in": 0, "bytes_out": 5, "duration_ms": 1.5,
            "held_ms": 0.0, "deployment": "shop", "replica": null, "retries": 0, "user_agent": null, "tls": true
        });
        assert_eq!(line, expected);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_it_is_one_bounded_line_that_reads_back(path in "(?s).{0,2000}", agent in "(?s).{0,3000}") {
            let entry = Entry { user_agent: Some(agent.clone()), ..sample(&path) };
            let line = serde_json::to_string(&entry).expect("JSON");
            prop_assert!(!line.contains('\n') && !line.contains('\r'));
            prop_assert!(line.len() < 5 * 6 * LONGEST_TEXT + 1_000);
            let back: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(back["path"].as_str().expect("a text"), shortened(&path));
            prop_assert!(agent.starts_with(back["user_agent"].as_str().expect("a text")));
        }
    }
}
