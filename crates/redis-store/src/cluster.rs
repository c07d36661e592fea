//! Routes commands to the nodes of a Redis Cluster.

use std::sync::Arc;

use futures::future::select_ok;
use redis::aio::ConnectionLike;
use redis::cluster_routing::Slot;
use redis::{
    Arg, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, ServerError,
    ServerErrorKind, Value,
};

use crate::cluster_nodes::{Address, ClusterNodes};
use crate::server_pool::ServerPool;

/// Sends each command to the node that serves the slot of its key.
///
/// A command that is refused with `MOVED` was not executed, and is sent once more, to the node that the refusal names. No
/// other command is sent twice. While a node is unavailable, only the commands for its slots fail.
#[derive(Clone)]
pub(crate) struct Cluster {
    nodes: Arc<ClusterNodes>,
    /// The slot of the last command. `SCRIPT LOAD` has no key, and goes to the node that replied `NOSCRIPT`.
    last_slot: Option<Slot>,
}

impl Cluster {
    /// Discovers the cluster through the configured nodes.
    pub(crate) async fn connect(seeds: &[ConnectionInfo]) -> Result<Self, RedisError> {
        Ok(Self { nodes: ClusterNodes::connect(seeds).await?, last_slot: None })
    }

    /// Sends a command without a key to all nodes, because any may be unavailable. The first reply counts.
    pub(crate) async fn send_to_any<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let nodes = self.nodes.all().into_iter();
        let replies = nodes.map(|mut node| Box::pin(async move { command.query_async(&mut node).await }));
        Ok(select_ok(replies).await?.0)
    }

    async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut node = self.nodes.of(slot_of(command)?)?;
        let reply = node.req_packed_command(command).await.and_then(Value::extract_error);
        match reply.as_ref().err().and_then(|error| self.handle_error(error)) {
            Some(mut node) => node.req_packed_command(command).await,
            None => reply,
        }
    }

    /// Sends a pipeline to one node if all its commands have the same slot. Otherwise the commands are sent one by one,
    /// concurrently.
    async fn send_all(&self, commands: &Pipeline, offset: usize, count: usize) -> Result<Vec<Value>, RedisError> {
        let slots = commands.cmd_iter().map(slot_of).collect::<Result<Vec<_>, _>>()?;
        let one_slot = slots.windows(2).all(|pair| pair[0] == pair[1]);
        match slots.first() {
            Some(slot) if one_slot => self.send_to_slot(*slot, commands, offset, count).await,
            Some(_) if commands.is_transaction() => {
                Err((ErrorKind::Client, "the commands of a transaction have keys in several slots").into())
            }
            Some(_) | None => {
                futures::future::try_join_all(commands.cmd_iter().map(|command| self.send(command))).await
            }
        }
    }

    async fn send_to_slot(
        &self,
        slot: Slot,
        commands: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let replies = self.nodes.of(slot)?.req_packed_commands(commands, offset, count).await;
        // The slot has moved for all commands of the pipeline or for none.
        let refusal = match &replies {
            Err(error) => Some(error.clone()),
            Ok(replies) => replies.first().and_then(|reply| reply.clone().extract_error().err()),
        };
        match refusal.and_then(|error| self.handle_error(&error)) {
            Some(mut node) => node.req_packed_commands(commands, offset, count).await,
            None => replies,
        }
    }

    /// Loads a script on the node that replied `NOSCRIPT`, and on no other, because any other may be unavailable.
    async fn load_script(&self, script: &Cmd) -> Result<Value, RedisError> {
        let slot = self.last_slot.ok_or((ErrorKind::Client, "SCRIPT LOAD was sent before any script was run"))?;
        self.nodes.of(slot)?.req_packed_command(script).await
    }

    /// Refreshes the slot map if the error shows that it may be stale. Returns the node to retry on if the slot has moved.
    fn handle_error(&self, error: &RedisError) -> Option<ServerPool> {
        if error.is_io_error() {
            self.nodes.refresh_in_background();
        }
        let errors = error.clone().into_server_errors()?;
        let (slot, address) = errors.iter().find_map(|(_, error)| moved(error))?;
        self.nodes.moved(slot, &address)
    }
}

impl ConnectionLike for Cluster {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        if command.args_iter().next() == Some(Arg::Simple(b"SCRIPT")) {
            return Box::pin(self.load_script(command));
        }
        self.last_slot = slot_of(command).ok();
        Box::pin(self.send(command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.send_all(commands, offset, count))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// The slot of a command's first key. All keys of a command have the same hash tag. The first key is the first argument, and
/// of `EVALSHA` the third, after the hash and the number of keys.
fn slot_of(command: &Cmd) -> Result<Slot, RedisError> {
    let mut args = command.args_iter();
    let key = if args.next() == Some(Arg::Simple(b"EVALSHA")) { args.nth(2) } else { args.next() };
    if let Some(Arg::Simple(key)) = key {
        return Ok(Slot::for_key(key));
    }
    Err((ErrorKind::Client, "a command without a key cannot be routed to a node").into())
}

/// Parses a refusal such as `MOVED 3999 127.0.0.1:6381`.
fn moved(error: &ServerError) -> Option<(Slot, Address)> {
    let details = error.details().filter(|_| error.kind() == Some(ServerErrorKind::Moved))?;
    let (slot, address) = details.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((Slot::new(slot.parse().ok()?)?, Address { host: host.to_owned(), port: port.parse().ok()? }))
}
