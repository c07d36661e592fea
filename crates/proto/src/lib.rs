#![doc = include_str!("../README.md")]

pub mod contract;

/// The descriptors of the packages that every server serves, with their comments, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/encore.fds"));

/// The descriptors of the package of rehearsals, likewise. [`FILE_DESCRIPTOR_SET`] does not contain them.
pub const REHEARSAL_FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rehearsal.fds"));

macro_rules! packages {
    ($($package:ident),*) => {$(
        pub mod $package {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/encore.", stringify!($package), ".v1.rs"));
            }
        }
    )*};
}

packages!(common, identity, catalog, queue, booking, wallet, payment, admin, events, rehearsal);

/// Messages whose fields are not printed.
macro_rules! secret {
    ($($message:ty),*) => {$(
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), "(…)"))
            }
        }
    )*};
}

secret!(
    identity::v1::SignUpRequest,
    identity::v1::SignUpResponse,
    identity::v1::LogInRequest,
    identity::v1::LogInResponse,
    identity::v1::UpdateMeRequest,
    identity::v1::PostalAddress,
    identity::v1::ChangePasswordRequest,
    identity::v1::DeleteMeRequest,
    identity::v1::RequestPasswordResetRequest,
    identity::v1::ResetPasswordRequest,
    identity::v1::RequestEmailVerificationRequest,
    identity::v1::VerifyEmailRequest,
    identity::v1::RefreshSessionRequest,
    identity::v1::RefreshSessionResponse,
    admin::v1::WebhookEndpoint,
    admin::v1::CreateEndpointRequest,
    admin::v1::UpdateEndpointRequest,
    admin::v1::CreateEndpointResponse,
    admin::v1::RotateSecretResponse,
    admin::v1::FindUserRequest,
    rehearsal::v1::RehearsalFan
);
