//! Where a rehearsal takes place: servers, an operator, and what is known of what is behind them.

mod local;

use thiserror::Error;
use tonic::Status;

use crate::client::Connections;
use crate::operator::{Bounds, Operator};

pub use local::{LocalInstances, LocalPlan};

/// Why there is no stage.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum StageError {
    #[error("{address} is no address")]
    Address { address: String, source: tonic::transport::Error },
    #[error("the operator cannot log in: {}", .0.message())]
    LogIn(Status),
    #[error("the private stores cannot be started: {0}")]
    Stores(String),
    #[error("an instance cannot be run")]
    Spawn(#[from] std::io::Error),
    #[error("instance {number} does not serve; its log is {log}")]
    Silent { number: usize, log: String },
    #[error("instance {number} has ended; its log is {log}")]
    Ended { number: usize, log: String },
    #[error("the operator cannot be created; see {log}")]
    CreateOperator { log: String },
}

/// Who logs in as the operator.
#[derive(Clone)]
pub struct OperatorLogin {
    /// An operator's address.
    pub email: String,
    /// Their password.
    pub password: String,
}

impl std::fmt::Debug for OperatorLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorLogin").field("email", &self.email).finish_non_exhaustive()
    }
}

/// The stores behind the servers, where they are known.
#[derive(Clone, Debug, Default)]
pub struct StoreUrls {
    /// A `postgres://` URL.
    pub database: Option<String>,
    /// A `redis://` URL.
    pub redis: Option<String>,
    /// How many connections to Postgres each instance may have.
    pub pool_size: u32,
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// A server in this process, on stores in this process.
    Embedded,
    /// Instances of this very program, on a private Postgres and Redis.
    Local,
    /// Servers that run already.
    Address,
}

impl StageKind {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Local => "local",
            Self::Address => "address",
        }
    }
}

/// A place with everything that a rehearsal needs.
#[derive(Debug)]
pub struct Stage {
    /// What kind of place.
    pub kind: StageKind,
    /// Where the instances are.
    pub addresses: Vec<String>,
    /// The crowd's connections to them.
    pub connections: Connections,
    /// Who runs the sale.
    pub operator: Operator,
    /// The stores behind the servers.
    pub stores: StoreUrls,
    /// The processes, if they are ours.
    pub instances: Option<LocalInstances>,
    login: OperatorLogin,
    bounds: Bounds,
}

impl Stage {
    /// A stage on servers that run.
    pub async fn at(
        kind: StageKind,
        addresses: Vec<String>,
        connections_per_instance: usize,
        login: OperatorLogin,
        stores: StoreUrls,
        bounds: Bounds,
    ) -> Result<Self, StageError> {
        let connections = Connections::to(&addresses, connections_per_instance);
        let connections =
            connections.map_err(|source| StageError::Address { address: addresses.join(", "), source })?;
        let operator = Operator::log_in(connections.turn(0), &login, bounds.clone()).await;
        let operator = operator.map_err(StageError::LogIn)?;
        Ok(Self { kind, addresses, connections, operator, stores, instances: None, login, bounds })
    }

    /// A stage of instances of this very program.
    pub async fn local(plan: LocalPlan, connections_per_instance: usize, bounds: Bounds) -> Result<Self, StageError> {
        let (instances, login) = LocalInstances::start(plan).await?;
        let (addresses, stores) = (instances.addresses(), instances.stores());
        let stage = Self::at(StageKind::Local, addresses, connections_per_instance, login, stores, bounds).await?;
        Ok(Self { instances: Some(instances), ..stage })
    }

    /// The operator with a fresh token, from the instance whose turn it is: the first token may have expired by the end, and
    /// the first instance may be gone.
    pub(crate) async fn log_in_again(&self, turn: u64) -> Result<Operator, Status> {
        Operator::log_in(self.connections.turn(turn), &self.login, self.bounds.clone()).await
    }
}
