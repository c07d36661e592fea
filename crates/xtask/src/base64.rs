const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, 4).
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.chunks(3).flat_map(quartet).collect()
}

fn quartet(chunk: &[u8]) -> [char; 4] {
    let byte = |at| u32::from(chunk.get(at).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    let digit = |at: usize| {
        let sextet = bits >> (18 - 6 * at) & 0x3f;
        if at <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' }
    };
    [digit(0), digit(1), digit(2), digit(3)]
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn the_vectors_of_the_rfc() {
        let vectors = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| encode(text.as_bytes()));
        assert_eq!(vectors, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
