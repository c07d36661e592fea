use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encore_domain::ports::{LISTING_NAME_LEN, PageTokens};
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::seal::Seal;

/// Page tokens as JWTs.
#[derive(Debug)]
pub struct SignedPageTokens(Seal);

#[derive(Serialize, Deserialize)]
struct PageClaims {
    /// The name of the listing, in base64url.
    list: String,
    /// The cursor, in base64url.
    cur: String,
}

impl SignedPageTokens {
    /// Tokens signed by the first key of the keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self(Seal::new(keyring, "encore.page"))
    }
}

impl PageTokens for SignedPageTokens {
    fn sign(&self, listing: &[u8; LISTING_NAME_LEN], cursor: &[u8]) -> String {
        self.0.sign(&PageClaims { list: URL_SAFE_NO_PAD.encode(listing), cur: URL_SAFE_NO_PAD.encode(cursor) })
    }

    fn read(&self, listing: &[u8; LISTING_NAME_LEN], token: &str) -> Option<Vec<u8>> {
        let claims: PageClaims = self.0.read(token)?;
        if claims.list != URL_SAFE_NO_PAD.encode(listing) {
            return None;
        }
        URL_SAFE_NO_PAD.decode(claims.cur).ok()
    }
}
