//! The nodes of a Redis Cluster behind one connection.

use std::sync::Arc;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster_routing::Slot;
use redis::{
    Arg, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture, ServerError, ServerErrorKind, Value,
};

use crate::cluster_nodes::{Address, ClusterNodes};

/// Sends each command to the node that has its key. What a node refuses because the slot has moved is sent once more, to where
/// it is now; nothing that may have been done is sent twice. While a node is away, only the commands of its slots fail.
#[derive(Clone)]
pub(crate) struct Cluster {
    nodes: Arc<ClusterNodes>,
    /// The slot of the script that was called last: its node is the one to teach it to.
    called: Option<Slot>,
}

impl Cluster {
    /// Learns of all nodes from those that are named.
    pub(crate) async fn connect(named: &[ConnectionInfo]) -> Result<Self, RedisError> {
        Ok(Self { nodes: ClusterNodes::connect(named).await?, called: None })
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut node = self.nodes.of(slot_of(command)?)?;
        let reply = node.req_packed_command(command).await.and_then(Value::extract_error);
        match reply.as_ref().err().and_then(|error| self.heed(error)) {
            Some(mut node) => node.req_packed_command(command).await,
            None => reply,
        }
    }

    /// Asks all of one slot at once, and otherwise each by itself.
    async fn ask_all(&self, commands: &Pipeline, offset: usize, count: usize) -> Result<Vec<Value>, RedisError> {
        let slots = commands.cmd_iter().map(slot_of).collect::<Result<Vec<_>, _>>()?;
        let one_slot = slots.windows(2).all(|pair| pair[0] == pair[1]);
        match slots.first() {
            Some(slot) if one_slot => self.ask_together(*slot, commands, offset, count).await,
            Some(_) if commands.is_transaction() => {
                Err((ErrorKind::Client, "a transaction is about one performance").into())
            }
            Some(_) | None => futures::future::try_join_all(commands.cmd_iter().map(|command| self.ask(command))).await,
        }
    }

    async fn ask_together(
        &self,
        slot: Slot,
        commands: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let replies = self.nodes.of(slot)?.req_packed_commands(commands, offset, count).await;
        // If the first was refused, so were all.
        let refusal = match &replies {
            Err(error) => Some(error.clone()),
            Ok(replies) => replies.first().and_then(|reply| reply.clone().extract_error().err()),
        };
        match refusal.and_then(|error| self.heed(&error)) {
            Some(mut node) => node.req_packed_commands(commands, offset, count).await,
            None => replies,
        }
    }

    /// Teaches a script to the node that did not know it, and to no other: any of them may be away.
    async fn teach(&self, script: &Cmd) -> Result<Value, RedisError> {
        let slot = self.called.ok_or((ErrorKind::Client, "no script was called"))?;
        self.nodes.of(slot)?.req_packed_command(script).await
    }

    /// Draws from an error what it says about the nodes. Answers whom to ask instead, if what was asked was not done because
    /// its slot has moved.
    fn heed(&self, error: &RedisError) -> Option<ConnectionManager> {
        if error.is_io_error() {
            self.nodes.learn_soon();
        }
        let errors = error.clone().into_server_errors()?;
        let (slot, address) = errors.iter().find_map(|(_, error)| moved(error))?;
        self.nodes.moved(slot, &address)
    }
}

impl ConnectionLike for Cluster {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        if command.args_iter().next() == Some(Arg::Simple(b"SCRIPT")) {
            return Box::pin(self.teach(command));
        }
        self.called = slot_of(command).ok();
        Box::pin(self.ask(command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.ask_all(commands, offset, count))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// The slot of a command's first key; all its keys have the same hash tag. It is the first word behind the name, and of a
/// script the first behind its hash and how many keys there are.
fn slot_of(command: &Cmd) -> Result<Slot, RedisError> {
    let mut words = command.args_iter();
    let key = if words.next() == Some(Arg::Simple(b"EVALSHA")) { words.nth(2) } else { words.next() };
    if let Some(Arg::Simple(key)) = key {
        return Ok(Slot::for_key(key));
    }
    Err((ErrorKind::Client, "a command without a key belongs to no node").into())
}

/// Reads `MOVED 3999 127.0.0.1:6381`.
fn moved(error: &ServerError) -> Option<(Slot, Address)> {
    let details = error.details().filter(|_| error.kind() == Some(ServerErrorKind::Moved))?;
    let (slot, address) = details.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((Slot::new(slot.parse().ok()?)?, Address { host: host.to_owned(), port: port.parse().ok()? }))
}
