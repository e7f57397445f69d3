//! Ports of servers that must keep them: a stopped server comes back on the same one.
//!
//! Above those that the kernel gives to outgoing connections, so that a port stays free while its server is stopped.
//! One process is given none twice before all were given, so what it starts at once does not meet. Two test processes may
//! pick the same: who starts a server tries another port when binding fails.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first port above the kernel's own range.
const FIRST: u16 = 61_000;
/// How many there are.
const COUNT: u32 = 4_500;

/// An address on loopback where nothing listens just now, in the network namespace of the calling thread.
pub fn spare() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other test processes run at the same time: each starts somewhere of its own.
    let offset = std::process::id().wrapping_mul(37);
    for _ in 0..COUNT {
        let number = offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + u16::try_from(number).expect("COUNT fits");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port on loopback from {FIRST} on, of {COUNT}");
}
