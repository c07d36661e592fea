//! The layer that authenticates callers.

use std::collections::HashSet;
use std::sync::Arc;

use encore_app::sessions::{EndedSessions, SessionWatch};
use encore_domain::identity::{AccessTokenPayload, Caller};
use encore_domain::ids::SessionId;
use encore_domain::ports::{AccessTokens, Clock};
use encore_domain::time::Timestamp;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use tonic::{Request, Status};
use tracing::Span;
use tracing::field::display;

use crate::access::{Access, access};
use crate::check::{CallCheck, PendingCheck};
use crate::status::{credentials_invalid, credentials_missing, role_not_allowed};

/// The access of an RPC that is served and that the access table does not have: it is refused to everybody.
const NOBODY: Access = Access::Roles(&[]);

/// Reads access tokens and refuses callers without the access that the RPC requires. An invalid token on an RPC that requires none
/// is ignored. Does no I/O: an access token is self-contained, and the sessions that have ended are known.
pub(crate) struct Authenticate {
    /// The paths of the RPCs that this server has. Other calls pass, and are answered that there is no such method.
    pub(crate) served: HashSet<String>,
    pub(crate) access_tokens: Arc<dyn AccessTokens>,
    pub(crate) ended_sessions: EndedSessions,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Authenticate {
    fn payload(&self, headers: &HeaderMap) -> Result<AccessTokenPayload, Status> {
        let header = headers.get(AUTHORIZATION).ok_or_else(credentials_missing)?;
        let text = header.to_str().map_err(|_| credentials_invalid())?;
        let (scheme, token) = text.split_once(' ').ok_or_else(credentials_invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(credentials_invalid());
        }
        let payload = self.access_tokens.read(token.trim(), self.clock.now()).ok_or_else(credentials_invalid)?;
        match payload.session {
            Some(session) if self.ended_sessions.contains(session) => Err(credentials_invalid()),
            _ => Ok(payload),
        }
    }
}

impl CallCheck for Authenticate {
    fn check(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Option<PendingCheck>, Status> {
        let needed = if self.served.contains(path) { access(path).unwrap_or(NOBODY) } else { Access::Anybody };
        let allowed = match needed {
            Access::Anybody => {
                // Who says who they are may have more calls open.
                if headers.contains_key(AUTHORIZATION)
                    && let Ok(payload) = self.payload(headers)
                {
                    Span::current().record("user_id", display(payload.caller.user));
                    extensions.insert(payload.caller);
                }
                return Ok(None);
            }
            Access::Roles(allowed) => allowed,
        };
        let payload = self.payload(headers)?;
        let caller = payload.caller;
        if !allowed.contains(&caller.role) {
            return Err(role_not_allowed(allowed));
        }
        Span::current().record("user_id", display(caller.user));
        extensions.insert(caller);
        extensions.insert(payload);
        Ok(None)
    }
}

/// The caller that the layer authenticated.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get().copied().ok_or_else(credentials_missing)
}

/// The session of the caller's access token, if it was issued in one.
pub(crate) fn session<T>(request: &Request<T>) -> Option<SessionId> {
    let payload: Option<&AccessTokenPayload> = request.extensions().get();
    payload.and_then(|payload| payload.session)
}

/// Watches the session of the caller, if the access token was issued in one.
pub(crate) fn watch_session<T>(request: &Request<T>, sessions: &EndedSessions) -> Option<SessionWatch> {
    session(request).map(|session| sessions.watch(session))
}

/// When the caller's access token ends. None if it was issued in a session: then a stream ends with that.
pub(crate) fn access_ends_at<T>(request: &Request<T>) -> Option<Timestamp> {
    let payload: Option<&AccessTokenPayload> = request.extensions().get();
    payload.filter(|payload| payload.session.is_none()).map(|payload| payload.expires_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use encore_domain::identity::{AccessToken, Role};
    use encore_domain::ids::UserId;
    use http::HeaderValue;
    use tonic::Code;
    use uuid::Uuid;

    use super::*;

    /// Access tokens that are the name of a role.
    struct RoleNames;

    impl AccessTokens for RoleNames {
        fn issue(&self, payload: &AccessTokenPayload, _now: Timestamp) -> AccessToken {
            AccessToken { token: payload.caller.role.name().to_owned(), expires_at: payload.expires_at }
        }

        fn read(&self, token: &str, now: Timestamp) -> Option<AccessTokenPayload> {
            let caller = Caller { user: UserId(Uuid::nil()), role: Role::of_name(token)? };
            Some(AccessTokenPayload { caller, session: None, expires_at: now + Duration::from_mins(1) })
        }

        fn key_set(&self, _now: Timestamp) -> String {
            String::new()
        }
    }

    /// A clock that stands still.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    /// The answer to a call of this path on a server that serves these paths.
    fn outcome(served: &[&str], path: &str, token: Option<&str>) -> Result<(), Code> {
        let authenticate = Authenticate {
            served: served.iter().map(|&path| path.to_owned()).collect(),
            access_tokens: Arc::new(RoleNames),
            ended_sessions: EndedSessions::default(),
            clock: Arc::new(Still),
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).expect("ASCII"));
        }
        let checked = authenticate.check(path, &headers, &mut Extensions::new());
        checked.map(drop).map_err(|refused| refused.code())
    }

    #[test]
    fn an_rpc_that_the_table_does_not_have_is_refused_to_everybody() {
        let forgotten = "/encore.admin.v1.AdminService/Forgotten";
        assert_eq!(access(forgotten), None);
        assert_eq!(outcome(&[forgotten], forgotten, None), Err(Code::Unauthenticated));
        for role in Role::ALL {
            assert_eq!(outcome(&[forgotten], forgotten, Some(role.name())), Err(Code::PermissionDenied), "{role:?}");
        }
    }

    #[test]
    fn a_path_that_is_not_served_is_left_to_the_router() {
        let (health, set_up) = ("/grpc.health.v1.Health/Check", "/encore.admin.v1.AdminService/CreateConcert");
        for path in [health, set_up, "/x"] {
            assert_eq!(outcome(&[], path, None), Ok(()), "{path}");
        }
        assert_eq!(outcome(&[set_up], set_up, Some("operator")), Ok(()));
        assert_eq!(outcome(&[set_up], set_up, Some("fan")), Err(Code::PermissionDenied));
    }
}
