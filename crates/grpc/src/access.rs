//! The access table: which credentials each RPC requires.

use encore_proto::{admin, booking, catalog, events, identity, payment, queue, rehearsal, wallet};

/// The credentials that an RPC requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No credentials.
    Public,
    /// An access token.
    Fan,
    /// An operator's access token.
    Operator,
}

/// The access of the RPC at a path such as `/encore.queue.v1.QueueService/JoinQueue`; none for paths of other services.
pub(crate) fn access(path: &str) -> Option<Access> {
    let (service, rpc) = path.strip_prefix('/')?.split_once('/')?;
    match service {
        identity::v1::identity_service_server::SERVICE_NAME => match rpc {
            "SignUp" | "LogIn" | "RefreshSession" | "RequestPasswordReset" | "ResetPassword" => Some(Access::Public),
            _ => Some(Access::Fan),
        },
        catalog::v1::catalog_service_server::SERVICE_NAME => match rpc {
            "ListConcerts" | "GetConcert" | "ListPerformances" | "GetSeatChart" => Some(Access::Public),
            _ => Some(Access::Fan),
        },
        queue::v1::queue_service_server::SERVICE_NAME if rpc == "GetDraw" => Some(Access::Public),
        queue::v1::queue_service_server::SERVICE_NAME
        | booking::v1::booking_service_server::SERVICE_NAME
        | wallet::v1::wallet_service_server::SERVICE_NAME
        | payment::v1::payment_service_server::SERVICE_NAME => Some(Access::Fan),
        admin::v1::admin_service_server::SERVICE_NAME
        | admin::v1::money_service_server::SERVICE_NAME
        | admin::v1::webhook_service_server::SERVICE_NAME
        | events::v1::event_service_server::SERVICE_NAME
        | rehearsal::v1::rehearsal_service_server::SERVICE_NAME => Some(Access::Operator),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::rpcs;

    #[test]
    fn every_rpc_of_the_contract_is_in_the_access_table() {
        let mut public = Vec::new();
        for rpc in rpcs().expect("descriptors") {
            match access(&format!("/{rpc}")) {
                Some(Access::Public) => public.extend(rpc.split_once('/').map(|(_, name)| name.to_owned())),
                Some(Access::Fan | Access::Operator) => {}
                None => panic!("{rpc} is not in the table"),
            }
        }
        public.sort();
        assert_eq!(
            public,
            [
                "GetConcert",
                "GetDraw",
                "GetSeatChart",
                "ListConcerts",
                "ListPerformances",
                "LogIn",
                "RefreshSession",
                "RequestPasswordReset",
                "ResetPassword",
                "SignUp"
            ]
        );
    }
}
