//! The slot map of a Redis Cluster, and a pool of connections to each node.
//!
//! The cluster connection of the `redis` crate is not used: while it reconnects to an unavailable node, it delays the commands
//! for all other nodes. With one node that neither accepted nor refused connections, the others executed three commands a
//! second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::future::select_ok;
use redis::cluster_routing::Slot;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, Value, from_redis_value};
use tokio::time::sleep;

use crate::server_pool::ServerPool;

/// The shortest time between two refreshes of the slot map.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

/// The address of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The nodes of a cluster.
pub(crate) struct ClusterNodes {
    /// The credentials and settings of the connections to all nodes.
    login: ConnectionInfo,
    /// The configured nodes.
    seeds: Vec<Address>,
    map: RwLock<SlotMap>,
    refreshing: AtomicBool,
}

#[derive(Default)]
struct SlotMap {
    by_address: HashMap<Address, ServerPool>,
    by_slot: HashMap<Slot, ServerPool>,
}

const UNREADABLE: (ErrorKind, &str) = (ErrorKind::UnexpectedReturnType, "the reply of CLUSTER SLOTS cannot be parsed");

/// The first slot, the last slot, and the node that serves them.
type SlotRange = (u16, u16, Address);

impl ClusterNodes {
    /// Reads the slot map from the configured node that replies first. The others may be unavailable.
    pub(crate) async fn connect(seeds: &[ConnectionInfo]) -> Result<Arc<Self>, RedisError> {
        let login = seeds.first().cloned().ok_or((ErrorKind::InvalidClientConfig, "no node is configured"))?;
        let seeds = seeds.iter().map(address).collect::<Result<Vec<_>, _>>()?;
        let nodes = Self { login, seeds, map: RwLock::default(), refreshing: AtomicBool::default() };
        for address in &nodes.seeds {
            nodes.pool(&mut nodes.write(), address)?;
        }
        nodes.refresh().await?;
        Ok(Arc::new(nodes))
    }

    /// The node that serves a slot, according to the slot map.
    pub(crate) fn of(self: &Arc<Self>, slot: Slot) -> Result<ServerPool, RedisError> {
        let node = self.read().by_slot.get(&slot).cloned();
        node.ok_or_else(|| {
            self.refresh_in_background();
            (ErrorKind::ClusterConnectionNotFound, "no node serves the slot").into()
        })
    }

    /// All nodes. There is at least one.
    pub(crate) fn all(&self) -> Vec<ServerPool> {
        self.read().by_address.values().cloned().collect()
    }

    /// Records the new node of a slot and returns it. Other slots may have moved too, so the slot map is refreshed.
    pub(crate) fn moved(self: &Arc<Self>, slot: Slot, to: &Address) -> Option<ServerPool> {
        self.refresh_in_background();
        let mut map = self.write();
        let node = self.pool(&mut map, to).ok()?;
        map.by_slot.insert(slot, node.clone());
        Some(node)
    }

    /// Refreshes the slot map in a task of its own, unless such a task is running.
    pub(crate) fn refresh_in_background(self: &Arc<Self>) {
        if self.refreshing.swap(true, Ordering::Relaxed) {
            return;
        }
        let nodes = Arc::clone(self);
        tokio::spawn(async move {
            // If no node replies, the next command that fails requests another refresh.
            let _refreshed = nodes.refresh().await;
            sleep(REFRESH_INTERVAL).await;
            nodes.refreshing.store(false, Ordering::Relaxed);
        });
    }

    /// Requests the slot map from all nodes concurrently, because any may be unavailable, and uses the first reply.
    async fn refresh(&self) -> Result<(), RedisError> {
        let nodes = self.read().by_address.clone();
        let replies = nodes.into_iter().map(|(address, mut node)| {
            Box::pin(async move {
                let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut node).await?;
                read_ranges(&ranges, &address)
            })
        });
        let (ranges, _others) = select_ok(replies).await?;
        let mut map = self.write();
        map.by_slot.clear();
        for (first, last, address) in &ranges {
            let node = self.pool(&mut map, address)?;
            map.by_slot.extend((*first..=*last).filter_map(Slot::new).map(|slot| (slot, node.clone())));
        }
        let in_use = |address: &Address| ranges.iter().any(|(.., at)| at == address) || self.seeds.contains(address);
        map.by_address.retain(|address, _| in_use(address));
        Ok(())
    }

    /// The pool of a node, which is created if there is none.
    fn pool(&self, map: &mut SlotMap, address: &Address) -> Result<ServerPool, RedisError> {
        if let Some(node) = map.by_address.get(address) {
            return Ok(node.clone());
        }
        let server = self.login.clone().set_addr(at(address, self.login.addr()));
        let node = ServerPool::connect_later(server)?;
        map.by_address.insert(address.clone(), node.clone());
        Ok(node)
    }

    fn read(&self) -> RwLockReadGuard<'_, SlotMap> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, SlotMap> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of a node, encrypted in the same way as another one or not.
fn at(address: &Address, like: &ConnectionAddr) -> ConnectionAddr {
    let Address { host, port } = address.clone();
    if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = like {
        return ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() };
    }
    ConnectionAddr::Tcp(host, port)
}

fn address(node: &ConnectionInfo) -> Result<Address, RedisError> {
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = node.addr() {
        return Ok(Address { host: host.clone(), port: *port });
    }
    Err((ErrorKind::InvalidClientConfig, "the URL of a cluster node must have a host and a port").into())
}

/// Parses the reply of `CLUSTER SLOTS`. Each range has its first slot, its last slot, its primary, and its replicas. A node
/// that does not know its own host replies without one; it has the host that the command was sent to.
fn read_ranges(ranges: &[Vec<Value>], asked: &Address) -> Result<Vec<SlotRange>, RedisError> {
    let read = |range: &Vec<Value>| {
        let [first, last, Value::Array(node), ..] = range.as_slice() else { return Err(UNREADABLE.into()) };
        let [host, port, ..] = node.as_slice() else { return Err(UNREADABLE.into()) };
        let host: Option<String> = from_redis_value(host.clone())?;
        let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| asked.host.clone());
        let address = Address { host, port: from_redis_value(port.clone())? };
        Ok((from_redis_value(first.clone())?, from_redis_value(last.clone())?, address))
    };
    ranges.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(host: Value) -> Vec<Value> {
        let node = |host| Value::Array(vec![host, Value::Int(7_001), Value::SimpleString("id".into())]);
        vec![Value::Int(5), Value::Int(9), node(host), node(Value::SimpleString("replica".into()))]
    }

    #[test]
    fn a_range_is_served_by_its_primary() {
        let asked = Address { host: "asked".into(), port: 7_000 };
        let at = |host: &str| Address { host: host.into(), port: 7_001 };
        for (host, address) in [
            (Value::SimpleString("10.0.0.1".into()), at("10.0.0.1")),
            (Value::SimpleString(String::new()), at("asked")),
            (Value::Nil, at("asked")),
        ] {
            assert_eq!(read_ranges(&[range(host)], &asked).expect("readable"), [(5, 9, address)]);
        }
    }

    #[test]
    fn a_malformed_range_is_refused() {
        let asked = Address { host: "asked".into(), port: 7_000 };
        for range in [vec![], vec![Value::Int(5), Value::Int(9)], vec![Value::Int(5), Value::Int(9), Value::Nil]] {
            assert!(read_ranges(&[range], &asked).is_err());
        }
    }
}
