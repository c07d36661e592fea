//! Which node of a Redis Cluster has which slot, and a connection to each.
//!
//! The `redis` crate has a connection to clusters too. It makes all commands wait while it looks for a node that is away:
//! with one that neither answers nor refuses connections, three commands a second came through to the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::future::select_ok;
use redis::aio::ConnectionManager;
use redis::cluster_routing::Slot;
use redis::{Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, Value, from_redis_value};
use tokio::time::sleep;

use crate::connection::manager_config;

/// How often the nodes are asked for the slots at most, whatever happens.
const LEARN_EVERY: Duration = Duration::from_millis(200);

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// All nodes of a cluster.
pub(crate) struct ClusterNodes {
    /// How to log in to any of them.
    login: ConnectionInfo,
    named: Vec<Address>,
    known: RwLock<Known>,
    learning: AtomicBool,
}

#[derive(Default)]
struct Known {
    by_address: HashMap<Address, ConnectionManager>,
    by_slot: HashMap<Slot, ConnectionManager>,
}

const UNREADABLE: (ErrorKind, &str) = (ErrorKind::UnexpectedReturnType, "the slots cannot be read");

/// The first slot, the last, and who has them.
type SlotRange = (u16, u16, Address);

impl ClusterNodes {
    /// Learns the slots from whichever of those named answers first. To the others a connection is made when they are asked.
    pub(crate) async fn connect(named: &[ConnectionInfo]) -> Result<Arc<Self>, RedisError> {
        let login = named.first().cloned().ok_or((ErrorKind::InvalidClientConfig, "no node is named"))?;
        let named = named.iter().map(address).collect::<Result<Vec<_>, _>>()?;
        let nodes = Self { login, named, known: RwLock::default(), learning: AtomicBool::default() };
        for address in &nodes.named {
            nodes.at(&mut nodes.write(), address)?;
        }
        nodes.learn().await?;
        Ok(Arc::new(nodes))
    }

    /// The node that has a slot, as far as is known.
    pub(crate) fn of(self: &Arc<Self>, slot: Slot) -> Result<ConnectionManager, RedisError> {
        let node = self.read().by_slot.get(&slot).cloned();
        node.ok_or_else(|| {
            self.learn_soon();
            (ErrorKind::ClusterConnectionNotFound, "no node has the slot").into()
        })
    }

    /// Takes note of where a slot is now; others may have moved as well.
    pub(crate) fn moved(self: &Arc<Self>, slot: Slot, to: &Address) -> Option<ConnectionManager> {
        self.learn_soon();
        let mut known = self.write();
        let node = self.at(&mut known, to).ok()?;
        known.by_slot.insert(slot, node.clone());
        Some(node)
    }

    /// Has the slots learnt anew. Nobody waits for it.
    pub(crate) fn learn_soon(self: &Arc<Self>) {
        if self.learning.swap(true, Ordering::Relaxed) {
            return;
        }
        let nodes = Arc::clone(self);
        tokio::spawn(async move {
            // If nobody answers, whoever asks for anything else finds that out as well.
            let _learnt = nodes.learn().await;
            sleep(LEARN_EVERY).await;
            nodes.learning.store(false, Ordering::Relaxed);
        });
    }

    /// Asks all nodes at once, since any may be away, and believes the first answer.
    async fn learn(&self) -> Result<(), RedisError> {
        let nodes = self.read().by_address.clone();
        let answers = nodes.into_iter().map(|(address, mut node)| {
            Box::pin(async move {
                let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut node).await?;
                read_ranges(&ranges, &address)
            })
        });
        let (ranges, _others) = select_ok(answers).await?;
        let mut known = self.write();
        known.by_slot.clear();
        for (first, last, address) in &ranges {
            let node = self.at(&mut known, address)?;
            known.by_slot.extend((*first..=*last).filter_map(Slot::new).map(|slot| (slot, node.clone())));
        }
        let is_there = |address: &Address| ranges.iter().any(|(.., at)| at == address) || self.named.contains(address);
        known.by_address.retain(|address, _| is_there(address));
        Ok(())
    }

    fn at(&self, known: &mut Known, address: &Address) -> Result<ConnectionManager, RedisError> {
        if let Some(node) = known.by_address.get(address) {
            return Ok(node.clone());
        }
        let tcp = ConnectionAddr::Tcp(address.host.clone(), address.port);
        let client = Client::open(self.login.clone().set_addr(tcp))?;
        let node = ConnectionManager::new_lazy_with_config(client, manager_config())?;
        known.by_address.insert(address.clone(), node.clone());
        Ok(node)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(node: &ConnectionInfo) -> Result<Address, RedisError> {
    if let ConnectionAddr::Tcp(host, port) = node.addr() {
        return Ok(Address { host: host.clone(), port: *port });
    }
    Err((ErrorKind::InvalidClientConfig, "a node of a cluster is named by host and port").into())
}

/// Reads the answer of `CLUSTER SLOTS`: of each range the first slot, the last, who has it, and then its replicas. A node
/// that does not know its own host is where it was asked.
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
    fn the_master_of_a_range_has_it() {
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
    fn what_is_no_range_is_refused() {
        let asked = Address { host: "asked".into(), port: 7_000 };
        for range in [vec![], vec![Value::Int(5), Value::Int(9)], vec![Value::Int(5), Value::Int(9), Value::Nil]] {
            assert!(read_ranges(&[range], &asked).is_err());
        }
    }
}
