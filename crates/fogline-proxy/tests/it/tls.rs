//! TLS as clients see it: which certificate is shown, and that a change of certificates disturbs nobody.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::replica::Replica;
use crate::rig::{DEADLINE, Rig, service};

/// Believes every certificate: which one was shown is what is looked at.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn connect(address: SocketAddr, name: &str, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await.expect("connected");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// The certificate that is shown to who asks for this name.
async fn shown(address: SocketAddr, name: &str) -> CertificateDer<'static> {
    let stream = connect(address, name, &[]).await;
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
}

async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    stream.write_all(format!("GET /path HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.expect("written");
    let mut back = Vec::new();
    while !back.ends_with(b"/path") {
        assert_ne!(stream.read_buf(&mut back).await.expect("an answer"), 0, "{}", String::from_utf8_lossy(&back));
    }
    String::from_utf8_lossy(&back).into_owned()
}

/// Puts a new pair for this name into the directory.
fn put(directory: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    std::fs::write(directory.join(file).with_extension("crt"), cert.pem()).expect("written");
    std::fs::write(directory.join(file).with_extension("key"), signing_key.serialize_pem()).expect("written");
    cert.der().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_chosen_by_name_and_a_new_one_is_shown_without_a_connection_being_dropped() {
    let (replica, given) = (Replica::start(), tempfile::tempdir().expect("a directory"));
    let (shop, blog) = (put(given.path(), "shop", "shop.example"), put(given.path(), "blog", "*.blog.example"));
    let certificates = given.path().to_owned();
    let rig = Rig::started(vec![service(1, "shop.example", &[replica.address])], |config| {
        config.certificates = Some(certificates);
    })
    .await;
    assert_eq!(shown(rig.https, "shop.example").await, shop);
    assert_eq!(shown(rig.https, "a.blog.example").await, blog);
    let self_made = shown(rig.https, "nobody.example").await;
    assert!(self_made != shop && self_made != blog, "where none fits, its own is shown");
    let mut open = connect(rig.https, "shop.example", &[b"http/1.1"]).await;
    assert!(get(&mut open, "shop.example").await.starts_with("HTTP/1.1 200"));

    let renewed = put(given.path(), "shop", "shop.example");
    let change = async {
        while shown(rig.https, "shop.example").await != renewed {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, change).await.expect("the new one is shown");
    assert_eq!(shown(rig.https, "a.blog.example").await, blog);
    assert!(get(&mut open, "shop.example").await.starts_with("HTTP/1.1 200"), "on the connection from before");
    let arrived = replica.arrived().pop().expect("two requests");
    assert_eq!(arrived.header("x-forwarded-proto"), ["https"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_given_ones_its_own_is_shown_and_kept_and_http2_is_offered() {
    let replica = Replica::start();
    let mut rig = Rig::serving(vec![service(1, "shop.example", &[replica.address])]).await;
    let first = shown(rig.https, "localhost").await;
    let stream = connect(rig.https, "shop.example", &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    drop(stream);
    let mut plain = TcpStream::connect(rig.https).await.expect("connected");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.expect("written");
    let back = crate::rig::raw::read_to_end(&mut plain).await;
    assert!(!back.text().contains("HTTP/1.1 200"), "nothing is served here without TLS");
    rig.stop().await;
    rig.start_again(|_| {}).await;
    assert_eq!(shown(rig.https, "localhost").await, first);
}
