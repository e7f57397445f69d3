//! What connections are encrypted with. Tests: `tests/it/tls.rs`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tracing::error;

use super::choice::{Choice, Choices};
use super::directory::Directory;
use super::self_made::SelfMade;
use crate::clock::Clock;

/// What connections are encrypted with. Cheap to clone; all clones show the same certificates.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Choices>,
    sources: Arc<Mutex<Sources>>,
}

/// What there is to show.
struct Sources {
    directory: Option<Directory>,
    self_made: SelfMade,
    data_dir: PathBuf,
    addresses: Vec<IpAddr>,
    clock: Clock,
}

impl Tls {
    /// Reads the certificates, and makes one of our own for `addresses` where there is none in `data_dir`. Blocks.
    ///
    /// # Errors
    /// When no certificate can be made. Given ones that are broken are logged.
    pub fn new(
        certificates: Option<PathBuf>,
        data_dir: PathBuf,
        addresses: Vec<IpAddr>,
        clock: Clock,
    ) -> Result<Self, String> {
        let self_made = SelfMade::get(&data_dir, &addresses, clock.wall())?;
        let mut directory = certificates.map(Directory::new);
        if let Some(directory) = &mut directory {
            directory.look();
        }
        let sources = Sources { directory, self_made, data_dir, addresses, clock };
        let shown = Arc::new(Choices(ArcSwap::from_pointee(sources.choice())));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| format!("cannot offer TLS: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as _);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions that are taken up again need no memory here.
        server.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| format!("cannot offer TLS: {error}"))?;
        Ok(Self { config: Arc::new(server), shown, sources: Arc::new(Mutex::new(sources)) })
    }

    /// What connections are encrypted with: HTTP/2 and HTTP/1.1 are offered, TLS 1.2 and newer. It stays the same; what it
    /// shows does not.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Looks whether certificates have changed, or our own nears its end. Handshakes from now on see what is new;
    /// connections that are there go on. Blocks.
    pub(super) fn look(&self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = sources.renew();
        let read = sources.directory.as_mut().is_some_and(Directory::look);
        if renewed || read {
            self.shown.0.store(Arc::new(sources.choice()));
        }
    }
}

impl Sources {
    fn choice(&self) -> Choice {
        Choice::new(self.directory.iter().flat_map(Directory::pairs), &self.self_made.pair)
    }

    fn renew(&mut self) -> bool {
        let now = self.clock.wall();
        if !self.self_made.is_due(now) {
            return false;
        }
        match SelfMade::get(&self.data_dir, &self.addresses, now) {
            Ok(made) => {
                self.self_made = made;
                true
            }
            Err(why) => {
                error!("the certificate of our own ends soon: {why}");
                false
            }
        }
    }
}
