//! How one server of a cluster shows another on whose behalf it asks.
//!
//! A request that is passed on comes from the address of the server that passes it on; who is slowed down, and what the
//! audit log says, must be its client's. Anybody can write a header, so it is signed with a key that follows from the one
//! that all servers of a cluster share. Invariant: what is not signed for this very request, lately, tells nothing.
//! Tests: below.

use std::net::SocketAddr;
use std::time::Duration;

use fogline_core::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::hex;

/// How far the clocks of two servers may be apart.
const LATELY: Duration = Duration::from_secs(5 * 60);

/// Signs and checks.
#[derive(Clone)]
pub struct Peers(Hmac<Sha256>);

impl Peers {
    /// With the cluster's secret. What is derived from it is good for nothing else.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let derived = keyed(secret).chain_update(b"fogline: requests that are passed on").finalize().into_bytes();
        Self(keyed(&derived))
    }

    /// Says that a request of `client` is passed on now.
    #[must_use]
    pub fn vouch(&self, client: Option<SocketAddr>, method: &str, path: &str, now: Timestamp) -> String {
        let client = client.map(|client| client.to_string()).unwrap_or_default();
        let at = now.as_micros().to_string();
        let code = hex(&self.mac(&client, &at, method, path).finalize().into_bytes());
        format!("{client};{at};{code}")
    }

    /// Whose request it is, where another server of the cluster says so. Without a client where that one knew none.
    #[must_use]
    pub fn client(&self, vouched: &str, method: &str, path: &str, now: Timestamp) -> Option<Option<SocketAddr>> {
        let mut parts = vouched.split(';');
        let (client, at, code) = (parts.next()?, parts.next()?, parts.next()?);
        let code: Vec<u8> = (0..code.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(code.get(i..i + 2)?, 16).ok())
            .collect::<Option<_>>()?;
        self.mac(client, at, method, path).verify_slice(&code).ok()?;
        let at = Timestamp::from_micros(at.parse().ok()?);
        if at.since(now).max(now.since(at)) > LATELY {
            return None;
        }
        if client.is_empty() { Some(None) } else { client.parse().ok().map(Some) }
    }

    fn mac(&self, client: &str, at: &str, method: &str, path: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [client, at, method, path] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        mac
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);

    #[test]
    fn who_has_the_clusters_secret_is_believed_for_this_request_for_a_while() {
        let peers = Peers::new(b"ours");
        let client: SocketAddr = "192.0.2.7:4711".parse().expect("an address");
        let vouched = peers.vouch(Some(client), "POST", "/a?b", NOW);
        let later = NOW.plus(Duration::from_secs(299));
        assert_eq!(peers.client(&vouched, "POST", "/a?b", later), Some(Some(client)));
        assert_eq!(peers.client(&peers.vouch(None, "GET", "/", NOW), "GET", "/", NOW), Some(None));

        assert_eq!(Peers::new(b"theirs").client(&vouched, "POST", "/a?b", NOW), None);
        assert_eq!(peers.client(&vouched, "POST", "/a", NOW), None);
        assert_eq!(peers.client(&vouched, "GET", "/a?b", NOW), None);
        assert_eq!(peers.client(&vouched, "POST", "/a?b", NOW.plus(Duration::from_secs(301))), None);
        assert_eq!(peers.client(&vouched.replace("192.0.2.7", "192.0.2.8"), "POST", "/a?b", NOW), None);
        for nonsense in ["", ";;", "a;b;c", "192.0.2.7:4711", "é;é;é", ";;0g"] {
            assert_eq!(peers.client(nonsense, "POST", "/a?b", NOW), None, "{nonsense}");
        }
    }
}
