//! One instance of Encore: the ports put together to use cases, the API and the workers.

use encore_app::admin::AdminUseCases;
use encore_app::audit::AuditUseCases;
use encore_app::booking::BookingUseCases;
use encore_app::catalog::CatalogUseCases;
use encore_app::halls::Halls;
use encore_app::identity::IdentityUseCases;
use encore_app::line_admin::LineAdminUseCases;
use encore_app::line_board::LineBoards;
use encore_app::line_keeper::{KeeperPorts, LineKeeper};
use encore_app::open_lines::OpenLines;
use encore_app::payment::{PaymentUseCases, SettlementTeller};
use encore_app::queue::{QueueParts, QueueUseCases};
use encore_app::queue_guard::QueueGuard;
use encore_app::rehearsal_fans::RehearsalFans;
use encore_app::seat_blocks::SeatBlockUseCases;
use encore_app::seat_map::SeatMap;
use encore_app::seat_reconciliation::SeatReconciliation;
use encore_app::upkeep::Upkeep;
use encore_app::wallet::WalletUseCases;
use encore_domain::line_ceilings::LineCeilings;
use encore_grpc::{Api, GuardedRpcs};

use crate::ports::Ports;
use crate::workers::Workers;

/// The use cases on their ports.
#[derive(Clone)]
pub struct Encore {
    /// What is served.
    pub api: Api,
    /// What runs beside it.
    pub workers: Workers,
}

impl Encore {
    /// Puts the use cases on their ports. Nothing runs yet.
    pub fn new(ports: Ports, guarded: GuardedRpcs) -> Self {
        let Ports {
            clock,
            ids,
            passwords,
            access_tokens,
            queue_tokens,
            lane_grants,
            secrets,
            users,
            catalog,
            reservations,
            seat_blocks,
            wallets,
            payments,
            books,
            seat_locks,
            seat_changes,
            lines,
            line_records,
            draws,
            seen_requests,
        } = ports;
        let (clock, ids) = (|| clock.clone(), || ids.clone());
        let halls = Halls::new(catalog.clone());
        let open_lines = OpenLines::new(catalog.clone(), clock());
        let keeper_ports = KeeperPorts {
            lines: lines.clone(),
            records: line_records,
            draws,
            payments: payments.clone(),
            clock: clock(),
        };
        let keeper = LineKeeper::new(keeper_ports, open_lines.clone());
        let guard = QueueGuard::new(keeper.clone(), open_lines.clone());
        let audit = AuditUseCases::new(
            books,
            catalog.clone(),
            reservations.clone(),
            seat_locks.clone(),
            lines.clone(),
            halls.clone(),
            clock(),
        );
        let reconciliation =
            SeatReconciliation::new(seat_locks.clone(), reservations.clone(), open_lines.clone(), clock());
        let seat_map = SeatMap::new(seat_locks, seat_changes, reservations.clone(), halls.clone(), clock());
        let boards = LineBoards::new(keeper.clone(), lines.clone(), seat_map.clone(), open_lines.clone(), clock());
        let teller = SettlementTeller::new(seat_map.clone(), keeper.clone());
        let upkeep = Upkeep::new(
            reservations.clone(),
            payments.clone(),
            seat_map.clone(),
            teller.clone(),
            open_lines.clone(),
            clock(),
        );
        let parts = QueueParts {
            lines,
            keeper,
            tokens: queue_tokens.clone(),
            lane_grants,
            seen: seen_requests,
            halls: halls.clone(),
            seat_map: seat_map.clone(),
            open_lines: open_lines.clone(),
            boards,
            clock: clock(),
        };
        let line_admin = LineAdminUseCases::new(catalog.clone(), users.clone(), &parts);
        let queue = QueueUseCases::new(parts);
        let workers = Workers::new(queue.clone(), open_lines, upkeep, reconciliation);
        let booking =
            BookingUseCases::new(reservations.clone(), halls.clone(), seat_map.clone(), guard.clone(), clock());
        let rehearsal_fans = RehearsalFans::new(users.clone(), access_tokens.clone(), clock(), ids());
        let seat_blocks = SeatBlockUseCases::new(seat_blocks, halls.clone(), seat_map.clone(), clock(), ids());
        let payments =
            PaymentUseCases::new(payments, reservations, halls.clone(), guard.clone(), teller, clock(), ids());
        let api = Api {
            identity: IdentityUseCases::new(users, passwords, access_tokens.clone(), clock(), ids()),
            catalog: CatalogUseCases::new(catalog.clone(), halls.clone(), seat_map.clone(), guard.clone(), clock()),
            queue,
            booking,
            wallet: WalletUseCases::new(wallets, clock(), ids()),
            payments,
            admin: AdminUseCases::new(catalog, halls, clock(), ids(), secrets),
            line_admin,
            seat_blocks,
            audit,
            rehearsal_fans,
            access_tokens,
            queue_tokens,
            queue_guard: guard,
            clock: clock(),
            guarded,
        };
        Self { api, workers }
    }

    /// The same, where operators may make fans for rehearsals.
    pub fn allowing_rehearsals(mut self) -> Self {
        self.api.rehearsal_fans = self.api.rehearsal_fans.allowed();
        self
    }

    /// The same, where operators must say that it is meant when they turn a line up beyond these.
    pub fn under(mut self, ceilings: LineCeilings) -> Self {
        self.api.admin = self.api.admin.under(ceilings);
        self.api.line_admin = self.api.line_admin.under(ceilings);
        self
    }
}
