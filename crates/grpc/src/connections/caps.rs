//! Counts connections, in all and by address, and keeps a few places for those who ask for health.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The places for health beyond the caps. Probes are few and short.
const HEALTH_PLACES: usize = 16;

/// Where the other end of a connection is.
pub trait PeerAddress {
    /// The address of the peer; none if the connection has no address.
    fn peer_address(&self) -> Option<IpAddr>;
}

impl PeerAddress for TcpStream {
    fn peer_address(&self) -> Option<IpAddr> {
        self.peer_addr().ok().map(|address| address.ip().to_canonical())
    }
}

impl PeerAddress for DuplexStream {
    fn peer_address(&self) -> Option<IpAddr> {
        None
    }
}

/// The addresses that count as one: one IPv4 address, or the 64 bits of an IPv6 address that one subscriber has.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    const SUBSCRIBER: u128 = u128::MAX << 64;
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER)),
    }
}

/// Counts connections. Clones share the counts.
#[derive(Clone)]
pub(super) struct Caps {
    all_max: usize,
    per_address_max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    ordinary: usize,
    by_network: HashMap<IpAddr, usize>,
    /// The connections beyond the caps, the oldest first.
    for_health: VecDeque<ForHealth>,
    next_id: u64,
}

struct ForHealth {
    id: u64,
    network: Option<IpAddr>,
    evicted: CancellationToken,
}

/// The place of an open connection. It is free again when this is dropped.
pub(super) struct ConnectionPermit {
    open: Arc<Mutex<Open>>,
    kind: PlaceKind,
}

enum PlaceKind {
    Ordinary(Option<IpAddr>),
    ForHealth(u64),
}

impl Caps {
    pub(super) fn new(all_max: usize, per_address_max: usize) -> Self {
        Self { all_max, per_address_max, open: Arc::default() }
    }

    /// A place for a connection from this address. Beyond the caps it is one for health alone, with the token that is
    /// cancelled when the place is needed for another: the oldest of whoever has the most of these places goes.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> (ConnectionPermit, Option<CancellationToken>) {
        let network = address.map(network_of);
        let mut open = self.lock();
        let of_network = network.map_or(0, |network| open.by_network.get(&network).copied().unwrap_or(0));
        if open.ordinary < self.all_max && of_network < self.per_address_max {
            open.ordinary += 1;
            if let Some(network) = network {
                *open.by_network.entry(network).or_default() += 1;
            }
            return (self.place(PlaceKind::Ordinary(network)), None);
        }
        if open.for_health.len() >= HEALTH_PLACES {
            open.evict_one();
        }
        let (id, evicted) = (open.next_id, CancellationToken::new());
        open.next_id += 1;
        open.for_health.push_back(ForHealth { id, network, evicted: evicted.clone() });
        (self.place(PlaceKind::ForHealth(id)), Some(evicted))
    }

    fn place(&self, kind: PlaceKind) -> ConnectionPermit {
        ConnectionPermit { open: Arc::clone(&self.open), kind }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn evict_one(&mut self) {
        let places_of = |network: Option<IpAddr>| self.for_health.iter().filter(|it| it.network == network).count();
        let most = self.for_health.iter().map(|it| places_of(it.network)).max().unwrap_or_default();
        let oldest = self.for_health.iter().position(|it| places_of(it.network) == most);
        if let Some(place) = oldest.and_then(|oldest| self.for_health.remove(oldest)) {
            place.evicted.cancel();
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match self.kind {
            PlaceKind::Ordinary(network) => {
                open.ordinary -= 1;
                if let Some(network) = network
                    && let Some(count) = open.by_network.get_mut(&network)
                {
                    *count -= 1;
                    if *count == 0 {
                        open.by_network.remove(&network);
                    }
                }
            }
            PlaceKind::ForHealth(id) => open.for_health.retain(|it| it.id != id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "connections may have no address")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_connection_beyond_a_cap_is_for_health_until_a_place_is_free() {
        let caps = Caps::new(3, 2);
        let is_ordinary = |at: &str| caps.enter(address(at)).1.is_none();
        let first = caps.enter(address("10.0.0.1"));
        let _second = caps.enter(address("10.0.0.1"));
        assert!(!is_ordinary("10.0.0.1"), "the cap of the address");
        let _third = caps.enter(address("10.0.0.2"));
        assert!(!is_ordinary("10.0.0.3"), "the cap of all");
        drop(first);
        assert!(is_ordinary("10.0.0.1"));
    }

    #[test]
    fn the_addresses_of_one_subscriber_count_as_one() {
        let caps = Caps::new(10, 1);
        let _first = caps.enter(address("2001:db8::1"));
        assert!(caps.enter(address("2001:db8::2")).1.is_some());
        assert!(caps.enter(address("2001:db8:0:1::1")).1.is_none());
        let _fourth = caps.enter(address("10.0.0.1"));
        assert!(caps.enter(address("::ffff:10.0.0.1")).1.is_some(), "the same address, written as IPv6");
    }

    #[test]
    fn who_floods_the_places_for_health_loses_them_to_others() {
        let caps = Caps::new(0, 0);
        let flood: Vec<_> = (0..HEALTH_PLACES * 3).map(|_| caps.enter(address("10.0.0.1"))).collect();
        let (_place, probe) = caps.enter(address("10.0.0.2"));
        let more: Vec<_> = (0..HEALTH_PLACES * 3).map(|_| caps.enter(address("10.0.0.1"))).collect();
        assert!(probe.is_some_and(|evicted| !evicted.is_cancelled()), "the probe keeps its place");
        let kept =
            flood.iter().chain(&more).filter(|(_, evicted)| !evicted.as_ref().expect("for health").is_cancelled());
        assert_eq!(kept.count(), HEALTH_PLACES - 1);
    }
}
