//! TLS in front of everything else: which certificate is shown, and how a connection becomes an encrypted one.
//!
//! Given certificates come from a directory of pairs `NAME.crt` (or `NAME.pem`) and `NAME.key`, which is looked at every
//! 2 s (`directory.rs`). They are chosen by the name that the client asks for (`choice.rs`); where none fits, the pair called
//! `default` is shown, or one that the proxy has made itself (`self_made.rs`). Must never
//! drop a connection because certificates change, and never go without the last good one because a new one is broken.
//!
//! The name of the handshake chooses the certificate and nothing else; the route is chosen by `Host` alone. They may
//! differ: browsers use one connection for every host that its certificate names. That gives nobody anything, because no
//! client is let in by its certificate, and every host can be asked for directly. Tests: in each file, `tests/it/tls.rs`.

mod certificates;
mod choice;
mod directory;
mod pair;
mod self_made;
mod watch;

pub use certificates::Tls;
pub use watch::watch;
