//! Repeats of a request: the same `request_id` has its effect once.

use crate::ids::{RequestId, UserId};

/// The length of each digest of a [`Fingerprint`].
pub const DIGEST_LEN: usize = 16;

/// The version of the stored form of a [`Fingerprint`]. Increment it when the digests are computed in another way.
const FINGERPRINT_VERSION: u8 = 1;

/// What a request asked for: a digest of the fields as they were sent, and a digest of the fields that this version of the
/// server knows.
///
/// Two versions of the server run side by side during a rolling deploy, and the older one drops the fields that it does not
/// know. The second digest of one request then differs between instances, and the first does not. A client may also send
/// the same fields in another encoding. The first digest then differs, and the second does not. So two requests are the
/// same if either digest is the same.
///
/// Stored, a fingerprint is the byte [`FINGERPRINT_VERSION`] followed by both digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 1 + 2 * DIGEST_LEN]);

impl Fingerprint {
    /// The fingerprint of a request from the digests of what was sent and of what was understood.
    pub fn new(sent: [u8; DIGEST_LEN], understood: [u8; DIGEST_LEN]) -> Self {
        let mut bytes = [FINGERPRINT_VERSION; 1 + 2 * DIGEST_LEN];
        bytes[1..=DIGEST_LEN].copy_from_slice(&sent);
        bytes[1 + DIGEST_LEN..].copy_from_slice(&understood);
        Self(bytes)
    }

    /// The form that stores keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a request with this fingerprint repeats the request whose fingerprint was stored. Digests of another version
    /// cannot be compared: the request id alone decides, since an error would hit every client that retries during a deploy.
    pub fn repeats(&self, stored: &[u8]) -> bool {
        let [version, stored @ ..] = stored else {
            return true;
        };
        if *version != FINGERPRINT_VERSION {
            return true;
        }
        let (sent, understood) = self.0[1..].split_at(DIGEST_LEN);
        stored
            .split_at_checked(DIGEST_LEN)
            .is_some_and(|(stored_sent, stored_understood)| stored_sent == sent || stored_understood == understood)
    }
}

/// Names one intended change. A store keeps it in the transaction of the change, so that a repeat finds the first
/// result and another body under the same id is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks; ids of different users never collide.
    pub user: UserId,
    /// Made by the client.
    pub id: RequestId,
    /// What was asked.
    pub fingerprint: Fingerprint,
}

/// The result of a change that may have been asked for before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied<T> {
    /// The change was made by this call.
    Now(T),
    /// An earlier call with the same request made it; this is what that call answered.
    Before(T),
}

impl<T> Applied<T> {
    /// The result, whichever call made the change.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(value) | Self::Before(value) => value,
        }
    }

    /// The result, whichever call made the change.
    pub fn get(&self) -> &T {
        match self {
            Self::Now(value) | Self::Before(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [u8; DIGEST_LEN] = [1; DIGEST_LEN];
    const UNDERSTOOD: [u8; DIGEST_LEN] = [2; DIGEST_LEN];
    const OTHER: [u8; DIGEST_LEN] = [3; DIGEST_LEN];

    #[test]
    fn a_fingerprint_is_stored_as_its_version_and_both_digests() {
        let stored = Fingerprint::new(SENT, UNDERSTOOD).as_bytes().to_vec();
        assert_eq!(stored, [&[1][..], &SENT, &UNDERSTOOD].concat());
    }

    #[test]
    fn requests_are_the_same_if_either_digest_is() {
        let stored = Fingerprint::new(SENT, UNDERSTOOD);
        for (sent, understood, same) in [
            (SENT, UNDERSTOOD, true),
            (SENT, OTHER, true),
            (OTHER, UNDERSTOOD, true),
            (OTHER, OTHER, false),
            (UNDERSTOOD, SENT, false),
        ] {
            assert_eq!(Fingerprint::new(sent, understood).repeats(stored.as_bytes()), same, "{sent:?} {understood:?}");
        }
    }

    #[test]
    fn a_fingerprint_of_another_version_is_never_a_reuse() {
        let request = Fingerprint::new(SENT, UNDERSTOOD);
        let mut later = Fingerprint::new(OTHER, OTHER).as_bytes().to_vec();
        later[0] = FINGERPRINT_VERSION + 1;
        assert!(request.repeats(&later));
        assert!(request.repeats(&later[..9]));
        later[0] = FINGERPRINT_VERSION;
        assert!(!request.repeats(&later));
        assert!(!request.repeats(&later[..9]));
    }
}
