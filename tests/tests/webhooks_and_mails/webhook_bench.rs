//! Stores with endpoints of webhooks on this machine.

use std::sync::Arc;

use encore_app::contexts::PerformanceContexts;
use encore_app::webhooks::{WebhookParts, WebhookUseCases, WithSecret};
use encore_domain::audit_log::StaffCall;
use encore_domain::event::Event;
use encore_domain::identity::session::Secret;
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::{EndpointId, UserId};
use encore_domain::page::PageRequest;
use encore_domain::webhook::{EndpointUrl, WebhookDelivery, WebhookEndpoint, WebhookFilter};
use encore_events::{HttpWebhookSender, Reach, WebhookDeliverer, WebhookDelivererParts};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::webhook_receiver::Receiver;
use encore_tests::world::{embedded_ports, variable};
use tokio_util::sync::CancellationToken;

/// Stores, and what sends their events to this machine.
pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) ports: Ports,
    pub(crate) operator: UserId,
    _database: Option<ScratchDatabase>,
}

impl Bench {
    async fn on(clock: Arc<TestClock>, ports: Ports, database: Option<ScratchDatabase>) -> Self {
        let ports = Ports { webhook_sender: Arc::new(HttpWebhookSender::new(Reach::Anywhere)), ..ports };
        let account = fixtures::account();
        let operator = account.user.id;
        ports.users.add_all(vec![account]).await.expect("a user");
        Self { clock, ports, operator, _database: database }
    }

    pub(crate) async fn embedded() -> Self {
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock));
        Self::on(clock, ports, None).await
    }

    /// On the embedded stores, and on Postgres.
    pub(crate) async fn both() -> [Self; 2] {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock)).on_postgres(&database.config()).await;
        [Self::embedded().await, Self::on(clock, ports.expect("Postgres is available"), Some(database)).await]
    }

    pub(crate) fn webhooks(&self) -> WebhookUseCases {
        let ports = self.ports.clone();
        WebhookUseCases::new(WebhookParts {
            endpoints: ports.webhook_endpoints,
            deliveries: ports.webhook_deliveries,
            sender: ports.webhook_sender,
            seals: ports.secret_seals,
            outbox: ports.outbox,
            contexts: PerformanceContexts::new(ports.catalog),
            clock: ports.clock,
            ids: ports.ids,
        })
    }

    /// Adds an endpoint that only a sender of the test reaches.
    pub(crate) async fn add_anywhere(&self) -> EndpointId {
        let url = EndpointUrl::parse("https://hooks.example.com/").expect("a URL");
        let request = fixtures::request(self.operator);
        let created = self.webhooks().create(self.call(), url, WebhookFilter::default(), request).await;
        created.expect("an endpoint").endpoint.id
    }

    pub(crate) fn deliverer(&self) -> WebhookDeliverer {
        let Ports { outbox, webhook_deliveries, secret_seals, webhook_sender, catalog, clock, ids, .. } =
            self.ports.clone();
        let (deliveries, seals, sender) = (webhook_deliveries, secret_seals, webhook_sender);
        WebhookDeliverer::new(WebhookDelivererParts { outbox, deliveries, seals, sender, catalog, clock, ids })
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller { user: self.operator, role: Role::Operator }
    }

    /// A call of the operator.
    pub(crate) fn call(&self) -> StaffCall {
        StaffCall { caller: self.caller(), rpc: "WebhookService", request: None }
    }

    pub(crate) async fn add(&self, receiver: &Receiver) -> (EndpointId, Secret) {
        self.add_for(receiver, WebhookFilter::default()).await
    }

    pub(crate) async fn add_for(&self, receiver: &Receiver, filter: WebhookFilter) -> (EndpointId, Secret) {
        let url = EndpointUrl::parse(&receiver.url).expect("a URL");
        let created = self.webhooks().create(self.call(), url, filter, fixtures::request(self.operator)).await;
        let WithSecret { endpoint, secret } = created.expect("an endpoint");
        (endpoint.id, secret.expect("its secret"))
    }

    /// Writes an event that can be read, and returns its id.
    pub(crate) async fn event(&self) -> String {
        let top_up = fixtures::top_up(self.operator, fixtures::euros(1));
        let entry = self.ports.wallets.top_up(top_up, fixtures::request(self.operator)).await.expect("a top-up");
        self.ports.outbox.close_window().await.expect("the store answers");
        Event::WalletToppedUp { user: self.operator, entry: entry.into_inner() }.id()
    }

    pub(crate) async fn events(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.event().await);
        }
        ids.sort_unstable();
        ids
    }

    pub(crate) async fn endpoint(&self, id: EndpointId) -> WebhookEndpoint {
        self.webhooks().get(id).await.expect("the endpoint")
    }

    pub(crate) async fn deliveries(&self, id: EndpointId) -> Vec<WebhookDelivery> {
        self.webhooks().deliveries(id, false, PageRequest::first(100)).await.expect("a page").items
    }
}

/// Sends what is to be sent now, and waits for it.
pub(crate) async fn deliver(deliverer: &WebhookDeliverer) {
    deliverer.step(&CancellationToken::new()).await.expect("the stores answer");
    deliverer.finish().await;
}
