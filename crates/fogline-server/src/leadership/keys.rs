//! That all servers of a cluster have the same keys: what one signs the others must believe, and an agent goes from one to
//! the other with one token.
//!
//! Invariant: the database is told a fingerprint, from which no key can be found again.

use fogline_store::{KeysPinned, Store, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::auth::hex;

/// Whether this server's keys are the cluster's, perhaps since just now.
pub(crate) async fn pin(store: &Store, jwt_key: &SecretString, agent_token: &SecretString) -> Result<bool, StoreError> {
    let pinned = store.pin_keys(&fingerprint(jwt_key.expose_secret(), agent_token.expose_secret())).await?;
    Ok(pinned == KeysPinned::Same)
}

/// What the database remembers the keys by, as their files have them. Both are 32 random bytes, so nobody can try them
/// all.
#[must_use]
pub fn fingerprint(jwt_key: &str, agent_token: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(jwt_key.as_bytes()).expect("HMAC takes keys of any length");
    let mac = mac.chain_update(b"fogline: fingerprint of the keys of a cluster\n").chain_update(agent_token.as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_counts() {
        let one = fingerprint("a", "b");
        assert_eq!(one, fingerprint("a", "b"));
        assert_ne!(one, fingerprint("a", "c"));
        assert_ne!(one, fingerprint("c", "b"));
        assert_eq!(one.len(), 64);
    }
}
