//! Client addresses as logs may show them: the network, not the person's line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Leading bits of an IPv4 address that a log keeps: the usual size of one announced network.
const IPV4_BITS_KEPT: u32 = 24;

/// Leading bits of an IPv6 address that a log keeps: what one site is given (RFC 6177).
const IPV6_BITS_KEPT: u32 = 48;

/// An address cut to its network; `Display` writes `192.0.2.0/24` or `2001:db8:1::/48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedAddress(IpAddr);

impl TruncatedAddress {
    /// The network that `address` is in. An IPv4-mapped address is cut as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(
                v4.to_bits() & (u32::MAX << (u32::BITS - IPV4_BITS_KEPT)),
            )),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & (u128::MAX << (u128::BITS - IPV6_BITS_KEPT)),
            )),
        })
    }
}

impl fmt::Display for TruncatedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.0.is_ipv4() { IPV4_BITS_KEPT } else { IPV6_BITS_KEPT };
        write!(f, "{}/{bits}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_network_and_not_the_host() {
        for (address, shown) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(TruncatedAddress::of(address.parse().unwrap()).to_string(), shown);
        }
    }
}
