#![doc = include_str!("../README.md")]

/// The descriptors of all packages with their comments, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/encore.fds"));

macro_rules! packages {
    ($($package:ident),*) => {$(
        pub mod $package {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/encore.", stringify!($package), ".v1.rs"));
            }
        }
    )*};
}

packages!(common, identity, catalog, queue, booking, wallet, payment, admin);
