//! The names of all RPCs, read from the descriptors of the contract.

use std::collections::HashSet;

use encore_proto::contract::{Rpc, rpcs_of};
use encore_proto::{FILE_DESCRIPTOR_SET, REHEARSAL_FILE_DESCRIPTOR_SET};
use prost::DecodeError;

/// Every RPC, as `encore.booking.v1.BookingService/HoldSeats`.
pub(crate) fn rpcs() -> Result<Vec<String>, DecodeError> {
    Ok(all()?.iter().map(Rpc::full_name).collect())
}

/// The path of every RPC that this server has.
pub(crate) fn served_paths(with_rehearsals: bool) -> Result<HashSet<String>, DecodeError> {
    let served = if with_rehearsals { all()? } else { rpcs_of(FILE_DESCRIPTOR_SET)? };
    Ok(served.iter().map(Rpc::path).collect())
}

fn all() -> Result<Vec<Rpc>, DecodeError> {
    let mut rpcs = rpcs_of(FILE_DESCRIPTOR_SET)?;
    rpcs.extend(rpcs_of(REHEARSAL_FILE_DESCRIPTOR_SET)?);
    Ok(rpcs)
}

/// Every RPC whose request has a `request_id`.
#[cfg(test)]
pub(crate) fn rpcs_with_a_request_id() -> Result<Vec<String>, DecodeError> {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    let mut names = Vec::new();
    for file in FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?.file {
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

/// Every RPC with the callers that its option `encore.common.v1.access` lists.
#[cfg(test)]
pub(crate) fn callers_of_rpcs() -> Result<Vec<(String, Vec<encore_proto::common::v1::CallerKind>)>, DecodeError> {
    Ok(all()?.into_iter().map(|rpc| (rpc.full_name(), rpc.callers)).collect())
}
