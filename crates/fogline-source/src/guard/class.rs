//! What kind of place an IP address is.
//!
//! Invariant: an IPv6 address that carries an IPv4 address (mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP)
//! is never of a milder class than the address it carries. Tests: below.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds, the mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Somebody's server in the internet.
    Public,
    /// This machine, its neighbours, or a network of somebody's own.
    Private(Private),
    /// The door at which a cloud hands out credentials of the machine, or an address that no server has. Nobody may
    /// call it, whatever is allowed.
    Never(Never),
}

/// Which kind of a place of one's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "as the standards name them")]
pub enum Private {
    Network,
    Shared,
    LinkLocal,
    Loopback,
    Unspecified,
}

/// Which kind of an address that nobody may call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "as the standards name them")]
pub enum Never {
    Reserved,
    Multicast,
    Metadata,
}

impl Class {
    /// In words, for an error.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private(Private::Network) => "an address of a private network",
            Self::Private(Private::Shared) => "an address that a provider shares (RFC 6598)",
            Self::Private(Private::LinkLocal) => "a link-local address",
            Self::Private(Private::Loopback) => "an address of this machine itself",
            Self::Private(Private::Unspecified) => "the unspecified address",
            Self::Never(Never::Reserved) => "a reserved address",
            Self::Never(Never::Multicast) => "a multicast address",
            Self::Never(Never::Metadata) => "the metadata service of a cloud",
        }
    }

    /// The class of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => {
                let own = of_v6(address);
                carried(address).into_iter().flatten().map(of_v4).fold(own, Self::max)
            }
        }
    }
}

/// Where clouds answer their machines: AWS, GCP, Azure and most others; AWS' containers; Azure's host; Alibaba; Oracle.
const METADATA_V4: [[u8; 4]; 6] = [
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [169, 254, 170, 23],
    [168, 63, 129, 16],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
];

/// The same by IPv6: AWS, its containers, GCP.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn of_v4(address: Ipv4Addr) -> Class {
    let octets = address.octets();
    if METADATA_V4.contains(&octets) {
        return Class::Never(Never::Metadata);
    }
    match octets {
        [0, 0, 0, 0] => Class::Private(Private::Unspecified),
        // "This network": Linux takes some of it for this machine.
        [0, ..] | [127, ..] => Class::Private(Private::Loopback),
        [169, 254, ..] => Class::Private(Private::LinkLocal),
        [100, 64..=127, ..] => Class::Private(Private::Shared),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private(Private::Network),
        // Protocol assignments, documentation, relays of 6to4, benchmarks: in no network but one's own.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Class::Private(Private::Network)
        }
        [224..=239, ..] => Class::Never(Never::Multicast),
        [240..=255, ..] => Class::Never(Never::Reserved),
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Never(Never::Metadata);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Private(Private::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private(Private::Loopback),
        [0xff00..=0xffff, ..] => Class::Never(Never::Multicast),
        [0xfe80..=0xfebf, ..] => Class::Private(Private::LinkLocal),
        // Unique local, site-local of old, discard, documentation, ORCHID, segment routing, NAT64 of one's own network.
        [0xfc00..=0xfdff, ..]
        | [0xfec0..=0xfeff, ..]
        | [0x100, ..]
        | [0x2001, 0xdb8 | 0x2 | 0x10..=0x2f, ..]
        | [0x3fff, 0..=0xfff, ..]
        | [0x5f00, ..]
        | [0x64, 0xff9b, 1, ..] => Class::Private(Private::Network),
        // Outside of what is given out to anybody, and with an IPv4 address inside at best: that one then decides.
        [0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Never(Never::Reserved),
    }
}

/// The IPv4 addresses that an IPv6 address leads to where a gateway translates it, by every scheme that it may be of.
fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let segments = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = join(segments[6], segments[7]);
    match segments {
        // Compatible, mapped (::ffff:a.b.c.d), translated (::ffff:0:a.b.c.d). The two short ones have a class already.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 3],
        [0, 0, 0, 0, ..] => [Some(last), None, None],
        // NAT64, the well-known prefix and that of a network's own.
        [0x64, 0xff9b, ..] => [Some(last), None, None],
        // 6to4.
        [0x2002, high, low, ..] => [Some(join(high, low)), isatap(segments, last), None],
        // Teredo: the server's, and the client's with every bit turned.
        [0x2001, 0, high, low, ..] => [Some(join(high, low)), Some(join(!segments[6], !segments[7])), None],
        _ => [isatap(segments, last), None, None],
    }
}

fn isatap(segments: [u16; 8], last: Ipv4Addr) -> Option<Ipv4Addr> {
    (matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        Class::of(text.parse().unwrap_or_else(|_| panic!("{text} is an address")))
    }

    #[test]
    fn public_ones_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.255.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
            "2001:0:0808:0808:0:0:f7f7:f7f7",
        ] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    #[test]
    fn ones_of_ones_own_are_private() {
        use Private::{LinkLocal, Loopback, Network, Shared, Unspecified};
        for (expected, texts) in [
            (Loopback, &["127.0.0.1", "127.255.255.254", "0.0.0.1", "::1"][..]),
            (Unspecified, &["0.0.0.0", "::"]),
            (LinkLocal, &["169.254.0.1", "169.254.169.253", "fe80::1", "febf::1"]),
            (Shared, &["100.64.0.0", "100.127.255.255"]),
            (Network, &["10.0.0.1", "172.16.0.0", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"]),
            (Network, &["192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255", "192.0.0.8"]),
            (Network, &["fec0::1", "100::1", "2001:db8::1", "2001:2::1", "2001:20::1", "3fff::1"]),
        ] {
            for text in texts {
                assert_eq!(class(text), Class::Private(expected), "{text}");
            }
        }
    }

    #[test]
    fn some_are_never_called() {
        use Never::{Metadata, Multicast, Reserved};
        for (expected, texts) in [
            (Metadata, &["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"][..]),
            (Metadata, &["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"]),
            (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
            (Reserved, &["240.0.0.1", "255.255.255.255", "4000::1", "e000::1", "1::1"]),
        ] {
            for text in texts {
                assert_eq!(class(text), Class::Never(expected), "{text}");
            }
        }
    }

    #[test]
    fn an_address_inside_an_address_counts() {
        // Loopback, a private network, the metadata service, each in every envelope.
        for (high, low, dotted, expected) in [
            (0x7f00_u16, 0x0001_u16, "127.0.0.1", Class::Private(Private::Loopback)),
            (0x0a01, 0x0203, "10.1.2.3", Class::Private(Private::Network)),
            (0xa9fe, 0xa9fe, "169.254.169.254", Class::Never(Never::Metadata)),
        ] {
            for text in [
                format!("::ffff:{dotted}"),
                format!("::ffff:{high:x}:{low:x}"),
                format!("::{dotted}"),
                format!("::ffff:0:{dotted}"),
                format!("64:ff9b::{dotted}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7"),
                format!("2001:0:808:808:0:0:{:x}:{:x}", !high, !low),
                format!("2606:4700::5efe:{high:x}:{low:x}"),
                format!("2606:4700::200:5efe:{high:x}:{low:x}"),
            ] {
                assert_eq!(class(&text), expected, "{text}");
            }
            // A prefix of one's own is private even where what it carries is not.
            assert!(class(&format!("64:ff9b:1::{dotted}")) >= Class::Private(Private::Network));
        }
        assert_eq!(class("64:ff9b:1::8.8.8.8"), Class::Private(Private::Network));
    }
}
