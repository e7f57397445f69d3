//! A connection to a server, with the limits that every attached stream has. Tests: below.

use std::time::Duration;

use fogline_core::causes::chain;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::Token;

/// How long a server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A server is asked for a sign of life so often, and has so long to give it: a dead one is noticed within 4 s.
const PING_EVERY: Duration = Duration::from_secs(2);
const PONG_WITHIN: Duration = Duration::from_secs(2);
/// A node's list with its templates must fit, and a whole table of routes.
pub const LARGEST_MESSAGE_BYTES: usize = 64 * 1_024 * 1_024;

/// Checks the list of servers, each `address:port`.
///
/// # Errors
/// Which of them is none, and what would be accepted.
pub fn check_servers(servers: &[String]) -> Result<(), String> {
    if servers.is_empty() {
        return Err("no server is given: name at least one as address:port".to_owned());
    }
    for server in servers {
        let port = server.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((false, Ok(1..)))) {
            return Err(format!("{server:?} is no server: give address:port, for example 10.0.0.1:8001"));
        }
    }
    Ok(())
}

/// Connects to a server.
///
/// # Errors
/// Why it cannot be reached, for the log.
pub async fn connect(server: &str) -> Result<Channel, String> {
    Endpoint::from_shared(format!("http://{server}"))
        .map_err(|error| format!("{server} is no address of a server: {error}"))?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|error| format!("cannot reach the server at {server}: {}", chain(&error)))
}

/// A request that shows the token.
///
/// # Errors
/// When the token holds characters that cannot be sent.
pub fn authorized<T>(messages: T, token: &Token) -> Result<Request<T>, String> {
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.reveal())
        .parse()
        .map_err(|_| "the token for the servers holds characters that no token has".to_owned())?;
    bearer.set_sensitive(true);
    let mut request = Request::new(messages);
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

/// Why a server has ended the stream or not taken it, for the log. `who` is the caller, such as `agent`.
#[must_use]
pub fn refused(server: &str, who: &str, status: &Status) -> String {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            format!(
                "the server at {server} refuses this {who} ({}): give it the token of that server",
                status.message()
            )
        }
        code => format!("the stream to the server at {server} broke: {code:?}: {}", status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_a_port() {
        let check = |server: &str| check_servers(&[server.to_owned()]);
        assert_eq!(check("[::1]:8001"), Ok(()));
        for server in ["localhost", ":80", "host:0", "host:99999"] {
            assert!(check(server).is_err_and(|error| error.contains("address:port")), "{server}");
        }
        assert!(check_servers(&[]).is_err_and(|error| error.contains("no server")));
    }

    #[test]
    fn the_token_is_sent_and_not_printed() {
        let request = authorized((), &Token::new("secret")).expect("a token");
        let shown = request.metadata().get("authorization").expect("shown");
        assert_eq!(shown.as_bytes(), b"Bearer secret");
        assert!(!format!("{request:?}").contains("secret"));
        let error = authorized((), &Token::new("se\u{7f}cret")).expect_err("no token");
        assert!(!error.contains("cret"), "{error}");
    }
}
