//! Adds codes and details to the statuses that the gRPC library makes itself.
//!
//! tonic answers a message that it cannot read with INTERNAL, as if the server had failed, and one that is too large with
//! `OUT_OF_RANGE`. Every status of a handler or a layer has details, so a status in the head of a response that has none
//! is the library's.

use encore_proto::common::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::status::refusal;

/// The response, with the right code and the details if its status is the library's.
pub(crate) fn describe(mut response: Response<Body>) -> Response<Body> {
    if let Some(described) = described(response.headers()) {
        let headers = response.headers_mut();
        for (name, value) in &described {
            headers.insert(name, value.clone());
        }
    }
    response
}

fn described(headers: &HeaderMap<HeaderValue>) -> Option<HeaderMap> {
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let code = status.code();
    let (code, reason) = if code == Code::Internal {
        (Code::InvalidArgument, ErrorReason::MalformedMessage)
    } else if matches!(code, Code::OutOfRange | Code::ResourceExhausted) {
        (Code::ResourceExhausted, ErrorReason::MessageTooLarge)
    } else if code == Code::Unimplemented {
        (code, ErrorReason::UnknownMethod)
    } else {
        return None;
    };
    let message = match status.message() {
        "" => "this server does not have this method",
        message => message,
    };
    let mut described = HeaderMap::new();
    refusal(code, message, reason, []).add_header(&mut described).ok()?;
    Some(described)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn of(status: Status) -> Status {
        Status::from_header_map(describe(status.into_http()).headers()).expect("a status")
    }

    #[test]
    fn a_status_of_the_library_gets_its_code_and_details() {
        let cases = [
            (Status::internal("cannot decode"), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (Status::out_of_range("too large"), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Status::resource_exhausted("too large"), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Status::unimplemented(""), Code::Unimplemented, "UNKNOWN_METHOD"),
        ];
        for (status, code, reason) in cases {
            let described = of(status);
            let details = described.get_error_details();
            assert_eq!(described.code(), code);
            assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some(reason));
            assert!(!described.message().is_empty());
        }
    }

    #[test]
    fn a_status_with_details_is_left_as_it_is() {
        let own = crate::status::internal();
        assert_eq!(of(own.clone()).details(), own.details());
        assert_eq!(of(own).code(), Code::Internal);
    }
}
