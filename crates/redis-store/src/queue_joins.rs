//! Encodes the arguments and decodes the replies of the scripts about joins and their requests.

use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{JoinRefusal, Joined, RequestReused};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::request::RequestKey;
use redis::ScriptInvocation;

use crate::reply::{timestamp, unexpected};

/// A reply of a join or of `find_join.lua`. All fields are text but the fingerprint of a repeated request.
pub(crate) struct JoinReply(pub(crate) Vec<Vec<u8>>);

impl JoinReply {
    /// The outcome of a join.
    pub(crate) fn read(
        &self,
        performance: PerformanceId,
        user: UserId,
        request: Option<&RequestKey>,
    ) -> Result<Joined, PortError<JoinRefusal>> {
        let payload = |fields| self.payload(fields, performance, user);
        match self.texts().as_slice() {
            ["joined", fields @ .., replaced] => {
                let replaced =
                    Some(*replaced).filter(|replaced| !replaced.is_empty()).map(replaced_token).transpose()?;
                Ok(Joined { payload: payload(fields)?, replaced })
            }
            ["repeat", fields @ .., _] => {
                let payload = self.unless_reused(payload(fields)?, request).map_err(JoinRefusal::from);
                Ok(Joined { payload: payload.map_err(PortError::Refused)?, replaced: None })
            }
            ["lost"] => Err(PortError::Refused(JoinRefusal::Lost)),
            ["none"] => Err(PortError::Refused(JoinRefusal::NoToken)),
            ["drawing"] => Err(PortError::Refused(JoinRefusal::Drawing)),
            ["entry", epoch] => {
                let epoch = epoch.parse().map_err(|_| self.unexpected())?;
                Err(PortError::Refused(JoinRefusal::EntryNeeded { epoch }))
            }
            ["spent"] => Err(PortError::Refused(JoinRefusal::NumbersSpent)),
            ["number", fields @ .., drawn] => {
                let (payload, drawn) = (payload(fields)?, drawn.parse().unwrap_or(0));
                Err(PortError::Refused(JoinRefusal::NumberNeeded { payload, drawn }))
            }
            _ => Err(self.unexpected().into()),
        }
    }

    /// The token of an earlier join with the same request.
    pub(crate) fn read_found(
        &self,
        performance: PerformanceId,
        request: &RequestKey,
    ) -> Result<Option<QueueTokenPayload>, PortError<RequestReused>> {
        match self.texts().as_slice() {
            [] => Ok(None),
            ["repeat", fields @ .., _] => {
                let payload = self.payload(fields, performance, request.user)?;
                self.unless_reused(payload, Some(request)).map(Some).map_err(PortError::Refused)
            }
            _ => Err(self.unexpected().into()),
        }
    }

    /// The fields as text. A fingerprint, which comes last, is empty.
    fn texts(&self) -> Vec<&str> {
        self.0.iter().map(|field| str::from_utf8(field).unwrap_or_default()).collect()
    }

    fn payload(
        &self,
        fields: &[&str],
        performance: PerformanceId,
        user: UserId,
    ) -> Result<QueueTokenPayload, Unavailable> {
        let payload = || {
            let [epoch, lane, index, issued_at, need] = fields else { return None };
            Some(QueueTokenPayload {
                performance,
                user,
                epoch: epoch.parse().ok()?,
                lane: lane.parse().ok()?,
                index: index.parse().ok()?,
                issued_at: timestamp(issued_at.parse().ok()?),
                needs_accessible: *need == "a",
                admitted_until: None,
            })
        };
        payload().ok_or_else(|| self.unexpected())
    }

    /// The token of a kept request, unless the request had another body or was one to leave, which gives out no token.
    fn unless_reused(
        &self,
        payload: QueueTokenPayload,
        request: Option<&RequestKey>,
    ) -> Result<QueueTokenPayload, RequestReused> {
        let kept = self.0.last().map(Vec::as_slice).unwrap_or_default();
        let repeats = request.is_some_and(|request| request.fingerprint.short().repeats(kept));
        if repeats && payload.index > 0 { Ok(payload) } else { Err(RequestReused) }
    }

    fn unexpected(&self) -> Unavailable {
        unexpected(format!("unexpected reply of a script about a join: {:?}", self.0))
    }
}

/// Adds the id and the fingerprint of a request to the arguments of a script.
pub(crate) fn add_request(script: &mut ScriptInvocation<'_>, request: &RequestKey) {
    script.arg(request.id.0.as_bytes().as_slice()).arg(request.fingerprint.short().as_bytes());
}

/// Reads the `lane:index` of a token that was replaced.
pub(crate) fn replaced_token(text: &str) -> Result<EndedToken, Unavailable> {
    let token = || {
        let (lane, index) = text.split_once(':')?;
        Some(EndedToken { lane: lane.parse().ok()?, index: index.parse().ok()?, reason: EndReason::Replaced })
    };
    token().ok_or_else(|| unexpected(format!("a script replied with {text:?} as a replaced queue token")))
}
