//! Where a call comes from: the other end of its connection, or what a proxy that is trusted says.

use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;
use thiserror::Error;
use tonic::Request;

use crate::connections::network_of;

/// To which each proxy appends the address that it was called from.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The most networks. Each is compared with the addresses of each call.
const NETWORKS_MAX: usize = 64;

/// The proxies whose word about the addresses of clients is taken. Clones are cheap where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A list that names no proxies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotProxies {
    /// One of them is no address and no network.
    #[error("{0:?} is no address and no network such as 10.0.0.0/8")]
    Malformed(String),
    /// There are too many.
    #[error("at most {NETWORKS_MAX} addresses and networks")]
    TooMany,
}

impl FromStr for TrustedProxies {
    type Err = NotProxies;

    /// Reads addresses and networks, separated by commas.
    fn from_str(text: &str) -> Result<Self, NotProxies> {
        let parsed = text.split(',').map(str::trim).map(|part| {
            let network = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| NotProxies::Malformed(part.to_owned()))
        });
        let networks: Vec<IpNet> = parsed.collect::<Result<_, _>>()?;
        if networks.len() > NETWORKS_MAX { Err(NotProxies::TooMany) } else { Ok(Self(networks)) }
    }
}

impl TrustedProxies {
    /// The address of the client of a connection from `peer`. A client may write whatever it wants into the header, so it is read from
    /// its end, which the nearest proxy has written, to the first address that is not a proxy's.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        let lines: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // What cannot be read was not written by a proxy that is trusted; the one before it is the nearest known.
            let Some(address) = read(hop.trim()) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address, which some proxies write with a port.
fn read(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<std::net::SocketAddr>().map(|address| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = hop.parse::<IpAddr>().or_else(|_| with_port()).ok().or_else(bracketed)?;
    Some(address.to_canonical())
}

/// Where a call comes from; none if its connection has no address. It is noted in the extensions of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

/// The network that a call comes from.
pub(crate) fn client_network<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get().and_then(|ClientAddress(address)| *address).map(network_of)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Where a call from `peer` with these lines of the header comes from, behind proxies in 10.0.0.0/8 and `2001:db8::/32`.
    fn client(peer: &str, lines: &[&str]) -> IpAddr {
        let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8::/32, 192.0.2.7".parse().expect("networks");
        let lines =
            lines.iter().map(|line| (http::HeaderName::from_static(FORWARDED_FOR), HeaderValue::from_str(line)));
        let headers = lines.map(|(name, value)| (name, value.expect("a value"))).collect();
        proxies.client(Some(address(peer)), &headers).expect("an address")
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(client("192.0.2.7", &["203.0.113.9:4711"]), address("203.0.113.9"));
        assert_eq!(client("2001:db8::1", &["2001:470::9"]), address("2001:470::9"));
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:470::9]"]), address("2001:470::9"));
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 10.0.0.2", "10.0.0.3"]), address("203.0.113.9"));
    }

    #[test]
    fn nobody_else_is() {
        assert_eq!(client("203.0.113.1", &["203.0.113.9"]), address("203.0.113.1"), "a client without a proxy");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, 203.0.113.9"]), address("203.0.113.9"), "what the client wrote");
        assert_eq!(client("10.0.0.1", &["198.51.100.1", "203.0.113.9, 10.0.0.2"]), address("203.0.113.9"));
        assert_eq!(
            client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]),
            address("10.0.0.2"),
            "nothing before it counts"
        );
        assert_eq!(client("10.0.0.1", &[]), address("10.0.0.1"));
        let none = TrustedProxies::default().client(Some(address("10.0.0.1")), &HeaderMap::new());
        assert_eq!(none, Some(address("10.0.0.1")));
    }

    #[test]
    fn a_list_of_anything_else_is_refused() {
        for text in ["", "10.0.0.0/33", "proxy.example", "10.0.0.1,"] {
            assert!(matches!(text.parse::<TrustedProxies>(), Err(NotProxies::Malformed(_))), "{text}");
        }
        let many = vec!["10.0.0.1"; NETWORKS_MAX + 1].join(",");
        assert_eq!(many.parse::<TrustedProxies>(), Err(NotProxies::TooMany));
    }
}
