//! The names of all RPCs, read from the descriptors of the contract.

use prost::{DecodeError, Message};
use prost_types::FileDescriptorSet;

/// The prefix of the contract's packages. The descriptors also contain imported packages.
const OWN_PACKAGES: &str = "encore.";

/// Every RPC, as `encore.booking.v1.BookingService/HoldSeats`.
pub(crate) fn rpcs() -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    let served = FileDescriptorSet::decode(encore_proto::FILE_DESCRIPTOR_SET)?.file;
    let rehearsal = FileDescriptorSet::decode(encore_proto::REHEARSAL_FILE_DESCRIPTOR_SET)?.file;
    for file in served.into_iter().chain(rehearsal) {
        for service in file.service.iter().filter(|_| file.package().starts_with(OWN_PACKAGES)) {
            let name = |rpc: &str| format!("{}.{}/{rpc}", file.package(), service.name());
            names.extend(service.method.iter().map(|rpc| name(rpc.name())));
        }
    }
    Ok(names)
}
