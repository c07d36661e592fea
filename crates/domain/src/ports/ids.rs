use uuid::Uuid;

/// Makes identifiers.
///
/// # Contract
/// - never the same twice, on any number of instances
/// - an id made later by the same instance sorts after one made earlier: listings go by id
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Ids: Send + Sync {
    /// A new identifier.
    fn next(&self) -> Uuid;
}
