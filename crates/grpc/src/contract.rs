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

/// Every RPC with the callers that its option `encore.common.v1.access` lists. The types of `prost-types` drop the options of others.
#[cfg(test)]
pub(crate) fn callers_of_rpcs() -> Result<Vec<(String, Vec<encore_proto::common::v1::CallerKind>)>, DecodeError> {
    use encore_proto::common::v1::Access;

    #[derive(Clone, PartialEq, Message)]
    struct Files {
        #[prost(message, repeated, tag = "1")]
        file: Vec<File>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct File {
        #[prost(string, tag = "2")]
        package: String,
        #[prost(message, repeated, tag = "6")]
        service: Vec<Service>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Service {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        method: Vec<Method>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Method {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, optional, tag = "4")]
        options: Option<Options>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Options {
        #[prost(message, optional, tag = "51900")]
        access: Option<Access>,
    }

    let mut callers = Vec::new();
    for descriptors in [encore_proto::FILE_DESCRIPTOR_SET, encore_proto::REHEARSAL_FILE_DESCRIPTOR_SET] {
        for File { package, service } in Files::decode(descriptors)?.file {
            for Service { name, method } in service.into_iter().filter(|_| package.starts_with(OWN_PACKAGES)) {
                callers.extend(method.into_iter().map(|rpc| {
                    let access = rpc.options.unwrap_or_default().access.unwrap_or_default();
                    (format!("{package}.{name}/{}", rpc.name), access.callers().collect())
                }));
            }
        }
    }
    Ok(callers)
}
