//! Who the client is, and the headers that tell the replica: made from the connection itself.
//!
//! Must never pass on what a stranger says of itself: such headers count only from a peer in `trusted_proxies`, and are
//! then added to. Tests: below.

use std::cell::RefCell;
use std::fmt::Write;
use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::network::Network;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// One connection's client.
#[derive(Debug)]
pub(crate) struct Client {
    peer: IpAddr,
    peer_text: HeaderValue,
    trusted: bool,
    pub tls: bool,
    /// `Forwarded` for the host that was asked for last: most connections ask for one.
    forwarded: RefCell<Option<(HeaderValue, HeaderValue)>>,
}

impl Client {
    pub fn new(peer: IpAddr, trusted: &[Network], tls: bool) -> Self {
        let peer = peer.to_canonical();
        let trusted = trusted.iter().any(|network| network.contains(peer));
        Self { peer, peer_text: value(&peer.to_string()), trusted, tls, forwarded: RefCell::default() }
    }

    /// Who asks: the peer, or the nearest one before it that is not trusted, where the peer is.
    pub fn address(&self, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
        if !self.trusted {
            return self.peer;
        }
        let said: Vec<&str> = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        let mut nearest = self.peer;
        for hop in said.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !trusted.iter().any(|network| network.contains(nearest)) {
                break;
            }
        }
        nearest
    }

    /// Tells the replica.
    pub fn tell(&self, headers: &mut HeaderMap, host: &HeaderValue, trusted: &[Network]) {
        // `X_Forwarded_For` and the like as well: some replicas take an underscore for a hyphen.
        if headers.keys().any(|name| self.must_not_say(name)) {
            let said: Vec<HeaderName> = headers.keys().filter(|name| self.must_not_say(name)).cloned().collect();
            for name in said {
                headers.remove(name);
            }
        }
        let proto = HeaderValue::from_static(if self.tls { "https" } else { "http" });
        headers.reserve(5);
        if self.trusted {
            let real = self.address(headers, trusted);
            let before = joined(headers, &FOR);
            let all = before.map_or_else(|| self.peer.to_string(), |before| format!("{before}, {}", self.peer));
            headers.insert(FOR, value(&all));
            headers.insert(REAL_IP, value(&real.to_string()));
            let own = self.forwarded(host);
            let before = joined(headers, &FORWARDED);
            let all = before
                .map_or_else(|| own.clone(), |before| value(&format!("{before}, {}", own.to_str().unwrap_or(""))));
            headers.insert(FORWARDED, all);
            headers.entry(PROTO).or_insert(proto);
            headers.entry(HOST).or_insert_with(|| host.clone());
            return;
        }
        headers.insert(FOR, self.peer_text.clone());
        headers.insert(REAL_IP, self.peer_text.clone());
        headers.insert(PROTO, proto);
        headers.insert(HOST, host.clone());
        headers.insert(FORWARDED, self.forwarded(host));
    }

    fn forwarded(&self, host: &HeaderValue) -> HeaderValue {
        let mut last = self.forwarded.borrow_mut();
        if let Some((for_host, forwarded)) = &*last
            && for_host == host
        {
            return forwarded.clone();
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match self.peer {
            IpAddr::V4(address) => write!(text, "for={address}"),
            IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
        };
        let _ = write!(text, ";proto={}", if self.tls { "https" } else { "http" });
        if let Ok(name) = host.to_str()
            && !name.is_empty()
        {
            let _ = write!(text, ";host=\"{name}\"");
        }
        let forwarded = value(&text);
        *last = Some((host.clone(), forwarded.clone()));
        forwarded
    }

    /// Whether this is nothing that the peer may tell a replica. What the proxy itself tells is not looked at.
    fn must_not_say(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        if text.starts_with("x-forwarded-") && !text.contains('_') {
            return !self.trusted && ![FOR, PROTO, HOST].contains(name);
        }
        text.contains('_') && is_of_the_family(name)
    }
}

/// Whether it says who the client is, in any spelling.
pub(super) fn is_of_the_family(name: &HeaderName) -> bool {
    let plain = name.as_str().replace('_', "-");
    plain.starts_with("x-forwarded") || plain == "x-real-ip" || plain == "forwarded"
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let said: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(peer: &str, trusted: &[&str], said: &[(&'static str, &'static str)]) -> HeaderMap {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let client = Client::new(peer.parse().unwrap(), &trusted, true);
        client.tell(&mut headers, &HeaderValue::from_static("a.b"), &trusted);
        headers
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_not_passed_on() {
        let said = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "1"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x_own", "kept"),
        ];
        let headers = told("::ffff:9.9.9.9", &["10.0.0.0/8"], &said);
        let all: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        assert_eq!(all, ["9.9.9.9"]);
        assert_eq!(headers["x-real-ip"], "9.9.9.9");
        assert_eq!(headers["forwarded"], "for=9.9.9.9;proto=https;host=\"a.b\"");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x_own"], "kept");
        assert!(!headers.contains_key("x_forwarded_for") && !headers.contains_key("x-forwarded-port"));
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added_to() {
        let said = [("x-forwarded-for", "6.6.6.6, 7.7.7.7, 10.1.1.1"), ("x-forwarded-proto", "http")];
        let headers = told("10.0.0.1", &["10.0.0.0/8"], &said);
        assert_eq!(headers["x-forwarded-for"], "6.6.6.6, 7.7.7.7, 10.1.1.1, 10.0.0.1");
        assert_eq!(headers["x-real-ip"], "7.7.7.7", "the first that is not trusted, from this end");
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    /// Headers of the family in all spellings, and others.
    fn said() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let name = "[xX]?[-_]?[fF]orwarded([-_](for|proto|host|port|prefix))?|[xX][-_](real|Real)[-_]ip|[a-z_-]{1,12}";
        let value = prop_oneof![
            "([0-9a-f.:]{0,20}, ?){0,3}[0-9.]{0,15}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..30),
        ];
        proptest::collection::vec((name, value), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_is_said_the_replica_is_told_of_the_real_peer(
            said in said(),
            peer: IpAddr,
            trusted: bool,
            tls: bool,
            host in "[a-zA-Z0-9.-]{1,20}(:[0-9]{1,4})?",
        ) {
            let networks = if trusted { vec!["::/0".parse().unwrap(), "0.0.0.0/0".parse().unwrap()] } else { Vec::new() };
            let mut headers = HeaderMap::new();
            for (name, value) in &said {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
                    headers.append(name, value);
                }
            }
            let host = HeaderValue::from_str(&host).unwrap();
            let client = Client::new(peer, &networks, tls);
            let _ = client.address(&headers, &networks);
            client.tell(&mut headers, &host, &networks);
            let peer = peer.to_canonical().to_string();
            let one = |name: &HeaderName| {
                let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
                <[String; 1]>::try_from(values).map(|[value]| value)
            };
            let [hops, real, forwarded] = [FOR, REAL_IP, FORWARDED].map(|name| one(&name).expect("told once"));
            prop_assert_eq!(hops.rsplit(", ").next(), Some(peer.as_str()));
            prop_assert!(real.parse::<IpAddr>().is_ok());
            let own = client.forwarded(&host);
            prop_assert!(forwarded.ends_with(own.to_str().unwrap()) && own.to_str().unwrap().contains(&peer));
            if !trusted {
                prop_assert_eq!((&hops, &real, forwarded.as_bytes()), (&peer, &peer, own.as_bytes()));
                prop_assert_eq!(one(&PROTO).unwrap(), if tls { "https" } else { "http" });
                prop_assert_eq!(headers.get_all(HOST).iter().collect::<Vec<_>>(), [&host]);
            }
            for (name, value) in &headers {
                prop_assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                let plain = name.as_str().replace('_', "-");
                let known = [FOR, PROTO, HOST, REAL_IP, FORWARDED].contains(name);
                let of_the_family = plain.starts_with("x-forwarded-") || plain == "x-real-ip" || plain == "forwarded";
                let allowed = trusted && !name.as_str().contains('_');
                prop_assert!(known || allowed || !of_the_family, "{name}");
            }
        }
    }
}
