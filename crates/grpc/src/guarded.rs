//! Which RPCs require an active queue token. The list is configuration and is checked against the contract.

use std::collections::HashSet;
use std::fmt;

use encore_domain::identity::Role;
use encore_proto::queue::v1::queue_service_server::SERVICE_NAME as QUEUE_SERVICE;
use thiserror::Error;

use crate::access::{Access, access};
use crate::contract::rpcs;

/// The RPCs that are guarded by default: those with which fans see, hold and pay for the seats of one performance. A token
/// of another performance is refused, and a performance without a queue needs no token.
pub const GUARDED_BY_DEFAULT: [&str; 5] = [
    "encore.catalog.v1.CatalogService/ListSeats",
    "encore.catalog.v1.CatalogService/WatchSeats",
    "encore.booking.v1.BookingService/HoldSeats",
    "encore.booking.v1.BookingService/ExtendHold",
    "encore.payment.v1.PaymentService/PayReservation",
];

/// Further RPCs whose use cases call the guard themselves. `ReleaseHold` and `CancelReservation` are about one performance too.
/// `TopUp` and `Withdraw` accept an active token of any performance, as every guarded RPC does that is not listed.
const CALLING_THE_GUARD: [&str; 4] = [
    "encore.booking.v1.BookingService/ReleaseHold",
    "encore.booking.v1.BookingService/CancelReservation",
    "encore.wallet.v1.WalletService/TopUp",
    "encore.wallet.v1.WalletService/Withdraw",
];

/// The RPCs that require an active queue token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedRpcs(HashSet<String>);

/// The RPC cannot be guarded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rpc:?} {why}")]
pub struct NotGuardable {
    /// The name as it was configured.
    pub rpc: String,
    /// Why it cannot be guarded.
    pub why: NoGuard,
}

/// Why an RPC cannot be guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum NoGuard {
    Unknown,
    Public,
    NotForFans,
    Queue,
}

impl fmt::Display for NoGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "is not an RPC of this server: use the full name, such as encore.booking.v1.BookingService/HoldSeats"
            }
            Self::Public => {
                "cannot be guarded: it needs no access token, so the owner of a queue token cannot be verified"
            }
            Self::NotForFans => "cannot be guarded: fans may not call it",
            Self::Queue => {
                "cannot be guarded: fans need it to join, watch and leave the queue before they are admitted"
            }
        })
    }
}

impl Default for GuardedRpcs {
    fn default() -> Self {
        Self(GUARDED_BY_DEFAULT.iter().map(|rpc| format!("/{rpc}")).collect())
    }
}

impl GuardedRpcs {
    /// Reads names such as `encore.booking.v1.BookingService/HoldSeats`. The error lists every name that cannot be
    /// guarded.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<NotGuardable>> {
        // If the descriptors cannot be read, no RPC is known, and every name is refused.
        let contract: HashSet<String> = rpcs().unwrap_or_default().into_iter().collect();
        let mut guarded = HashSet::new();
        let mut refused = Vec::new();
        for rpc in names {
            let path = format!("/{rpc}");
            let known = contract.contains(rpc).then(|| access(&path)).flatten();
            match why_not(rpc, known) {
                None => drop(guarded.insert(path)),
                Some(why) => refused.push(NotGuardable { rpc: rpc.to_owned(), why }),
            }
        }
        if refused.is_empty() { Ok(Self(guarded)) } else { Err(refused) }
    }

    /// Whether the RPC at this path is guarded.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}

/// Whether the use case of the RPC at this path calls the guard itself: because it knows which performance the call is
/// about, or because the call may be a repeat, which is answered whatever has become of the token.
pub(crate) fn calls_the_guard_itself(path: &str) -> bool {
    let calls = |rpc| GUARDED_BY_DEFAULT.contains(&rpc) || CALLING_THE_GUARD.contains(&rpc);
    path.strip_prefix('/').is_some_and(calls)
}

fn why_not(rpc: &str, access: Option<Access>) -> Option<NoGuard> {
    match access {
        None => Some(NoGuard::Unknown),
        Some(Access::Anybody) => Some(NoGuard::Public),
        Some(Access::Roles(roles)) if !roles.contains(&Role::Fan) => Some(NoGuard::NotForFans),
        Some(Access::Roles(_)) => {
            let service = rpc.split_once('/').map(|(service, _)| service);
            (service == Some(QUEUE_SERVICE)).then_some(NoGuard::Queue)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::rpcs_with_a_request_id;

    #[test]
    fn every_rpc_can_be_guarded_or_is_refused_with_a_reason() {
        let mut refused: Vec<(NoGuard, String)> = Vec::new();
        for rpc in rpcs().expect("descriptors") {
            if let Err(whys) = GuardedRpcs::parse([rpc.as_str()]) {
                let (_, name) = rpc.rsplit_once('.').expect("a package");
                refused.extend(whys.into_iter().map(|refused| (refused.why, name.to_owned())));
            }
        }
        let of = |why: NoGuard| -> Vec<&str> {
            refused.iter().filter(|(other, _)| *other == why).map(|(_, name)| name.as_str()).collect()
        };
        assert!(of(NoGuard::Unknown).is_empty());
        assert!(of(NoGuard::Public).contains(&"IdentityService/LogIn"));
        assert!(of(NoGuard::Public).contains(&"CatalogService/ListConcerts"));
        let not_for_fans = |rpc: &&str| {
            [
                "AdminService/",
                "MoneyService/",
                "WebhookService/",
                "RecordsService/",
                "DraftService/",
                "PerformanceService/",
                "EventService/",
                "RehearsalService/",
            ]
            .iter()
            .any(|service| rpc.starts_with(service))
        };
        assert!(of(NoGuard::NotForFans).iter().all(not_for_fans));
        for rpc in ["JoinQueue", "WatchPosition", "GetPosition", "LeaveQueue"] {
            assert!(of(NoGuard::Queue).contains(&format!("QueueService/{rpc}").as_str()), "{rpc}");
        }
        for rpc in ["WalletService/TopUp", "BookingService/GetReservation", "IdentityService/GetMe"] {
            assert!(!refused.iter().any(|(_, name)| name == rpc), "{rpc}");
        }
    }

    #[test]
    fn one_error_lists_every_rpc_that_cannot_be_guarded() {
        let names = [
            GUARDED_BY_DEFAULT[1],
            "HoldSeats",
            "encore.booking.v1.BookingService/Nonsense",
            "grpc.health.v1.Health/Check",
            "encore.identity.v1.IdentityService/LogIn",
        ];
        let refused = GuardedRpcs::parse(names).expect_err("four names cannot be guarded");
        let whys = [NoGuard::Unknown, NoGuard::Unknown, NoGuard::Unknown, NoGuard::Public];
        let expected = names[1..].iter().zip(whys);
        assert_eq!(refused, expected.map(|(&rpc, why)| NotGuardable { rpc: rpc.into(), why }).collect::<Vec<_>>());
    }

    #[test]
    fn the_default_names_rpcs_of_the_contract() {
        assert_eq!(GuardedRpcs::parse(GUARDED_BY_DEFAULT), Ok(GuardedRpcs::default()));
        assert!(GUARDED_BY_DEFAULT.iter().all(|rpc| calls_the_guard_itself(&format!("/{rpc}"))));
    }

    #[test]
    fn no_layer_refuses_a_call_that_may_be_a_repeat() {
        for rpc in rpcs_with_a_request_id().expect("descriptors") {
            if GuardedRpcs::parse([rpc.as_str()]).is_ok() {
                assert!(calls_the_guard_itself(&format!("/{rpc}")), "{rpc}");
            }
        }
    }
}
