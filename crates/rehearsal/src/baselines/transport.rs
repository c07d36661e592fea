//! The ceiling of the transport: a call that does nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::Request;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::baselines::BaselineError;
use crate::load::{Counted, Load, Outcome, Saturated};

/// The call that does nothing.
pub const HEALTH_CHECK: &str = "Health/Check";
/// How long a check may take: a server that needs longer hangs.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Health checks over all channels, which take turns.
#[derive(Clone, Debug)]
pub struct TransportBaseline {
    channels: Vec<Channel>,
}

impl TransportBaseline {
    /// Asks once, so that a server without health checks is found before the first slice.
    pub async fn connect(channels: Vec<Channel>) -> Result<Self, BaselineError> {
        let first = channels.first().ok_or(BaselineError::NoChannel)?.clone();
        HealthClient::new(first).check(whole()).await.map_err(|status| BaselineError::Transport(Box::new(status)))?;
        Ok(Self { channels })
    }

    /// What it does, in a sentence.
    pub fn about(&self) -> String {
        format!(
            "Asks the server for its health over {} connections: a gRPC call with all layers around it and nothing to do.",
            self.channels.len()
        )
    }

    /// How many checks the server answers.
    pub async fn measure(&self, load: &Load, saturated: Saturated) -> Counted {
        load.closed_loop(saturated, health_checks(&self.channels)).await
    }
}

/// Health checks over these channels, of which there is at least one, which take turns by the number of the call.
pub fn health_checks(channels: &[Channel]) -> impl Fn(u64) -> BoxFuture<'static, Outcome> + Clone + Send + 'static {
    let clients: Arc<[_]> = channels.iter().cloned().map(HealthClient::new).collect();
    move |number| {
        let turn = usize::try_from(number).unwrap_or_default() % clients.len();
        let mut client = clients[turn].clone();
        async move { Outcome::of(&client.check(whole()).await) }.boxed()
    }
}

/// Asks about the server as a whole.
fn whole() -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    request.set_timeout(CHECK_TIMEOUT);
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;

    const FEW: Saturated = Saturated { in_flight: 4, lasts: Duration::from_mins(1), calls_max: 100 };

    fn load() -> Load {
        Load { stop: CancellationToken::new() }
    }

    #[tokio::test]
    async fn every_check_is_answered_through_any_channel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (_, health) = tonic_health::server::health_reporter();
        tokio::spawn(Server::builder().add_service(health).serve_with_incoming(TcpIncoming::from(listener)));
        let channel = || Channel::from_shared(address.clone()).expect("an address").connect_lazy();
        let baseline = TransportBaseline::connect(vec![channel(), channel(), channel()]).await.expect("it answers");
        let measured = baseline.measure(&load(), FEW).await;
        assert_eq!((measured.successes(), measured.calls()), (100, 100));
    }

    #[tokio::test]
    async fn a_server_that_is_silent_has_no_ceiling_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let silent = Channel::from_shared(address).expect("an address").connect_lazy();
        let begun = std::time::Instant::now();
        assert!(matches!(TransportBaseline::connect(vec![silent]).await, Err(BaselineError::Transport(_))));
        assert!(begun.elapsed() < CHECK_TIMEOUT * 2);
    }

    #[tokio::test]
    async fn without_a_server_there_is_no_ceiling() {
        let nobody = Channel::from_static("http://127.0.0.1:1").connect_lazy();
        assert!(matches!(TransportBaseline::connect(vec![nobody]).await, Err(BaselineError::Transport(_))));
        assert!(matches!(TransportBaseline::connect(vec![]).await, Err(BaselineError::NoChannel)));
    }
}
