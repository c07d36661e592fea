//! `IdentityService`.

use std::net::IpAddr;

use encore_app::identity::{IdentityUseCases, SignUp};
use encore_domain::identity::{DisplayName, Email, Password, Role, User};
use encore_domain::ids::UserId;
use encore_proto::identity::v1::{self as pb, identity_service_server::IdentityService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::connections::{Usage, network_of};
use crate::fields::Fields;
use crate::sent_body::sent_body;
use crate::to_proto::timestamp;

/// The number of `SignUpRequest.password`.
const PASSWORD_FIELD: u32 = 3;

pub(crate) struct IdentityApi {
    pub(crate) identity: IdentityUseCases,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl IdentityService for IdentityApi {
    async fn sign_up(&self, request: Request<pb::SignUpRequest>) -> Result<Response<pb::SignUpResponse>, Status> {
        let (sent, from) = (sent_body(&request), peer_address(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        // A fingerprint is a fast hash, and must not cover the password; see `IdentityUseCases::sign_up`.
        let without_password = pb::SignUpRequest { password: String::new(), ..message.clone() };
        let fingerprinted = sent.of("SignUp", &without_password).without_field(PASSWORD_FIELD);
        let no_user = UserId(Uuid::nil());
        let key = fields.optional_request(no_user, &message.request_id, &fingerprinted);
        let email = fields.read("email", Email::parse(&message.email));
        let password = fields.read("password", Password::parse(&message.password));
        let display_name = fields.read("display_name", DisplayName::parse(&message.display_name));
        let (Some(key), Some(email), Some(password), Some(display_name)) = (key, email, password, display_name) else {
            return Err(fields.into_status());
        };
        let identity = self.identity.clone();
        let sign_up = SignUp { email, password, display_name, role: Role::Fan };
        let user = self.calls.write_in_turn(async move { identity.sign_up(sign_up, key, from).await }).await?;
        Ok(Response::new(pb::SignUpResponse { user: Some(to_proto(&user)) }))
    }

    async fn log_in(&self, request: Request<pb::LogInRequest>) -> Result<Response<pb::LogInResponse>, Status> {
        let from = peer_address(&request);
        let message = request.into_inner();
        let mut fields = Fields::default();
        let email = fields.read("email", Email::parse(&message.email));
        let password = fields.read("password", Password::parse(&message.password));
        let (Some(email), Some(password)) = (email, password) else {
            return Err(fields.into_status());
        };
        let (access, user) = self.calls.read_in_turn(self.identity.log_in(&email, &password, from)).await?;
        Ok(Response::new(pb::LogInResponse {
            access_token: access.token,
            expires_at: Some(timestamp(access.expires_at)),
            user: Some(to_proto(&user)),
        }))
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::GetMeResponse>, Status> {
        let user = self.calls.read(self.identity.get_me(caller(&request)?)).await?;
        Ok(Response::new(pb::GetMeResponse { user: Some(to_proto(&user)) }))
    }
}

/// The network of the client at the other end of the connection.
fn peer_address<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get().and_then(Usage::address).map(network_of)
}

fn to_proto(user: &User) -> pb::User {
    let role = match user.role {
        Role::Fan => pb::Role::Fan,
        Role::Operator => pb::Role::Operator,
    };
    pb::User {
        user_id: user.id.to_string(),
        email: user.email.as_str().to_owned(),
        display_name: user.display_name.as_str().to_owned(),
        role: role.into(),
        created_at: Some(timestamp(user.created_at)),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::sent_body::framed;

    #[test]
    fn the_number_of_the_password_is_that_of_the_contract() {
        let of_password = |password: &str| {
            let email = "fan@example.com".to_owned();
            let without_password = pb::SignUpRequest { email, ..pb::SignUpRequest::default() };
            let sent = pb::SignUpRequest { password: password.to_owned(), ..without_password.clone() };
            framed(&sent.encode_to_vec()).of("SignUp", &without_password).without_field(PASSWORD_FIELD).fingerprint()
        };
        assert_eq!(of_password("correct horse"), of_password("battery staple"));
    }
}
