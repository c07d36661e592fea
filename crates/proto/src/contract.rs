//! The RPCs of the contract, read from the descriptors. The types of `prost-types` drop the option `encore.common.v1.access`.

use prost::{DecodeError, Message};
use prost_types::method_options::IdempotencyLevel;

use crate::common::v1::{Access, CallerKind};

/// The prefix of the contract's packages. The descriptors also contain imported packages.
const OWN_PACKAGES: &str = "encore.";

/// An RPC of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// Its service, such as `encore.booking.v1.BookingService`.
    pub service: String,
    /// Its name in the service, such as `HoldSeats`.
    pub name: String,
    /// Whether it answers with a stream.
    pub is_stream: bool,
    /// Whether it changes nothing, as its idempotency level says.
    pub is_read_only: bool,
    /// Who may call it.
    pub callers: Vec<CallerKind>,
}

impl Rpc {
    /// The service and the name, such as `encore.booking.v1.BookingService/HoldSeats`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.service, self.name)
    }

    /// The path of its calls, such as `/encore.booking.v1.BookingService/HoldSeats`.
    pub fn path(&self) -> String {
        format!("/{}", self.full_name())
    }
}

/// The RPCs of the contract that an encoded `google.protobuf.FileDescriptorSet` describes.
pub fn rpcs_of(descriptors: &[u8]) -> Result<Vec<Rpc>, DecodeError> {
    let mut rpcs = Vec::new();
    for File { package, service } in Files::decode(descriptors)?.file {
        for Service { name, method } in service.into_iter().filter(|_| package.starts_with(OWN_PACKAGES)) {
            rpcs.extend(method.into_iter().map(|method| {
                let options = method.options.unwrap_or_default();
                Rpc {
                    service: format!("{package}.{name}"),
                    is_stream: method.server_streaming,
                    is_read_only: options.idempotency_level() == IdempotencyLevel::NoSideEffects,
                    callers: options.access.unwrap_or_default().callers().collect(),
                    name: method.name,
                }
            }));
        }
    }
    Ok(rpcs)
}

// The fields of `google/protobuf/descriptor.proto` that are read.

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
    #[prost(bool, tag = "6")]
    server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(enumeration = "IdempotencyLevel", optional, tag = "34")]
    idempotency_level: Option<i32>,
    #[prost(message, optional, tag = "51900")]
    access: Option<Access>,
}
