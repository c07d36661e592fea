//! The tokens in mails: a prefix, by which tools that look for secrets know them, and a secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encore_domain::identity::session::{SECRET_BYTES, Secret};

/// The token of a secret.
pub(crate) fn mail_token(prefix: &str, secret: &Secret) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(secret.0))
}

/// The secret of a token.
pub(crate) fn read_mail_token(prefix: &str, token: &str) -> Option<Secret> {
    // One byte more than the secret, which a longer text would fill.
    let mut bytes = [0; SECRET_BYTES + 1];
    let length = URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(prefix)?, &mut bytes).ok()?;
    let (secret, _) = bytes.split_first_chunk()?;
    (length == SECRET_BYTES).then_some(Secret(*secret))
}
