//! Certificates: whose are trusted.

use std::path::Path;
use std::sync::Arc;

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

/// A client for other connections, trusting the file's certificates, or those of the machine.
pub(crate) fn client(path: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
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
