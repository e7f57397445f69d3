//! A route as people write and read it: `web.localhost`, `web.localhost/api`, `/api` or `tcp:5432`.
//!
//! Must never judge whether a route may be claimed: the server does. Tests: below.

use fogline_core::spec::RouteSpec;

/// What a flag says.
///
/// # Errors
/// What would be accepted.
pub fn parse(text: &str) -> Result<RouteSpec, String> {
    if let Some(port) = text.strip_prefix("tcp:") {
        let tcp_port = port.parse().map_err(|_| format!("{port:?} is no port; write tcp:5432"))?;
        return Ok(RouteSpec { tcp_port: Some(tcp_port), ..RouteSpec::default() });
    }
    if text.contains("://") || text.chars().any(char::is_whitespace) || text.is_empty() {
        return Err("accepted: HOST, HOST/PATH, /PATH or tcp:PORT, such as web.localhost or tcp:5432".to_owned());
    }
    let (host, path) = text.find('/').map_or((text, None), |slash| (&text[..slash], Some(&text[slash..])));
    Ok(RouteSpec {
        host: (!host.is_empty()).then(|| host.to_owned()),
        // All of a host is what a route without a path says.
        path: path.filter(|path| *path != "/" || host.is_empty()).map(ToOwned::to_owned),
        ..RouteSpec::default()
    })
}

/// The same text for a route of any deployment.
pub fn shown(route: &RouteSpec) -> String {
    match (route.tcp_port, route.host.as_deref()) {
        (Some(port), _) => format!("tcp:{port}"),
        (None, Some(host)) if route.path() == "/" => host.to_owned(),
        (None, host) => format!("{}{}", host.unwrap_or_default(), route.path()),
    }
}

/// What a browser is given to get there by a proxy that listens at `listener`, such as `http://127.0.0.1:8080`.
pub fn url(route: &RouteSpec, listener: &str) -> String {
    let Some((scheme, address)) = listener.split_once("://").filter(|_| route.tcp_port.is_none()) else {
        return listener.to_owned();
    };
    let port = address.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !matches!((scheme, *port), ("http", "80") | ("https", "443")));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    match route.host.as_deref() {
        Some(host) => format!("{scheme}://{}{port}{}", host.replacen('*', "any", 1), route.path()),
        None => format!("{listener}{}", route.path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_as_it_is_shown() {
        for text in ["web.localhost", "*.example.com", "web.localhost/api", "/api", "/", "tcp:5432"] {
            assert_eq!(shown(&parse(text).expect("a route")), text);
        }
        let route = parse("web.localhost/").expect("a route");
        assert_eq!((route.host.as_deref(), route.path), (Some("web.localhost"), None));
    }

    #[test]
    fn a_url_leads_through_the_proxy() {
        for (route, listener, shown) in [
            ("web.localhost", "http://127.0.0.1:8080", "http://web.localhost:8080/"),
            ("shop.example.com/api", "https://192.0.2.1:443", "https://shop.example.com/api"),
            ("*.example.com", "http://192.0.2.1:80", "http://any.example.com/"),
            ("/api", "http://[::1]:8080", "http://[::1]:8080/api"),
            ("tcp:5432", "tcp://127.0.0.1:5432", "tcp://127.0.0.1:5432"),
        ] {
            assert_eq!(url(&parse(route).expect("a route"), listener), shown);
        }
    }

    #[test]
    fn what_is_no_route_is_refused_with_what_is_one() {
        for text in ["", "http://web.localhost", "tcp:", "tcp:70000", "a b"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("tcp:5432"), "{error}");
        }
    }
}
