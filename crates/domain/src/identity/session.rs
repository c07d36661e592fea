//! Sessions and their refresh tokens.
//!
//! A session begins with a log-in and lives by its refresh token, which is replaced each time it is used. A client may lose the
//! answer. So a used token may be shown again for a short time, while its child was not used: it gets the same child again.
//! Once a child was used, whoever shows an older token has a copy of it, and the session ends.
//!
//! The parts of a token are the session, the secret of the family, and a link. The link of a child is the SHA-256 over the family's
//! secret and a salt that is kept with the session. Of the secret and of the tokens only digests are kept. So who reads the store
//! cannot make a token, and who has an old token cannot make the next one.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{SessionId, UserId};
use crate::text::words;
use crate::time::Timestamp;

/// How long after its use a refresh token may be shown again: longer than clients wait for an answer and retry.
pub const LOST_ANSWER_WINDOW: Duration = Duration::from_mins(1);
/// The longest lifetime of an access token that can be configured: a day. Ended sessions are remembered for as long, since another
/// instance, or this one before a restart, may have issued tokens that live as long.
pub const ACCESS_TOKEN_LIFETIME_MAX: Duration = Duration::from_hours(24);
/// The most live sessions of a user. One more ends the one that was refreshed longest ago.
pub const SESSIONS_PER_USER_MAX: usize = 100;
/// The longest name of a device, in characters.
pub const DEVICE_NAME_MAX_CHARS: usize = 80;
/// The length of secrets and digests.
pub const SECRET_BYTES: usize = 32;
/// The length of a refresh token.
pub const REFRESH_TOKEN_BYTES: usize = SESSION_ID_BYTES + 2 * SECRET_BYTES;
const SESSION_ID_BYTES: usize = 16;

/// How long sessions and their access tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTerms {
    /// The lifetime of an access token.
    pub access_token: Duration,
    /// How long a session lives after it was refreshed.
    pub idle: Duration,
    /// How long a session lives at most.
    pub absolute: Duration,
}

impl Default for SessionTerms {
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self { access_token: Duration::from_mins(10), idle: days(7), absolute: days(90) }
    }
}

impl SessionTerms {
    fn expiry(&self, started_at: Timestamp, refreshed_at: Timestamp) -> Timestamp {
        (refreshed_at + self.idle).min(started_at + self.absolute)
    }
}

/// What a fan calls the device of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName(String);

/// The text cannot be the name of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {DEVICE_NAME_MAX_CHARS} characters without control, invisible or unassigned characters")]
pub struct NotADeviceName;

impl DeviceName {
    /// Reads a name, [`normalized`](crate::text::normalized).
    pub fn parse(text: &str) -> Result<Self, NotADeviceName> {
        words(text, DEVICE_NAME_MAX_CHARS).map(Self).ok_or(NotADeviceName)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A log-in, from its start until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Made at the log-in.
    pub id: SessionId,
    /// Who logged in.
    pub user: UserId,
    /// What the client said about itself.
    pub device: Option<DeviceName>,
    /// When the user logged in.
    pub started_at: Timestamp,
    /// When the session was last refreshed; at first the log-in.
    pub refreshed_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
}

/// 256 random bits. `Debug` does not print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; SECRET_BYTES]);

impl Secret {
    /// What is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret of 256 bits, which needs no slow hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretDigest(pub [u8; SECRET_BYTES]);

impl SecretDigest {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretDigest({:02x?}…)", &self.0[..4])
    }
}

/// A refresh token. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session that it refreshes.
    pub session: SessionId,
    family: Secret,
    link: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// The token of a family with this salt.
    pub fn new(session: SessionId, family: Secret, salt: Salt) -> Self {
        let mut hash = Sha256::new();
        // All parts have fixed lengths, so no other parts give the same bytes.
        hash.update(b"encore.refresh-token.v1");
        hash.update(family.0);
        hash.update(session.0.as_bytes());
        hash.update(salt.0);
        Self { session, family, link: hash.finalize().into() }
    }

    /// The token that follows, with this salt.
    #[must_use]
    pub fn child(&self, salt: Salt) -> Self {
        Self::new(self.session, self.family, salt)
    }

    /// What the store compares.
    pub fn shown(&self) -> ShownToken {
        let Self { session, family, .. } = self;
        ShownToken { session: *session, family: family.digest(), token: SecretDigest::of(&self.to_bytes()) }
    }

    /// The token as bytes.
    pub fn to_bytes(&self) -> [u8; REFRESH_TOKEN_BYTES] {
        let mut bytes = [0; REFRESH_TOKEN_BYTES];
        let (session, secrets) = bytes.split_at_mut(SESSION_ID_BYTES);
        let (family, link) = secrets.split_at_mut(SECRET_BYTES);
        session.copy_from_slice(self.session.0.as_bytes());
        family.copy_from_slice(&self.family.0);
        link.copy_from_slice(&self.link);
        bytes
    }

    /// The token that these bytes are.
    pub fn from_bytes(bytes: &[u8; REFRESH_TOKEN_BYTES]) -> Self {
        let (mut session, mut family, mut link) = ([0; SESSION_ID_BYTES], [0; SECRET_BYTES], [0; SECRET_BYTES]);
        let (id, secrets) = bytes.split_at(SESSION_ID_BYTES);
        session.copy_from_slice(id);
        family.copy_from_slice(&secrets[..SECRET_BYTES]);
        link.copy_from_slice(&secrets[SECRET_BYTES..]);
        Self { session: SessionId(Uuid::from_bytes(session)), family: Secret(family), link }
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What the links of a family differ by. It is kept with the session, and is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; SECRET_BYTES]);

/// The digests of a token that somebody shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownToken {
    /// The session that it names.
    pub session: SessionId,
    /// Of the secret of its family.
    pub family: SecretDigest,
    /// Of the whole token.
    pub token: SecretDigest,
}

/// The token that is handed out next, unless an earlier one is handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextToken {
    /// What it is derived with.
    pub salt: Salt,
    /// Its digest.
    pub token: SecretDigest,
}

/// What is kept of the tokens of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshChain {
    /// Of the family's secret, which every token of the session contains.
    pub family: SecretDigest,
    /// The token that was handed out last.
    pub current: NextToken,
    /// The token before it, and when it was used. None while the first was not used.
    pub used: Option<(SecretDigest, Timestamp)>,
}

/// A session with what is kept of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// Of its tokens.
    pub chain: RefreshChain,
}

/// What follows from showing a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshPlan {
    /// The token was the current one. The record is to be replaced by this one.
    Rotate(Box<SessionRecord>),
    /// The answer to its use may have been lost. The child with the record's current salt is handed out again; nothing changes.
    Repeat,
    /// It is a copy of a token whose child was used, or that was used too long ago. The session is to end.
    Replay,
    /// It is not of this session, or the session has expired. Nothing changes.
    Refuse,
}

impl SessionRecord {
    /// A session that begins now, and its first token.
    pub fn begin(
        (id, user): (SessionId, UserId),
        device: Option<DeviceName>,
        (family, salt): (Secret, Salt),
        now: Timestamp,
        terms: &SessionTerms,
    ) -> (Self, RefreshToken) {
        let expires_at = terms.expiry(now, now);
        let session = Session { id, user, device, started_at: now, refreshed_at: now, expires_at };
        let token = RefreshToken::new(id, family, salt);
        let shown = token.shown();
        let current = NextToken { salt, token: shown.token };
        (Self { session, chain: RefreshChain { family: shown.family, current, used: None } }, token)
    }

    /// What follows from showing a token now.
    pub fn plan_refresh(
        &self,
        shown: &ShownToken,
        next: NextToken,
        now: Timestamp,
        terms: &SessionTerms,
    ) -> RefreshPlan {
        let Self { session, chain } = self;
        if shown.session != session.id || shown.family != chain.family || session.expires_at <= now {
            return RefreshPlan::Refuse;
        }
        if shown.token == chain.current.token {
            let expires_at = terms.expiry(session.started_at, now);
            let session = Session { refreshed_at: now, expires_at, ..session.clone() };
            let chain = RefreshChain { family: chain.family, current: next, used: Some((shown.token, now)) };
            return RefreshPlan::Rotate(Box::new(Self { session, chain }));
        }
        match chain.used {
            Some((used, at)) if used == shown.token && now <= at + LOST_ANSWER_WINDOW => RefreshPlan::Repeat,
            _ => RefreshPlan::Replay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: SessionTerms =
        SessionTerms { access_token: Duration::from_mins(1), idle: HOUR, absolute: Duration::from_hours(3) };
    const HOUR: Duration = Duration::from_hours(1);
    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn salt(n: u8) -> Salt {
        Salt([n; SECRET_BYTES])
    }

    fn begun() -> (SessionRecord, RefreshToken) {
        let ids = (SessionId(Uuid::from_u128(7)), UserId(Uuid::from_u128(8)));
        SessionRecord::begin(ids, None, (Secret([99; SECRET_BYTES]), salt(0)), START, &TERMS)
    }

    /// What follows from showing a token.
    fn show(record: &SessionRecord, token: &RefreshToken, n: u8, now: Timestamp) -> RefreshPlan {
        let child = token.child(salt(n));
        record.plan_refresh(&token.shown(), NextToken { salt: salt(n), token: child.shown().token }, now, &TERMS)
    }

    fn rotated(plan: RefreshPlan) -> SessionRecord {
        let RefreshPlan::Rotate(record) = plan else { panic!("expected a rotation: {plan:?}") };
        *record
    }

    #[test]
    fn a_token_is_replaced_by_its_child() {
        let (record, first) = begun();
        let record = rotated(show(&record, &first, 1, START));
        let child = first.child(salt(1));
        assert_eq!(record.chain.current.token, child.shown().token);
        assert_ne!(child, first);
        let record = rotated(show(&record, &child, 2, START));
        assert_eq!(record.chain.used.map(|(used, _)| used), Some(child.shown().token));
    }

    #[test]
    fn a_used_token_gets_the_same_child_until_the_window_ends() {
        let (record, first) = begun();
        let record = rotated(show(&record, &first, 1, START));
        assert_eq!(show(&record, &first, 2, START + LOST_ANSWER_WINDOW), RefreshPlan::Repeat);
        // Another instance's clock may be behind.
        assert_eq!(show(&record, &first, 2, START - Duration::from_secs(1)), RefreshPlan::Repeat);
        let late = START + LOST_ANSWER_WINDOW + Duration::from_millis(1);
        assert_eq!(show(&record, &first, 2, late), RefreshPlan::Replay);
        assert_eq!(first.child(record.chain.current.salt), first.child(salt(1)), "the salt gives the same child");
    }

    #[test]
    fn the_first_use_of_a_child_closes_the_door() {
        let (record, first) = begun();
        let record = rotated(show(&record, &first, 1, START));
        let child = first.child(salt(1));
        let record = rotated(show(&record, &child, 2, START));
        assert_eq!(show(&record, &first, 3, START), RefreshPlan::Replay);
        assert_eq!(show(&record, &child, 3, START), RefreshPlan::Repeat);
    }

    #[test]
    fn a_token_of_another_family_ends_nothing() {
        let (record, first) = begun();
        let forged = RefreshToken::new(first.session, Secret([1; SECRET_BYTES]), salt(0));
        assert_eq!(show(&record, &forged, 1, START), RefreshPlan::Refuse);
        let other = RefreshToken { session: SessionId(Uuid::from_u128(1)), ..first };
        assert_eq!(show(&record, &other, 1, START), RefreshPlan::Refuse);
    }

    #[test]
    fn a_session_slides_up_to_its_absolute_end() {
        let (record, first) = begun();
        assert_eq!(record.session.expires_at, START + HOUR);
        let just_before = |at: Timestamp| at - Duration::from_millis(1);
        assert_eq!(show(&record, &first, 1, START + HOUR), RefreshPlan::Refuse);
        let first_hour = just_before(START + HOUR);
        let record = rotated(show(&record, &first, 1, first_hour));
        assert_eq!(record.session.expires_at, first_hour + HOUR);
        let child = first.child(salt(1));
        let second_hour = just_before(record.session.expires_at);
        let record = rotated(show(&record, &child, 2, second_hour));
        assert_eq!(record.session.expires_at, second_hour + HOUR);
        let record = rotated(show(&record, &child.child(salt(2)), 3, START + HOUR * 5 / 2));
        assert_eq!(record.session.expires_at, START + TERMS.absolute);
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let (_, token) = begun();
        assert_eq!(RefreshToken::from_bytes(&token.to_bytes()), token);
        let mut altered = token.to_bytes();
        altered[REFRESH_TOKEN_BYTES - 1] ^= 1;
        assert_ne!(RefreshToken::from_bytes(&altered).shown().token, token.shown().token);
    }

    #[test]
    fn no_secret_is_printed() {
        let (record, token) = begun();
        let printed = format!("{token:?} {:?} {record:?}", Secret([99; SECRET_BYTES]));
        assert!(!printed.contains("99, 99") && !printed.contains("63, 63"), "{printed}");
    }
}
