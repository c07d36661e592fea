use crate::queue::LanePass;

/// Signs and reads lane grants: the strings with which fans join a lane that is not open to everybody.
///
/// # Contract
/// - a grant reads back as its pass, on every instance that has the keys
/// - a grant that was altered, signed with an unknown key, or made for another purpose is not accepted
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait LaneGrants: Send + Sync {
    /// Signs a pass.
    fn sign(&self, pass: &LanePass) -> String;

    /// The pass that was signed.
    fn read(&self, grant: &str) -> Option<LanePass>;
}
