//! Guessed passwords, while an honest fan logs in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{LogInRequest, SignUpRequest};
use futures::future::join_all;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use super::Target;
use crate::attack::neighbour::new_id;
use crate::attack::wire::connect;

const AT_ONCE: usize = 120;
/// Over how many accounts the guesses go: a guess for an account that must wait costs no hash.
const ACCOUNTS: usize = 40;
const HONEST_PAUSE: Duration = Duration::from_millis(500);
const PASSWORD: &str = "correct horse";

pub(super) async fn run(target: Target, stop: CancellationToken) -> String {
    match attacked(&target, &stop).await {
        Ok(seen) => seen,
        Err(failed) => format!("the attack could not be run: {}", failed.message()),
    }
}

async fn attacked(target: &Target, stop: &CancellationToken) -> Result<String, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{}", target.address));
    let endpoint = endpoint.map_err(|error| Status::internal(error.to_string()))?;
    let honest = endpoint.connect_lazy();
    let address = target.address.clone();
    let guesser = endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let address = address.clone();
        async move { connect(&address).await.map(TokioIo::new) }
    }));
    let email = format!("{}@example.com", new_id());
    let sign_up = SignUpRequest {
        email: email.clone(),
        password: PASSWORD.into(),
        display_name: "Fan".into(),
        ..SignUpRequest::default()
    };
    IdentityServiceClient::new(honest.clone()).sign_up(sign_up).await?;
    let (wrong, told_to_wait) = (AtomicU64::new(0), AtomicU64::new(0));
    let guessing = join_all((0..AT_ONCE).map(|number| {
        let (guesser, wrong, told_to_wait) = (&guesser, &wrong, &told_to_wait);
        async move {
            while !stop.is_cancelled() {
                let email = format!("nobody-{}@example.com", number % ACCOUNTS);
                let code = log_in(guesser, &email, "a wrong guess").await.code();
                let count = if code == Code::Unauthenticated { wrong } else { told_to_wait };
                count.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        }
    }));
    let logging_in = async {
        let (mut answered, mut refused, mut longest) = (0, 0, Duration::ZERO);
        while !stop.is_cancelled() {
            let began = Instant::now();
            let code = log_in(&honest, &email, PASSWORD).await.code();
            if code == Code::Ok {
                answered += 1;
            } else {
                refused += 1;
            }
            longest = longest.max(began.elapsed());
            sleep(HONEST_PAUSE).await;
        }
        format!("{answered} honest log-ins answered and {refused} refused, the longest in {} ms", longest.as_millis())
    };
    let (_, honest) = tokio::join!(guessing, logging_in);
    Ok(format!("{} wrong guesses, {} told to wait; {honest}", wrong.into_inner(), told_to_wait.into_inner()))
}

async fn log_in(channel: &Channel, email: &str, password: &str) -> Status {
    let message = LogInRequest { email: email.to_owned(), password: password.to_owned(), ..LogInRequest::default() };
    match IdentityServiceClient::new(channel.clone()).log_in(message).await {
        Ok(_) => Status::ok(""),
        Err(refusal) => refusal,
    }
}
