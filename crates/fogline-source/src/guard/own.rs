//! Whether an address is one of this machine's own interfaces.
//!
//! Asked anew each time, because interfaces come and go: a socket can be bound to an address of the machine and to no
//! other. Nothing is sent. A public address that a router elsewhere translates to this machine is not found out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Of the documentation (RFC 5737, RFC 3849): on no interface.
const NOBODYS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOBODYS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Whether a call to it would come back to this machine. False where the machine lets sockets be bound to anything
/// (`ip_nonlocal_bind`): there this tells nothing.
pub(super) fn is_of_this_machine(address: IpAddr) -> bool {
    can_be_bound(address) && !can_be_bound(if address.is_ipv4() { NOBODYS_V4 } else { NOBODYS_V6 })
}

fn can_be_bound(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are() {
        for (text, expected) in [("127.0.0.1", true), ("8.8.8.8", false), ("192.0.2.1", false), ("2606:4700::1", false)]
        {
            assert_eq!(is_of_this_machine(text.parse().expect("an address")), expected, "{text}");
        }
    }
}
