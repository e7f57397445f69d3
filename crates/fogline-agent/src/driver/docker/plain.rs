//! Plain questions to the engine, answered in shapes of our own.
//!
//! The library reads whole answers, and loses one for a single word that it does not know; Podman has more words than
//! Docker. Must never ask for anything but an answer: what changes something goes through the library. Tests: below, and
//! `tests/it/driver`.

use std::fmt::Write as _;
use std::path::Path;

use bollard::ClientVersion;
use bollard::errors::Error as ApiError;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::UnixConnector;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why an engine says no.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// `GET` of this path, with its query, from the engine at this socket, in that version of its API.
pub(super) async fn get<T: DeserializeOwned>(socket: &Path, version: ClientVersion, path: &str) -> Result<T, ApiError> {
    get_unversioned(socket, &format!("/v{version}{path}")).await
}

/// The same, of what does not depend on the version.
pub(super) async fn get_unversioned<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ApiError> {
    // As the library does it: a connection for each question, so that none is open in between.
    let client: Client<UnixConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(UnixConnector);
    let answer = client.get(hyperlocal::Uri::new(socket, path).into()).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        let message = serde_json::from_slice(&body)
            .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |refusal: Refusal| refusal.message);
        return Err(ApiError::DockerResponseServerError { status_code: status.as_u16(), message });
    }
    Ok(serde_json::from_slice(&body)?)
}

/// A value as it may stand in a query.
pub(super) fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte.into()),
            _ => write!(text, "%{byte:02X}").expect("a string takes all"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_a_query() {
        assert_eq!(escaped(r#"{"label":["a=b&c d"]}"#), "%7B%22label%22%3A%5B%22a%3Db%26c%20d%22%5D%7D");
        assert_eq!(escaped("fogline-0190b1f0_2.x"), "fogline-0190b1f0_2.x");
    }
}
