/// The length of the name of a listing.
pub const LISTING_NAME_LEN: usize = 32;

/// Signs and reads page tokens: positions in listings, which clients send back to get the next page.
///
/// A listing has a name: a digest of what is listed, of the filter, and of whose listing it is.
///
/// # Contract
/// - a token reads back as the cursor that was signed, in the listing it was signed for, on every instance that has the keys
/// - a token that was altered, signed with an unknown key, or made for another listing or purpose is not accepted
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait PageTokens: Send + Sync {
    /// Signs a cursor.
    fn sign(&self, listing: &[u8; LISTING_NAME_LEN], cursor: &[u8]) -> String;

    /// The cursor that was signed.
    fn read(&self, listing: &[u8; LISTING_NAME_LEN], token: &str) -> Option<Vec<u8>>;
}
