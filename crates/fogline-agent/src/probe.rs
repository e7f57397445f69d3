//! Asks a replica whether it is ready, for as long as its check says, and looks whether its port is somebody else's.
//!
//! Must never hang, whatever the other side does. Tests: below.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fogline_api::readiness;
use tokio::net::TcpSocket;

use crate::supervisor::{ProbeTarget, endpoint};

/// Asks once.
///
/// # Errors
/// In words: how the replica did not answer.
pub async fn ask(address: &str, target: &ProbeTarget, timeout: Duration) -> Result<(), String> {
    let (port, path) = match target {
        ProbeTarget::Tcp { port } => (*port, None),
        ProbeTarget::Http { port, path } => (*port, Some(path.as_str())),
    };
    let endpoint = endpoint(address, port);
    let what = || match path {
        None => format!("TCP connection to {endpoint}"),
        Some(path) => format!("GET http://{endpoint}{path}"),
    };
    match tokio::time::timeout(timeout, readiness::ask(&endpoint, path, "fogline-agent")).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{}: {error}", what())),
        Err(_) => Err(format!("{}: no answer within {timeout:?}", what())),
    }
}

/// Whether another program listens on the port, on any address of this machine.
#[must_use]
pub fn port_is_taken(port: u16) -> bool {
    let bound = TcpSocket::new_v4().and_then(|socket| {
        // As servers do: what the system keeps of old connections does not count.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    });
    // Anything else that may be wrong, the program will tell better.
    matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        // It takes connections, and never a request.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let target = ProbeTarget::Http { port, path: "/".to_owned() };
        let error = ask("127.0.0.1", &target, Duration::from_millis(200)).await.expect_err("silent");
        assert!(error.contains("no answer within 200ms"), "{error}");
    }

    #[tokio::test]
    async fn tcp_and_taken_ports() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert_eq!(ask("127.0.0.1", &ProbeTarget::Tcp { port }, Duration::from_secs(20)).await, Ok(()));
        assert!(port_is_taken(port));
        drop(listener);
        assert!(!port_is_taken(port));
        let error = ask("127.0.0.1", &ProbeTarget::Tcp { port }, Duration::from_secs(20)).await.expect_err("nobody");
        assert!(error.contains(&port.to_string()) && error.contains("refused"), "{error}");
    }
}
