//! The access table: who may call each RPC. The option `encore.common.v1.access` of the contract says the same to clients.

use encore_domain::identity::Role;
use encore_proto::admin::v1::admin_service_server::SERVICE_NAME as ADMIN;
use encore_proto::admin::v1::draft_service_server::SERVICE_NAME as DRAFTS;
use encore_proto::admin::v1::money_service_server::SERVICE_NAME as MONEY;
use encore_proto::admin::v1::performance_service_server::SERVICE_NAME as PERFORMANCES;
use encore_proto::admin::v1::records_service_server::SERVICE_NAME as RECORDS;
use encore_proto::admin::v1::webhook_service_server::SERVICE_NAME as WEBHOOKS;
use encore_proto::booking::v1::booking_service_server::SERVICE_NAME as BOOKING;
use encore_proto::catalog::v1::catalog_service_server::SERVICE_NAME as CATALOG;
use encore_proto::events::v1::event_service_server::SERVICE_NAME as EVENTS;
use encore_proto::identity::v1::identity_service_server::SERVICE_NAME as IDENTITY;
use encore_proto::payment::v1::payment_service_server::SERVICE_NAME as PAYMENT;
use encore_proto::queue::v1::queue_service_server::SERVICE_NAME as QUEUE;
use encore_proto::rehearsal::v1::rehearsal_service_server::SERVICE_NAME as REHEARSAL;
use encore_proto::wallet::v1::wallet_service_server::SERVICE_NAME as WALLET;

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, also without an access token.
    Anybody,
    /// Users with one of these roles.
    Roles(&'static [Role]),
}

/// Everybody with an access token.
const SIGNED_IN: Access = Access::Roles(&Role::ALL);
/// The roles that buy, and so can join queues.
const BUYING: [Role; 3] = [Role::Fan, Role::BoxOffice, Role::Operator];
/// Those who buy.
const BUYERS: Access = Access::Roles(&BUYING);
/// Those who see how a sale runs.
const STAFF: Access = Access::Roles(&[Role::Support, Role::BoxOffice, Role::Operator, Role::Auditor]);
/// Those who see all records.
const AUDITORS: Access = Access::Roles(&[Role::Operator, Role::Auditor]);
/// Those who give money back to fans.
const REFUNDERS: Access = Access::Roles(&[Role::BoxOffice, Role::Operator]);
/// Those who run sales.
const OPERATORS: Access = Access::Roles(&[Role::Operator]);

/// Who may call the RPC at a path such as `/encore.queue.v1.QueueService/JoinQueue`; none for paths of other services, and for RPCs that
/// are not in the table, which nobody is served.
pub(crate) fn access(path: &str) -> Option<Access> {
    let (service, rpc) = path.strip_prefix('/')?.split_once('/')?;
    Some(match (service, rpc) {
        (
            IDENTITY,
            "SignUp"
            | "LogIn"
            | "RefreshSession"
            | "RequestPasswordReset"
            | "ResetPassword"
            | "RequestEmailVerification"
            | "VerifyEmail",
        )
        | (
            CATALOG,
            "ListConcerts" | "GetConcert" | "ListPerformances" | "GetPerformance" | "ListVenues" | "GetVenue"
            | "GetSeatChart",
        )
        | (QUEUE, "GetDraw") => Access::Anybody,

        (IDENTITY, "LogOut" | "ListSessions" | "GetMe" | "UpdateMe" | "ChangePassword" | "ExportMe" | "DeleteMe")
        | (CATALOG, "ListSeats" | "WatchSeats")
        | (BOOKING, "GetReservation" | "ListReservations")
        | (WALLET, "GetBalance" | "ListLedgerEntries")
        | (PAYMENT, "GetPayment" | "ListPayments") => SIGNED_IN,

        (QUEUE, "JoinQueue" | "WatchPosition" | "GetPosition" | "LeaveQueue")
        | (BOOKING, "HoldSeats" | "ReleaseHold" | "ExtendHold" | "CancelReservation")
        | (WALLET, "TopUp" | "Withdraw")
        | (PAYMENT, "PayReservation" | "CompleteSandboxAction") => BUYERS,

        (ADMIN, "ListBlockedSeats" | "PreviewPerformanceCancellation" | "GetQueue" | "WatchQueue")
        | (DRAFTS, "GetDraft" | "ListDrafts")
        | (RECORDS, "FindUser" | "ListReservations" | "ListPayments")
        | (MONEY, "GetSalesSwitch") => STAFF,

        (ADMIN, "VerifyPerformance")
        | (MONEY, "GetSettlement")
        | (EVENTS, "ListEvents" | "WatchEvents")
        | (RECORDS, "ListAuditEntries") => AUDITORS,

        (ADMIN, "CancelReservation") => REFUNDERS,

        (
            ADMIN,
            "ImportVenue" | "ReviseVenue" | "CreateConcert" | "CreatePerformance" | "BlockSeats" | "UnblockSeats"
            | "CancelPerformance" | "UpdateQueue" | "PauseQueue" | "ResumeQueue" | "DrainQueue" | "SetQueueMessage"
            | "GrantLane" | "SetUserRole",
        )
        | (DRAFTS, "CreateDraft" | "ChangeDraft" | "PublishDraft" | "WithdrawDraft")
        | (PERFORMANCES, "PostponePerformance" | "UpdatePerformance" | "WithdrawPerformance")
        | (MONEY, "CreditWallet" | "SetSalesSwitch")
        | (
            WEBHOOKS,
            "CreateEndpoint" | "GetEndpoint" | "ListEndpoints" | "ListDeliveries" | "UpdateEndpoint" | "DeleteEndpoint"
            | "RotateSecret" | "EnableEndpoint" | "ResendDelivery" | "ReplayEvents",
        )
        | (REHEARSAL, "AddRehearsalFans") => OPERATORS,

        _ => return None,
    })
}

/// Whether users with this role can join queues. Nobody else can get a queue token.
pub(crate) fn can_queue(role: Role) -> bool {
    BUYING.contains(&role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use encore_proto::common::v1::CallerKind;

    use super::*;
    use crate::contract::{callers_of_rpcs, rpcs};

    /// The callers as the contract names them.
    fn kinds(access: Access) -> BTreeSet<CallerKind> {
        match access {
            Access::Anybody => BTreeSet::from([CallerKind::Anybody]),
            SIGNED_IN => BTreeSet::from([CallerKind::SignedIn]),
            Access::Roles(roles) => roles
                .iter()
                .map(|role| match role {
                    Role::Fan => CallerKind::Fan,
                    Role::Support => CallerKind::Support,
                    Role::BoxOffice => CallerKind::BoxOffice,
                    Role::Operator => CallerKind::Operator,
                    Role::Auditor => CallerKind::Auditor,
                    Role::CheckIn => CallerKind::CheckIn,
                })
                .collect(),
        }
    }

    #[test]
    fn the_table_says_of_every_rpc_what_the_contract_says() {
        let callers = callers_of_rpcs().expect("descriptors");
        assert_eq!(callers.len(), rpcs().expect("descriptors").len());
        for (rpc, callers) in callers {
            let in_table = access(&format!("/{rpc}")).map(kinds);
            assert_eq!(in_table, Some(callers.into_iter().collect()), "{rpc}");
        }
    }

    #[test]
    fn an_rpc_that_is_not_in_the_table_is_nobodys() {
        for path in ["/encore.admin.v1.AdminService/Nothing", "/grpc.health.v1.Health/Check", "x", "/x"] {
            assert_eq!(access(path), None, "{path}");
        }
    }

    #[test]
    fn those_who_can_queue_are_those_who_may_join_a_queue() {
        let Some(Access::Roles(roles)) = access("/encore.queue.v1.QueueService/JoinQueue") else {
            panic!("JoinQueue requires an access token");
        };
        for role in Role::ALL {
            assert_eq!(can_queue(role), roles.contains(&role), "{role:?}");
        }
    }

    #[test]
    fn auditors_and_support_change_nothing() {
        for rpc in rpcs().expect("descriptors") {
            let Some(Access::Roles(roles)) = access(&format!("/{rpc}")) else { continue };
            let (service, name) = rpc.split_once('/').expect("a service");
            let reads = ["List", "Get", "Find", "Watch", "Verify", "Preview"].iter().any(|verb| name.starts_with(verb));
            let is_own_account = service == IDENTITY;
            for role in [Role::Auditor, Role::Support, Role::CheckIn] {
                assert!(reads || is_own_account || !roles.contains(&role), "{rpc}: {role:?}");
            }
            assert!(roles.contains(&Role::Operator), "{rpc}");
        }
    }
}
