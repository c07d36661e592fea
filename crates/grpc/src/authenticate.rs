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
        let allowed = match access(path).filter(|_| self.served.contains(path)) {
            None | Some(Access::Anybody) => {
                // Who says who they are may have more calls open.
                if headers.contains_key(AUTHORIZATION)
                    && let Ok(payload) = self.payload(headers)
                {
                    Span::current().record("user_id", display(payload.caller.user));
                    extensions.insert(payload.caller);
                }
                return Ok(None);
            }
            Some(Access::Roles(allowed)) => allowed,
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
