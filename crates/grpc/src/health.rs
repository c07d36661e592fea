//! The health of each service, as `grpc.health.v1` tells it.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name under which health says whether the process is alive. It stays `SERVING` whatever the stores and the clocks do.
pub const LIVENESS: &str = "liveness";
/// The name of the instance as a whole. Stores do not count for it: one that is away is away for all instances, and taking all of
/// them out of a load balancer would end the streams of fans whose services go on.
const INSTANCE: &str = "";

/// What an instance can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// Whether the instance itself is ready: started, and its clock right.
    pub ready: bool,
    /// Whether the durable records can be reached: the catalogue, reservations, money, users.
    pub records: bool,
    /// Whether the live queues can be reached.
    pub queues: bool,
}

impl Default for Availability {
    /// Everything.
    fn default() -> Self {
        Self { ready: true, records: true, queues: true }
    }
}

/// What a service cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Only the instance itself.
    Instance,
    /// [`Availability::records`]. Live state is made up for, more slowly.
    Records,
    /// [`Availability::queues`]. Settings and records are cached.
    Queues,
}

impl Needs {
    fn are_met(self, available: Availability) -> bool {
        available.ready
            && match self {
                Self::Instance => true,
                Self::Records => available.records,
                Self::Queues => available.queues,
            }
    }
}

/// Reports the health of the services of one server.
pub(crate) struct Health {
    reporter: HealthReporter,
    services: Vec<Service>,
}

struct Service {
    name: &'static str,
    needs: Needs,
    reported: Option<ServingStatus>,
}

impl Health {
    pub(crate) fn new(reporter: HealthReporter) -> Self {
        Self { reporter, services: vec![Service { name: INSTANCE, needs: Needs::Instance, reported: None }] }
    }

    /// Reports a service, too.
    pub(crate) fn add<S: NamedService>(&mut self, _server: &S, needs: Needs) {
        self.services.push(Service { name: S::NAME, needs, reported: None });
    }

    /// Makes the first report.
    pub(crate) async fn start(&mut self, available: Availability) {
        self.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        self.report(available).await;
    }

    /// Reports what has changed since the last report.
    async fn report(&mut self, available: Availability) {
        for Service { name, needs, reported } in &mut self.services {
            let status = if needs.are_met(available) { ServingStatus::Serving } else { ServingStatus::NotServing };
            if reported.replace(status) != Some(status) {
                self.reporter.set_service_status(*name, status).await;
            }
        }
    }

    /// Reports every change until the shutdown begins. Then all services are not serving, and the streams of those who watch their
    /// health end: an open stream would delay the shutdown.
    pub(crate) async fn run(mut self, mut available: watch::Receiver<Availability>, shutdown: CancellationToken) {
        loop {
            let now = *available.borrow_and_update();
            self.report(now).await;
            let changed = async {
                if available.changed().await.is_err() {
                    // Nobody looks any more. What was found last counts.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = changed => {}
                () = shutdown.cancelled() => break,
            }
        }
        self.report(Availability { ready: false, ..Availability::default() }).await;
        for name in self.services.iter().map(|service| service.name).chain([LIVENESS]) {
            self.reporter.clear_service_status(name).await;
        }
        // Whoever asks from now on, on an open connection, is answered all the same.
        self.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        for service in &self.services {
            self.reporter.set_service_status(service.name, ServingStatus::NotServing).await;
        }
    }
}
