//! A certificate with its key, read from PEM. Tests: below.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use webpki::EndEntityCert;

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// The DNS names that it is for, as they are in it.
    pub names: Vec<String>,
    pub key: Arc<CertifiedKey>,
}

impl Pair {
    /// Reads a chain, its own certificate first, and the key of that.
    ///
    /// # Errors
    /// Which part is no use, and why.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the certificate is no PEM: {error}"))?;
        let first = chain.first().ok_or("there is no certificate in it: give PEM, the server's own one first")?;
        let certificate =
            EndEntityCert::try_from(first).map_err(|error| format!("the certificate is none: {error}"))?;
        let names = certificate.valid_dns_names().map(str::to_owned).collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key is no PEM key: {error}"))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| format!("the key cannot be used with the certificate: {error}"))?;
        Ok(Self { names, key: Arc::new(key) })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    /// PEM of a certificate for these names and of its key.
    pub fn pem(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn the_names_are_those_of_the_certificate() {
        let (chain, key) = pem(&["a.example", "*.b.example", "192.0.2.1"]);
        let pair = Pair::read(chain.as_bytes(), key.as_bytes()).expect("a pair");
        assert_eq!(pair.names, ["a.example", "*.b.example"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_part_that_is_wrong() {
        let (chain, key) = pem(&["a.example"]);
        let (_, other_key) = pem(&["a.example"]);
        let cut = &chain[..chain.len() / 2];
        let table = [
            ("", key.as_str(), "there is no certificate"),
            (cut, key.as_str(), "certificate"),
            (chain.as_str(), "", "the key is no PEM key"),
            (chain.as_str(), other_key.as_str(), "cannot be used with the certificate"),
        ];
        for (chain, key, words) in table {
            let error = Pair::read(chain.as_bytes(), key.as_bytes()).expect_err(words);
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("PRIVATE"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_content_of_a_file_makes_it_panic(at in 0_usize..2_000, byte: u8, noise: Vec<u8>, spoil_key: bool) {
            static GOOD: std::sync::LazyLock<(String, String)> = std::sync::LazyLock::new(|| pem(&["a.example"]));
            let (chain, key) = &*GOOD;
            let mut spoiled = if spoil_key { key.clone() } else { chain.clone() }.into_bytes();
            let at = at % spoiled.len();
            spoiled[at] = byte;
            let _ = if spoil_key { Pair::read(chain.as_bytes(), &spoiled) } else { Pair::read(&spoiled, key.as_bytes()) };
            prop_assert!(Pair::read(&noise, key.as_bytes()).is_err());
        }
    }
}
