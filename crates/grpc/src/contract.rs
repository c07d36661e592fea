//! The names of all RPCs, read from the descriptors of the contract.

use std::collections::HashSet;

use prost::{DecodeError, Message};
use prost_types::FileDescriptorSet;

/// The prefix of the contract's packages. The descriptors also contain imported packages.
const OWN_PACKAGES: &str = "encore.";

/// Every RPC, as `encore.booking.v1.BookingService/HoldSeats`.
pub(crate) fn rpcs() -> Result<Vec<String>, DecodeError> {
    let mut names = rpcs_of(encore_proto::FILE_DESCRIPTOR_SET)?;
    names.extend(rpcs_of(encore_proto::REHEARSAL_FILE_DESCRIPTOR_SET)?);
    Ok(names)
}

/// The path of every RPC that this server has.
pub(crate) fn served_paths(with_rehearsals: bool) -> Result<HashSet<String>, DecodeError> {
    let served = if with_rehearsals { rpcs()? } else { rpcs_of(encore_proto::FILE_DESCRIPTOR_SET)? };
    Ok(served.into_iter().map(|rpc| format!("/{rpc}")).collect())
}

fn rpcs_of(descriptors: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    for file in FileDescriptorSet::decode(descriptors)?.file {
        for service in file.service.iter().filter(|_| file.package().starts_with(OWN_PACKAGES)) {
            let name = |rpc: &str| format!("{}.{}/{rpc}", file.package(), service.name());
            names.extend(service.method.iter().map(|rpc| name(rpc.name())));
        }
    }
    Ok(names)
}

/// Every RPC whose request has a `request_id`.
#[cfg(test)]
pub(crate) fn rpcs_with_a_request_id() -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    for file in FileDescriptorSet::decode(encore_proto::FILE_DESCRIPTOR_SET)?.file {
        let has_request_id = |message: &str| {
            let message = file.message_type.iter().find(|it| message.ends_with(&format!(".{}", it.name())));
            message.is_some_and(|message| message.field.iter().any(|field| field.name() == "request_id"))
        };
        for service in &file.service {
            let with_id = service.method.iter().filter(|rpc| has_request_id(rpc.input_type()));
            names.extend(with_id.map(|rpc| format!("{}.{}/{}", file.package(), service.name(), rpc.name())));
        }
    }
    Ok(names)
}
