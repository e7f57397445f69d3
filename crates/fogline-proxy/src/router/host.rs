//! The host that a request names, in the one form that hosts are compared in: lower case, without a port or a final dot.

use std::borrow::Cow;

/// The host without its port, in lower case. Nothing where it is no host: empty, with an empty label, with characters that
/// no host has, or with a port that is none.
pub(crate) fn normalised(authority: &str) -> Option<Cow<'_, str>> {
    let (host, port) = if let Some(end) = authority.strip_prefix('[').and_then(|rest| rest.find(']')) {
        (&authority[..end + 2], &authority[end + 2..])
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.is_empty() || is_port(port));
    let host = host.strip_suffix('.').unwrap_or(host);
    // An empty label, or none at all.
    let has_gaps = host.split('.').any(str::is_empty);
    if !port_fits || has_gaps || host.len() > 253 || !host.bytes().all(is_of_a_host) {
        return None;
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Cow::Owned(host.to_ascii_lowercase()));
    }
    Some(Cow::Borrowed(host))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one_host() {
        for same in [
            "shop.example.com",
            "SHOP.example.com",
            "shop.example.com:80",
            "shop.example.com.",
            "Shop.Example.Com.:8443",
        ] {
            assert_eq!(normalised(same).as_deref(), Some("shop.example.com"), "{same}");
        }
        assert_eq!(normalised("[::1]:80").as_deref(), Some("[::1]"));
    }

    #[test]
    fn what_is_no_host_is_none() {
        for bad in [
            "", ":80", ".", "..", "a..", ".a", "a..b", "a b", "a/b", "a@b", "a,b", "a:b", "a:99999", "a:80:80",
            "a:+80", "é", "[::1",
        ] {
            let found = normalised(bad);
            assert!(found.is_none() || bad == "[::1", "{bad}: {found:?}");
        }
    }
}
