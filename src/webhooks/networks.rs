//! Where webhooks may go: the internet, and what the operator has opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The networks of `webhooks.allowed_networks`: refused to everybody else's merchants, open to these.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The operator opened its network.
    Opened,
    /// It is on the internet.
    Public,
    /// Neither: webhooks do not go there.
    Refused,
}

/// IPv4 that is not the internet, by IANA's registry of special-purpose addresses.
const REFUSED_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),        // this host, this network; unspecified
    v4([10, 0, 0, 0], 8),       // private
    v4([100, 64, 0, 0], 10),    // shared by carriers (CGNAT); clouds keep metadata there, too
    v4([127, 0, 0, 0], 8),      // loopback
    v4([168, 63, 129, 16], 32), // Azure's wire server: a public number, and the machine's own cloud
    v4([169, 254, 0, 0], 16),   // link-local; metadata of most clouds
    v4([172, 16, 0, 0], 12),    // private
    v4([192, 0, 0, 0], 24),     // protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 88, 99, 0], 24),   // relays of 6to4, given up
    v4([192, 168, 0, 0], 16),   // private
    v4([198, 18, 0, 0], 15),    // benchmarks
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 4),      // multicast
    v4([240, 0, 0, 0], 4),      // reserved; broadcast
];

/// All of IPv6 that is given out as public. What lies outside is refused without being named here: unspecified, loopback,
/// v4-compatible, unique-local (where clouds keep metadata), link-local, site-local, multicast, what is not given out yet.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// And of that, what is not the internet.
const REFUSED_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo (hides an IPv4 address), benchmarks, ORCHID
    v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4: hides an IPv4 address, given up
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// IPv6 hosts reach IPv4 ones through it (NAT64): the last 32 bits are the address that is meant.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)
}

impl Networks {
    /// These networks are open, on top of the internet.
    pub fn new(opened: Vec<IpNet>) -> Self {
        Self(opened)
    }

    /// Whether nothing is open but the internet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn judge(&self, address: IpAddr) -> Standing {
        let meant = meant(address);
        if self.0.iter().any(|network| network.contains(&address) || network.contains(&meant)) {
            Standing::Opened
        } else if is_public(meant) {
            Standing::Public
        } else {
            Standing::Refused
        }
    }
}

impl From<Vec<IpNet>> for Networks {
    fn from(opened: Vec<IpNet>) -> Self {
        Self::new(opened)
    }
}

/// The IPv4 address that an IPv6 one stands for, where a packet to the one arrives at the other.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if NAT64.contains(&v6) {
        let [.., a, b, c, d] = v6.octets();
        return Ipv4Addr::new(a, b, c, d).into();
    }
    v6.to_ipv4_mapped().map_or(address, IpAddr::V4)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !REFUSED_V4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => PUBLIC_V6.contains(&v6) && !REFUSED_V6.iter().any(|network| network.contains(&v6)),
    }
}

#[cfg(test)]
#[path = "networks_tests.rs"]
mod tests;
