//! The text of refresh tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encore_domain::identity::session::{REFRESH_TOKEN_BYTES, RefreshToken};

/// What each begins with, so that tools that look for secrets in logs and repositories know it.
const PREFIX: &str = "encore_rt_";

/// The text of a token.
pub(crate) fn refresh_token_text(token: &RefreshToken) -> String {
    let mut text = PREFIX.to_owned();
    URL_SAFE_NO_PAD.encode_string(token.to_bytes(), &mut text);
    text
}

/// The token that the text is, if it can be one.
pub(crate) fn read_refresh_token(text: &str) -> Option<RefreshToken> {
    // Decoding has one byte more than the token, which a longer text would fill.
    let mut bytes = [0; REFRESH_TOKEN_BYTES + 1];
    let length = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
    let (token, _) = bytes.split_first_chunk()?;
    (length == REFRESH_TOKEN_BYTES).then(|| RefreshToken::from_bytes(token))
}

#[cfg(test)]
mod tests {
    use encore_domain::identity::session::{SECRET_BYTES, Salt, Secret};
    use encore_domain::ids::SessionId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let secrets = (Secret([251; SECRET_BYTES]), Salt([2; SECRET_BYTES]));
        let token = RefreshToken::new(SessionId(Uuid::from_u128(7)), secrets.0, secrets.1);
        let text = refresh_token_text(&token);
        assert_eq!(read_refresh_token(&text), Some(token));
        let body = &text[PREFIX.len()..];
        let others = [
            String::new(),
            body.to_owned(),
            PREFIX.to_owned(),
            format!("{text}A"),
            format!("{text}AA"),
            format!("{text}="),
            text[..text.len() - 1].to_owned(),
            text[..text.len() - 2].to_owned(),
            format!(" {text}"),
            format!("{PREFIX}{}", "A".repeat(10_000)),
        ];
        for other in others {
            assert_eq!(read_refresh_token(&other), None, "{other:?}");
        }
    }
}
