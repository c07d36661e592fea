//! `RehearsalService`.

use encore_app::rehearsal_fans::{REHEARSAL_FANS_MAX, RehearsalFans};
use encore_domain::identity::AccessToken;
use encore_domain::ids::UserId;
use encore_proto::rehearsal::v1::{self as pb, rehearsal_service_server::RehearsalService};
use tonic::{Request, Response, Status};

use crate::calls::Calls;
use crate::fields::Fields;

/// The service. It is registered only where rehearsals are allowed.
pub(crate) struct RehearsalApi {
    pub(crate) fans: RehearsalFans,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl RehearsalService for RehearsalApi {
    async fn add_rehearsal_fans(
        &self,
        request: Request<pb::AddRehearsalFansRequest>,
    ) -> Result<Response<pb::AddRehearsalFansResponse>, Status> {
        let count = request.into_inner().count;
        let mut fields = Fields::default();
        if !(1..=REHEARSAL_FANS_MAX).contains(&count) {
            fields.refuse("count", format!("must be 1 to {REHEARSAL_FANS_MAX}"));
        }
        fields.finish()?;
        let fans = self.fans.clone();
        let added = self.calls.write(async move { fans.add(count).await }).await?;
        let fan = |(user, token): (UserId, AccessToken)| pb::RehearsalFan {
            user_id: user.to_string(),
            access_token: token.token,
        };
        Ok(Response::new(pb::AddRehearsalFansResponse { fans: added.into_iter().map(fan).collect() }))
    }
}
