//! One instance of Encore: the wiring of ports, use cases, API and workers.

mod accounts;
mod events;
mod money;
mod runtime;

use std::time::Duration;

use encore_app::admin::AdminUseCases;
use encore_app::audit::{AuditParts, AuditUseCases};
use encore_app::booking::{BookingParts, BookingUseCases};
use encore_app::caller_limits::CallerTerms;
use encore_app::cancellation::{CancellationParts, CancellationUseCases};
use encore_app::card_hints::CardHints;
use encore_app::card_saga::CardSaga;
use encore_app::catalog::CatalogUseCases;
use encore_app::drafts::{DraftParts, DraftUseCases};
use encore_app::event_log::EventLogUseCases;
use encore_app::identity::IdentityUseCases;
use encore_app::performance_admin::{PerformanceAdmin, PerformanceAdminParts};
use encore_app::performance_cancellation::{PerformanceCancellationParts, PerformanceCancellations};
use encore_app::queue::{QueueParts, QueueUseCases};
use encore_app::queue_admin::QueueAdminUseCases;
use encore_app::records::{RecordsParts, RecordsUseCases};
use encore_app::rehearsal_fans::RehearsalFans;
use encore_app::request_retention::RequestRetention;
use encore_app::seat_blocks::{SeatBlockParts, SeatBlockUseCases};
use encore_app::sessions::SessionUseCases;
use encore_app::upkeep::{Upkeep, UpkeepParts};
use encore_app::wallet::TopUps;
use encore_domain::identity::email_verification::VerificationPolicy;
use encore_domain::identity::session::SessionTerms;
use encore_domain::payment::refund::CancellationPolicy;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_grpc::{Api, ConnectionLimits, GuardedRpcs, ListenerTls, TrustedProxies};
use encore_payment_gateway::WebhookSecrets;

use self::accounts::{caller_limits, email_verifications, identity, password_resets, personal_data, sessions};
use self::events::{
    alarm_conditions, event_backlog, notifier, queue_fact_publisher, relay, seat_relay, webhook_deliverer, webhooks,
};
use self::money::{card_hints, card_payments, card_saga, money_admin, payments, reconciler, wallet};
use self::runtime::Runtime;
use crate::metrics::{EventBacklog, Promises, Sales};
use crate::ports::Ports;
use crate::roles::Roles;
use crate::store_watch::StoreWatch;
use crate::webhooks::Webhooks;
use crate::workers::{WorkerParts, Workers};

/// An instance, wired and not yet running.
#[derive(Clone)]
pub struct Encore {
    /// The gRPC API.
    pub api: Api,
    /// The background loops.
    pub workers: Workers,
    /// What metrics are read from.
    pub sales: Sales,
    /// What webhooks of the payment gateway lead to.
    card_hints: CardHints,
    /// What metrics of events are read from.
    pub event_backlog: EventBacklog,
    /// Served only where rehearsals are allowed.
    rehearsal_fans: RehearsalFans,
}

impl Encore {
    /// Wires an instance. Nothing runs yet.
    pub fn new(ports: Ports, guarded: GuardedRpcs) -> Self {
        let runtime = Runtime::new(&ports);
        let audit = audit(&ports, &runtime);
        let stores = StoreWatch::new(ports.store_clocks.clone(), ports.clock.clone());
        let availability = stores.availability();
        let saga = card_saga(&ports, &runtime);
        let sessions = sessions(&ports);
        let identity = identity(&ports, &sessions);
        let password_resets = password_resets(&ports, &identity, &sessions);
        let email_verifications = email_verifications(&ports, &identity);
        let workers = workers(&ports, &runtime, saga.clone(), sessions.clone(), stores);
        let workers = workers.with_mails(password_resets.clone(), email_verifications.clone());
        let event_backlog = event_backlog(&ports);
        let money = money_admin(&ports, &runtime);
        let performances = performance_admin(&ports, &runtime);
        let booking = booking(&ports, &runtime);
        let personal_data = personal_data(&ports, &booking);
        let (wallet, payments) = (wallet(&ports, &runtime), payments(&ports, &runtime));
        let event_log = EventLogUseCases::new(ports.outbox.clone(), runtime.contexts.clone());
        let webhooks = webhooks(&ports, runtime.contexts.clone());
        let cards = card_payments(&ports, &runtime, saga);
        let (sales, card_hints) = (sales(&ports, &runtime), card_hints(&ports));
        let parts = queue_parts(&ports, &runtime);
        let caller_limits = caller_limits(&ports);
        let Runtime { contexts, seat_map, guard, .. } = runtime;
        let Ports { clock, ids, access_tokens, queue_tokens, page_tokens, users, .. } = ports;
        let Ports { catalog, drafts, reservations, seat_blocks, refunds, audit_log, sales_records, .. } = ports;
        let (clock, ids) = (|| clock.clone(), || ids.clone());
        let queue_admin = QueueAdminUseCases::new(catalog.clone(), users.clone(), audit_log.clone(), ids(), &parts);
        let queue = QueueUseCases::new(parts);
        let cancellations = CancellationUseCases::new(CancellationParts {
            refunds,
            reservations: reservations.clone(),
            contexts: contexts.clone(),
            seat_map: seat_map.clone(),
            guard: guard.clone(),
            clock: clock(),
            ids: ids(),
        });
        let performance_cancellations = PerformanceCancellations::new(PerformanceCancellationParts {
            catalog: catalog.clone(),
            cancellations: cancellations.clone(),
            reservations,
            seat_blocks: seat_blocks.clone(),
            contexts: contexts.clone(),
            seat_map: seat_map.clone(),
            clock: clock(),
            ids: ids(),
        });
        let rehearsal_fans = RehearsalFans::new(users.clone(), access_tokens.clone(), clock(), ids());
        let seat_blocks = SeatBlockUseCases::new(SeatBlockParts {
            seat_blocks,
            contexts: contexts.clone(),
            seat_map: seat_map.clone(),
            clock: clock(),
            ids: ids(),
        });
        let admin = AdminUseCases::new(catalog.clone(), contexts.clone(), clock(), ids());
        let of_drafts =
            DraftParts { drafts, admin: admin.clone(), contexts: contexts.clone(), clock: clock(), ids: ids() };
        let of_records =
            RecordsParts { audit_log, users, sales: sales_records, contexts: contexts.clone(), clock: clock() };
        let api = Api {
            identity,
            sessions,
            password_resets,
            email_verifications,
            personal_data,
            caller_limits,
            catalog: CatalogUseCases::new(catalog, contexts, seat_map, guard.clone()),
            queue,
            booking,
            cancellations,
            wallet,
            payments,
            cards,
            performance_cancellations,
            admin,
            drafts: DraftUseCases::new(of_drafts),
            performances,
            money,
            records: RecordsUseCases::new(of_records),
            queue_admin,
            seat_blocks,
            audit,
            event_log,
            webhooks,
            rehearsal_fans: None,
            access_tokens,
            queue_tokens,
            page_tokens,
            queue_guard: guard,
            clock: clock(),
            guarded,
            limits: ConnectionLimits::default(),
            proxies: TrustedProxies::default(),
            tls: None,
            health_only: false,
            availability,
        };
        Self { api, workers, sales, card_hints, event_backlog, rehearsal_fans }
    }

    /// The listener for webhooks of the payment gateway, which are signed with these secrets.
    pub fn webhooks(&self, secrets: WebhookSecrets) -> Webhooks {
        Webhooks::new(secrets, self.card_hints.clone(), self.sales.clock.clone())
    }

    /// The auditor that examines what is on sale every so often, for metrics.
    pub fn promises(&self, every: Duration) -> Promises {
        let Sales { room, clock, .. } = self.sales.clone();
        Promises { audit: self.api.audit.clone(), room, clock, every }
    }

    /// The same instance, with `RehearsalService` registered.
    pub fn allowing_rehearsals(mut self) -> Self {
        self.api.rehearsal_fans = Some(self.rehearsal_fans.clone());
        self
    }

    /// The same instance, which does only what is of these roles. Without that of the API it serves nothing but its health.
    pub fn playing(mut self, roles: Roles) -> Self {
        self.api.health_only = !roles.api;
        self.workers = self.workers.playing(roles);
        self
    }

    /// The same instance, whose clock may differ from those of the stores by this much.
    pub fn tolerating(mut self, tolerance: Duration) -> Self {
        self.workers = self.workers.tolerating(tolerance);
        self
    }

    /// The same instance with these limits on connections.
    pub fn limiting(mut self, limits: ConnectionLimits) -> Self {
        self.api.limits = limits;
        self
    }

    /// The same instance, where each network may sign up and log in this often.
    pub fn limiting_callers(mut self, terms: CallerTerms) -> Self {
        self.api.caller_limits = self.api.caller_limits.with_terms(terms);
        self
    }

    /// The same instance, which takes the word of these proxies about the addresses of clients.
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.api.proxies = proxies;
        self
    }

    /// The same instance, which encrypts connections.
    pub fn encrypting(mut self, tls: ListenerTls) -> Self {
        self.api.tls = Some(tls);
        self
    }

    /// The same instance, which keeps ended queue tokens and entries of draws for this long after a sale has closed.
    pub fn keeping_queues_for(mut self, retention: Duration) -> Self {
        self.workers = self.workers.keeping_queues_for(retention);
        self
    }

    /// The same instance, which recognises repeats of requests of holds for this long.
    pub fn keeping_requests_for(mut self, retention: Duration) -> Self {
        self.workers = self.workers.keeping_requests_for(retention);
        self
    }

    /// The same instance, where fans may top up their wallets in this way.
    pub fn topping_up(mut self, top_ups: TopUps) -> Self {
        self.api.wallet = self.api.wallet.allowing(top_ups);
        self
    }

    /// The same instance, which keeps delivered events for this long.
    pub fn keeping_events_for(mut self, retention: Duration) -> Self {
        self.workers = self.workers.keeping_events_for(retention);
        self
    }

    /// The same instance, which sends no mails to fans about what happened.
    pub fn without_notifications(mut self) -> Self {
        self.workers = self.workers.without_notifications();
        self
    }

    /// The same instance, whose sessions live as long as this.
    pub fn with_sessions(mut self, terms: SessionTerms) -> Self {
        self.api.sessions = self.api.sessions.lasting(terms);
        self.workers = self.workers.with_sessions(self.api.sessions.clone());
        let identity = self.api.identity.clone().with_sessions(self.api.sessions.clone());
        self.with_identity(identity)
    }

    /// The same instance under this policy, whose mails that verify an address link to a page that begins like this.
    pub fn verifying_emails(mut self, policy: VerificationPolicy, link: Option<String>) -> Self {
        self.api.email_verifications = self.api.email_verifications.linking(link);
        let identity = self.api.identity.clone().verifying_emails(policy);
        self.with_identity(identity)
    }

    fn with_identity(mut self, identity: IdentityUseCases) -> Self {
        let Api { password_resets, email_verifications, sessions, .. } = self.api.clone();
        let resets = password_resets.with_sessions(identity.clone(), sessions);
        let verifications = email_verifications.with_identity(identity.clone());
        self.workers = self.workers.with_mails(resets.clone(), verifications.clone());
        self.api.password_resets = resets;
        self.api.email_verifications = verifications;
        self.api.identity = identity;
        self
    }

    /// The same instance, whose mails link to a page that begins like this.
    pub fn linking_resets(mut self, link: Option<String>) -> Self {
        self.api.password_resets = self.api.password_resets.linking(link);
        let identity = self.api.identity.clone();
        self.with_identity(identity)
    }

    /// The same instance with this policy of cancellation.
    pub fn cancelling(mut self, policy: CancellationPolicy) -> Self {
        self.api.cancellations = self.api.cancellations.with_policy(policy);
        self
    }

    /// The same instance with these ceilings: an operator needs an override to exceed them.
    pub fn under(mut self, ceilings: QueueCeilings) -> Self {
        self.api.admin = self.api.admin.under(ceilings);
        self.api.drafts = self.api.drafts.under(ceilings);
        self.api.queue_admin = self.api.queue_admin.under(ceilings);
        self
    }
}

fn booking(ports: &Ports, runtime: &Runtime) -> BookingUseCases {
    BookingUseCases::new(BookingParts {
        reservations: ports.reservations.clone(),
        contexts: runtime.contexts.clone(),
        seat_map: runtime.seat_map.clone(),
        guard: runtime.guard.clone(),
        clock: ports.clock.clone(),
    })
}

fn audit(ports: &Ports, runtime: &Runtime) -> AuditUseCases {
    AuditUseCases::new(AuditParts {
        audit: ports.audit.clone(),
        catalog: ports.catalog.clone(),
        reservations: ports.reservations.clone(),
        seat_locks: ports.seat_locks.clone(),
        room: runtime.room.clone(),
        contexts: runtime.contexts.clone(),
        clock: ports.clock.clone(),
    })
}

fn performance_admin(ports: &Ports, runtime: &Runtime) -> PerformanceAdmin {
    PerformanceAdmin::new(PerformanceAdminParts {
        changes: ports.performance_changes.clone(),
        catalog: ports.catalog.clone(),
        contexts: runtime.contexts.clone(),
        seat_map: runtime.seat_map.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

fn upkeep(ports: &Ports, runtime: &Runtime) -> Upkeep {
    Upkeep::new(UpkeepParts {
        reservations: ports.reservations.clone(),
        payments: ports.payments.clone(),
        queue_records: ports.queue_records.clone(),
        contexts: runtime.contexts.clone(),
        seat_map: runtime.seat_map.clone(),
        propagator: runtime.propagator.clone(),
        room: runtime.room.clone(),
        clock: ports.clock.clone(),
    })
}

fn workers(
    ports: &Ports,
    runtime: &Runtime,
    cards: Option<CardSaga>,
    sessions: SessionUseCases,
    stores: StoreWatch,
) -> Workers {
    Workers::new(WorkerParts {
        room: runtime.room.clone(),
        sales_gate: runtime.sales_gate.clone(),
        upkeep: upkeep(ports, runtime),
        requests: RequestRetention::new(ports.request_records.clone(), ports.clock.clone()),
        cards,
        reconciler: reconciler(ports),
        outbox: ports.outbox.clone(),
        relay: relay(ports),
        seat_relay: seat_relay(ports),
        queue_facts: queue_fact_publisher(ports, &runtime.queue_facts),
        webhooks: webhook_deliverer(ports),
        notifier: notifier(ports),
        alarms: alarm_conditions(ports),
        sessions,
        stores,
    })
}

fn sales(ports: &Ports, runtime: &Runtime) -> Sales {
    Sales {
        room: runtime.room.clone(),
        seat_map: runtime.seat_map.clone(),
        contexts: runtime.contexts.clone(),
        clock: ports.clock.clone(),
    }
}

fn queue_parts(ports: &Ports, runtime: &Runtime) -> QueueParts {
    QueueParts {
        room: runtime.room.clone(),
        tokens: ports.queue_tokens.clone(),
        lane_grants: ports.lane_grants.clone(),
        reservations: ports.reservations.clone(),
        seat_map: runtime.seat_map.clone(),
        contexts: runtime.contexts.clone(),
        clock: ports.clock.clone(),
    }
}
