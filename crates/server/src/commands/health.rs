//! `encore health`.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::commands::CommandError;
use crate::output::print_line;

/// How long to wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The arguments of `encore health`.
#[derive(Args)]
pub struct HealthArgs {
    /// The address that the instance listens on. If that is every address, it is asked on the loopback.
    #[arg(long, env = "ENCORE_LISTEN", default_value = "127.0.0.1:50051")]
    listen: String,
    /// The service to ask for, such as `encore.queue.v1.QueueService`, or `liveness`. Default: the instance.
    #[arg(long, default_value = "", hide_default_value = true)]
    service: String,
}

/// Asks an instance for its health and prints the answer.
pub async fn run(args: &HealthArgs) -> Result<(), CommandError> {
    let listens: Result<SocketAddr, _> = args.listen.parse();
    let address = reachable(listens.map_err(|error| CommandError::Usage(format!("ENCORE_LISTEN: {error}")))?);
    let answer = timeout(ANSWER_WITHIN, ask(address, &args.service)).await;
    let status = answer.unwrap_or_else(|_| format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
    if status == ServingStatus::Serving.as_str_name() {
        return Ok(print_line(&status)?);
    }
    let what = if args.service.is_empty() { "the instance" } else { args.service.as_str() };
    Err(CommandError::NotServing { address, what: what.to_owned(), status })
}

/// What the instance answers, or why it does not.
async fn ask(address: SocketAddr, service: &str) -> String {
    let connected = match Endpoint::from_shared(format!("http://{address}")) {
        Ok(endpoint) => endpoint.connect().await,
        Err(error) => Err(error),
    };
    let channel = match connected {
        Ok(channel) => channel,
        Err(error) => return with_causes(&error),
    };
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(channel).check(request).await {
        Ok(answer) => answer.into_inner().status().as_str_name().to_owned(),
        Err(status) => status.message().to_owned(),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Where a process on the same machine reaches an instance that listens there.
fn reachable(mut listens: SocketAddr) -> SocketAddr {
    if listens.ip().is_unspecified() {
        let loopback = if listens.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
        listens.set_ip(loopback);
    }
    listens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_on_every_address_is_asked_on_the_loopback() {
        for (listens, asked) in
            [("0.0.0.0:50051", "127.0.0.1:50051"), ("[::]:50051", "[::1]:50051"), ("10.1.2.3:50051", "10.1.2.3:50051")]
        {
            assert_eq!(reachable(listens.parse().expect("an address")), asked.parse().expect("an address"));
        }
    }
}
