//! Which RPCs need an active queue token: configuration, checked against the contract.

use std::collections::HashSet;
use std::fmt;

use encore_proto::queue::v1::queue_service_server::SERVICE_NAME as QUEUE_SERVICE;
use thiserror::Error;

use crate::access::{Access, access};
use crate::contract::rpcs;

/// The RPCs whose use cases know which performance they are about, and ask about it themselves: who shows a token of another
/// performance is refused, who asks about a performance without a queue passes, and what a request has done before is answered
/// although its token is used by now. At every other guarded RPC an active token of any performance passes. These are the
/// guarded RPCs where nothing else is configured.
pub const KNOW_THEIR_PERFORMANCE: [&str; 5] = [
    "encore.catalog.v1.CatalogService/ListSeats",
    "encore.catalog.v1.CatalogService/WatchSeats",
    "encore.booking.v1.BookingService/HoldSeats",
    "encore.booking.v1.BookingService/ExtendHold",
    "encore.payment.v1.PaymentService/PayReservation",
];

/// The RPCs that need an active queue token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedRpcs(HashSet<String>);

/// The RPC cannot be guarded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rpc:?} {why}")]
pub struct NotGuardable {
    /// What was named.
    pub rpc: String,
    /// The rule that it breaks.
    pub why: NoGuard,
}

/// Why an RPC cannot be guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum NoGuard {
    Unknown,
    Public,
    Operators,
    Queue,
}

impl fmt::Display for NoGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "is no RPC of this server: names are like encore.booking.v1.BookingService/HoldSeats, as reflection lists them"
            }
            Self::Public => {
                "cannot be guarded: it is called without an access token, so a queue token could be anybody's"
            }
            Self::Operators => "cannot be guarded: it is for operators, who wait in no queue",
            Self::Queue => {
                "cannot be guarded: it is how fans get, watch and give up their places, and nobody could be admitted without it"
            }
        })
    }
}

impl Default for GuardedRpcs {
    fn default() -> Self {
        Self(KNOW_THEIR_PERFORMANCE.iter().map(|rpc| format!("/{rpc}")).collect())
    }
}

impl GuardedRpcs {
    /// Reads names such as `encore.booking.v1.BookingService/HoldSeats`, and refuses all at once that cannot be guarded.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<NotGuardable>> {
        // Where the contract could not be read, nothing is known, and every name is refused.
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

/// Whether the use case of the RPC at this path asks the guard itself.
pub(crate) fn knows_its_performance(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rpc| KNOW_THEIR_PERFORMANCE.contains(&rpc))
}

fn why_not(rpc: &str, access: Option<Access>) -> Option<NoGuard> {
    match access {
        None => Some(NoGuard::Unknown),
        Some(Access::Public) => Some(NoGuard::Public),
        Some(Access::Operator) => Some(NoGuard::Operators),
        Some(Access::Fan) => {
            let service = rpc.split_once('/').map(|(service, _)| service);
            (service == Some(QUEUE_SERVICE)).then_some(NoGuard::Queue)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_is_guardable_or_says_why_not() {
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
        assert!(of(NoGuard::Operators).iter().all(|rpc| rpc.starts_with("AdminService/")));
        for rpc in ["JoinQueue", "WatchPosition", "GetPosition", "LeaveQueue"] {
            assert!(of(NoGuard::Queue).contains(&format!("QueueService/{rpc}").as_str()), "{rpc}");
        }
        for rpc in ["WalletService/TopUp", "BookingService/GetReservation", "IdentityService/GetMe"] {
            assert!(!refused.iter().any(|(_, name)| name == rpc), "{rpc}");
        }
    }

    #[test]
    fn all_that_cannot_be_guarded_is_refused_at_once() {
        let names = [
            KNOW_THEIR_PERFORMANCE[1],
            "HoldSeats",
            "encore.booking.v1.BookingService/Nonsense",
            "grpc.health.v1.Health/Check",
            "encore.identity.v1.IdentityService/LogIn",
        ];
        let refused = GuardedRpcs::parse(names).expect_err("four of them");
        let whys = [NoGuard::Unknown, NoGuard::Unknown, NoGuard::Unknown, NoGuard::Public];
        let expected = names[1..].iter().zip(whys);
        assert_eq!(refused, expected.map(|(&rpc, why)| NotGuardable { rpc: rpc.into(), why }).collect::<Vec<_>>());
    }

    #[test]
    fn the_default_is_of_the_contract() {
        assert_eq!(GuardedRpcs::parse(KNOW_THEIR_PERFORMANCE), Ok(GuardedRpcs::default()));
        assert!(KNOW_THEIR_PERFORMANCE.iter().all(|rpc| knows_its_performance(&format!("/{rpc}"))));
    }
}
