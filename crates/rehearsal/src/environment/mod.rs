//! The environment of a rehearsal: servers, an operator, and the stores behind the servers where they are known.

mod instances;

use thiserror::Error;
use tonic::Status;

use crate::client::Connections;
use crate::operator::{Bounds, Operator, OperatorLogin};

pub use instances::{Instances, InstancesPlan};

/// Why the environment cannot be started.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum EnvironmentError {
    #[error("{address} is no address")]
    Address { address: String, source: tonic::transport::Error },
    #[error("the operator cannot log in: {}", .0.message())]
    LogIn(Status),
    #[error("the private stores cannot be started: {0}")]
    Stores(String),
    #[error("an instance cannot be run")]
    Spawn(#[from] std::io::Error),
    #[error("the server's program is not at {}: build it, or name it with --encore", path.display())]
    NoServer { path: std::path::PathBuf },
    #[error("instance {number} does not serve; its log is {log}")]
    Silent { number: usize, log: String },
    #[error("instance {number} has ended; its log is {log}")]
    Ended { number: usize, log: String },
    #[error("the operator cannot be created; see {log}")]
    CreateOperator { log: String },
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

/// Which kind of environment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentKind {
    /// One server, a process of its own, on stores in that process.
    Embedded,
    /// Instances on a private Postgres and Redis.
    Local,
    /// Servers that run already.
    Address,
}

impl EnvironmentKind {
    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Local => "local",
            Self::Address => "address",
        }
    }
}

/// Everything that a rehearsal runs against.
#[derive(Debug)]
pub struct Environment {
    /// Which kind it is.
    pub kind: EnvironmentKind,
    /// Where the instances are.
    pub addresses: Vec<String>,
    /// The client's connections to them.
    pub connections: Connections,
    /// Who runs the sale.
    pub operator: Operator,
    /// The stores behind the servers.
    pub stores: StoreUrls,
    /// The processes, if they are ours.
    pub instances: Option<Instances>,
    login: OperatorLogin,
    bounds: Bounds,
}

impl Environment {
    /// The processes of the servers, if they are ours.
    pub fn pids(&self) -> Vec<u32> {
        self.instances.as_ref().map(Instances::pids).unwrap_or_default()
    }

    /// An environment of servers that run already.
    pub async fn at(
        kind: EnvironmentKind,
        addresses: Vec<String>,
        connections_per_instance: usize,
        login: OperatorLogin,
        stores: StoreUrls,
        bounds: Bounds,
    ) -> Result<Self, EnvironmentError> {
        let connections = Connections::to(&addresses, connections_per_instance);
        let connections =
            connections.map_err(|source| EnvironmentError::Address { address: addresses.join(", "), source })?;
        let operator = Operator::log_in(connections.turn(0), &login, bounds.clone()).await;
        let operator = operator.map_err(EnvironmentError::LogIn)?;
        Ok(Self { kind, addresses, connections, operator, stores, instances: None, login, bounds })
    }

    /// An environment of instances that are started for it and end with it.
    pub async fn of_instances(
        plan: InstancesPlan,
        connections_per_instance: usize,
        bounds: Bounds,
    ) -> Result<Self, EnvironmentError> {
        let kind = if plan.on_stores { EnvironmentKind::Local } else { EnvironmentKind::Embedded };
        let (instances, login) = Instances::start(plan).await?;
        let (addresses, stores) = (instances.addresses(), instances.stores());
        let environment = Self::at(kind, addresses, connections_per_instance, login, stores, bounds).await?;
        Ok(Self { instances: Some(instances), ..environment })
    }

    /// The operator with a fresh token, from the instance whose turn it is: the first token may have expired by the end, and
    /// the first instance may be gone.
    pub(crate) async fn log_in_again(&self, turn: u64) -> Result<Operator, Status> {
        Operator::log_in(self.connections.turn(turn), &self.login, self.bounds.clone()).await
    }
}
