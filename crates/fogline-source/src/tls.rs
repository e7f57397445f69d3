//! Certificates: whose are trusted. Those of the machine are read once, when they are first needed. Tests: below.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The largest file of certificates, in bytes: all authorities of a machine fit.
const MOST_BYTES: u64 = 4 * 1_024 * 1_024;

fn pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read the ca_file {shown}: {error}"))?.len();
    if size > MOST_BYTES {
        return Err(format!("the ca_file {shown} is larger than {} MiB", MOST_BYTES / 1_024 / 1_024));
    }
    let text = std::fs::read(path).map_err(|error| format!("cannot read the ca_file {shown}: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("the ca_file {shown} holds no certificate in PEM")),
    }
}

/// The certificates of a file, for the HTTP client.
pub(crate) fn for_http(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    pem(path)?
        .iter()
        .map(|one| reqwest::Certificate::from_der(one))
        .collect::<Result<_, _>>()
        .map_err(|_| format!("the ca_file {} holds a certificate that cannot be used", path.display()))
}

/// Whom a client of other connections trusts.
#[derive(Clone)]
pub(crate) enum Tls {
    /// It is called without TLS.
    Off,
    /// The certificates of the machine.
    Machine,
    /// Those of a file.
    Of(Arc<ClientConfig>),
}

/// A client that trusts the certificates of the machine. Reading them takes a while and a file or two, which a question
/// that is asked every few seconds must not.
pub(crate) fn machine() -> Result<Arc<ClientConfig>, String> {
    static MACHINE: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);
    let mut known = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        Some(config) => Ok(Arc::clone(config)),
        None => Ok(Arc::clone(known.insert(client(None)?))),
    }
}

/// A client that trusts the certificates of a file.
pub(crate) fn of_file(path: &Path) -> Result<Arc<ClientConfig>, String> {
    client(Some(path))
}

fn client(path: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let broken = |error: rustls::Error| format!("TLS cannot be set up: {error}");
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(broken)?;
    let config = match path {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for one in pem(path)? {
                roots
                    .add(one)
                    .map_err(|_| format!("the ca_file {} holds a certificate that cannot be used", path.display()))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => builder.with_platform_verifier().map_err(broken)?.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Encrypts a connection to a server whose certificate must be for `host`.
pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    host: &url::Host,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = match host {
        url::Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| format!("{name} is no name that a certificate can be for"))?,
        url::Host::Ipv4(address) => ServerName::IpAddress(std::net::IpAddr::V4(*address).into()),
        url::Host::Ipv6(address) => ServerName::IpAddress(std::net::IpAddr::V6(*address).into()),
    };
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| format!("cannot encrypt: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_of_the_machine_are_read_once() {
        let (first, second) = (machine().unwrap(), machine().unwrap());
        assert!(Arc::ptr_eq(&first, &second));
    }
}
