//! `IdentityService`.

use std::sync::Arc;

use encore_app::caller_limits::CallerLimits;
use encore_app::email_verifications::EmailVerificationUseCases;
use encore_app::error::AppError;
use encore_app::identity::{IdentityUseCases, SignUp};
use encore_app::password_resets::PasswordResetUseCases;
use encore_app::personal_data::PersonalDataUseCases;
use encore_app::sessions::{EndedSessions, SessionUseCases};
use encore_domain::identity::account_change::ProfileChange;
use encore_domain::identity::contact::{AddressParts, NotAnAddressPart, Phone, PostalAddress};
use encore_domain::identity::email_verification::VerificationPolicy;
use encore_domain::identity::session::DeviceName;
use encore_domain::identity::{DisplayName, Email, Password, Role};
use encore_domain::ids::UserId;
use encore_domain::ports::Clock;
use encore_proto::identity::v1::{self as pb, identity_service_server::IdentityService};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::authenticate::{access_ends_at, caller, session, watch_session};
use crate::calls::Calls;
use crate::client_address::client_network;
use crate::fields::Fields;
use crate::personal_data::export;
use crate::refresh_token::{read_refresh_token, refresh_token_text};
use crate::sent_body::sent_body;
use crate::status::status;
use crate::streams::{Frames, end_on_shutdown, end_with_access, end_with_session};
use crate::to_proto::timestamp;
use crate::user_messages::{session_to_proto, user_to_proto};

/// The number of `SignUpRequest.password`.
const PASSWORD_FIELD: u32 = 3;

pub(crate) struct IdentityApi {
    pub(crate) identity: IdentityUseCases,
    pub(crate) sessions: SessionUseCases,
    pub(crate) resets: PasswordResetUseCases,
    pub(crate) verifications: EmailVerificationUseCases,
    pub(crate) personal_data: PersonalDataUseCases,
    pub(crate) limits: CallerLimits,
    pub(crate) calls: Calls,
    pub(crate) ended_sessions: EndedSessions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl IdentityService for IdentityApi {
    async fn sign_up(&self, request: Request<pb::SignUpRequest>) -> Result<Response<pb::SignUpResponse>, Status> {
        let (sent, from) = (sent_body(&request), client_network(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        // A fingerprint is a fast hash, and must not cover the password; see `IdentityUseCases::sign_up`.
        let without_password = pb::SignUpRequest { password: String::new(), ..message.clone() };
        let fingerprinted = sent.of("SignUp", &without_password).without_field(PASSWORD_FIELD);
        let no_user = UserId(Uuid::nil());
        let key = fields.optional_request(no_user, &message.request_id, &fingerprinted);
        let email = fields.read("email", Email::parse_to_sign_up(&message.email));
        let password = fields.read("password", Password::parse(&message.password));
        let display_name = fields.read("display_name", DisplayName::parse(&message.display_name));
        let device = device_name(&mut fields, &message.device_name);
        let (Some(key), Some(email), Some(password), Some(display_name)) = (key, email, password, display_name) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        self.calls.read_in_turn(self.limits.sign_up(from)).await?;
        let sign_up = SignUp { email, password, display_name, role: Role::Fan, is_vouched_for: false };
        if self.identity.verification() == VerificationPolicy::Required {
            let verifications = self.verifications.clone();
            let signing_up = async move { verifications.sign_up(sign_up, key, from).await };
            self.calls.write_in_turn(signing_up).await?;
            return Ok(Response::new(pb::SignUpResponse { awaits_verification: true, ..Default::default() }));
        }
        let identity = self.identity.clone();
        let signing_up = async move { identity.sign_up(sign_up, device, key, from).await };
        let (tokens, user) = self.calls.write_in_turn(signing_up).await?;
        Ok(Response::new(pb::SignUpResponse {
            user: Some(user_to_proto(&user)),
            access_token: tokens.access.token,
            expires_at: Some(timestamp(tokens.access.expires_at)),
            refresh_token: refresh_token_text(&tokens.refresh),
            refresh_expires_at: Some(timestamp(tokens.session.expires_at)),
            session_id: tokens.session.id.to_string(),
            awaits_verification: false,
        }))
    }

    async fn log_in(&self, request: Request<pb::LogInRequest>) -> Result<Response<pb::LogInResponse>, Status> {
        let from = client_network(&request);
        let message = request.into_inner();
        let mut fields = Fields::default();
        let email = fields.read("email", Email::parse(&message.email));
        let password = fields.read("password", Password::parse(&message.password));
        let device = device_name(&mut fields, &message.device_name);
        let (Some(email), Some(password)) = (email, password) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        self.calls.read_in_turn(self.limits.log_in(from)).await?;
        let logging_in = self.identity.log_in(&email, &password, device, from);
        let (tokens, user) = self.calls.read_in_turn(logging_in).await?;
        Ok(Response::new(pb::LogInResponse {
            access_token: tokens.access.token,
            expires_at: Some(timestamp(tokens.access.expires_at)),
            user: Some(user_to_proto(&user)),
            refresh_token: refresh_token_text(&tokens.refresh),
            refresh_expires_at: Some(timestamp(tokens.session.expires_at)),
            session_id: tokens.session.id.to_string(),
        }))
    }

    async fn refresh_session(
        &self,
        request: Request<pb::RefreshSessionRequest>,
    ) -> Result<Response<pb::RefreshSessionResponse>, Status> {
        let token = read_refresh_token(&request.get_ref().refresh_token);
        let token = token.ok_or_else(|| status(AppError::RefreshTokenInvalid))?;
        let sessions = self.sessions.clone();
        let tokens = self.calls.write(async move { sessions.refresh(&token).await }).await?;
        Ok(Response::new(pb::RefreshSessionResponse {
            access_token: tokens.access.token,
            expires_at: Some(timestamp(tokens.access.expires_at)),
            refresh_token: refresh_token_text(&tokens.refresh),
            refresh_expires_at: Some(timestamp(tokens.session.expires_at)),
        }))
    }

    async fn log_out(&self, request: Request<pb::LogOutRequest>) -> Result<Response<pb::LogOutResponse>, Status> {
        let (user, own) = (caller(&request)?.user, session(&request));
        let mut fields = Fields::default();
        let ends = match request.into_inner().sessions {
            Some(pb::log_out_request::Sessions::All(true)) => None,
            Some(pb::log_out_request::Sessions::SessionId(id)) => fields.id("session_id", &id),
            None if own.is_some() => own,
            None => {
                fields.refuse("sessions", "must be set, because the access token was issued without a session");
                None
            }
            Some(pb::log_out_request::Sessions::All(false)) => {
                fields.refuse("all", "must be true if it is set");
                None
            }
        };
        fields.finish()?;
        let sessions = self.sessions.clone();
        let ending = async move {
            match ends {
                Some(session) => sessions.end(user, session).await.map(|()| 1),
                None => sessions.end_all(user).await,
            }
        };
        let ended = self.calls.write(ending).await?;
        Ok(Response::new(pb::LogOutResponse { ended: u32::try_from(ended).unwrap_or(u32::MAX) }))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let (user, own) = (caller(&request)?.user, session(&request));
        let live = self.calls.read(self.sessions.list(user)).await?;
        let sessions = live.into_iter().map(|session| session_to_proto(session, own)).collect();
        Ok(Response::new(pb::ListSessionsResponse { sessions }))
    }

    async fn update_me(&self, request: Request<pb::UpdateMeRequest>) -> Result<Response<pb::UpdateMeResponse>, Status> {
        let caller = caller(&request)?;
        let mut fields = Fields::default();
        let change = profile_change(&mut fields, request.get_ref());
        fields.finish()?;
        let identity = self.identity.clone();
        let user = self.calls.write(async move { identity.update_me(caller, change).await }).await?;
        Ok(Response::new(pb::UpdateMeResponse { user: Some(user_to_proto(&user)) }))
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let (caller, kept, from) = (caller(&request)?, session(&request), client_network(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let current = fields.read("current_password", Password::parse(&message.current_password));
        let new = fields.read("new_password", Password::parse(&message.new_password));
        let (Some(current), Some(new)) = (current, new) else {
            return Err(fields.into_status());
        };
        let identity = self.identity.clone();
        let changing = async move { identity.change_password(caller, kept, (current, new), from).await };
        self.calls.write_in_turn(changing).await?;
        Ok(Response::new(pb::ChangePasswordResponse {}))
    }

    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> Result<Response<pb::RequestPasswordResetResponse>, Status> {
        let from = client_network(&request);
        let mut fields = Fields::default();
        let Some(email) = fields.read("email", Email::parse(&request.get_ref().email)) else {
            return Err(fields.into_status());
        };
        self.calls.read_in_turn(self.limits.password_reset(from)).await?;
        self.resets.request(email).map_err(status)?;
        Ok(Response::new(pb::RequestPasswordResetResponse {}))
    }

    async fn reset_password(
        &self,
        request: Request<pb::ResetPasswordRequest>,
    ) -> Result<Response<pb::ResetPasswordResponse>, Status> {
        let from = client_network(&request);
        let message = request.into_inner();
        let mut fields = Fields::default();
        let Some(password) = fields.read("new_password", Password::parse(&message.new_password)) else {
            return Err(fields.into_status());
        };
        let resets = self.resets.clone();
        let setting = async move { resets.set_password(&message.token, &password, from).await };
        self.calls.write_in_turn(setting).await?;
        Ok(Response::new(pb::ResetPasswordResponse {}))
    }

    async fn request_email_verification(
        &self,
        request: Request<pb::RequestEmailVerificationRequest>,
    ) -> Result<Response<pb::RequestEmailVerificationResponse>, Status> {
        let from = client_network(&request);
        let mut fields = Fields::default();
        let Some(email) = fields.read("email", Email::parse(&request.get_ref().email)) else {
            return Err(fields.into_status());
        };
        self.calls.read_in_turn(self.limits.email_verification(from)).await?;
        self.verifications.request(email).map_err(status)?;
        Ok(Response::new(pb::RequestEmailVerificationResponse {}))
    }

    async fn verify_email(
        &self,
        request: Request<pb::VerifyEmailRequest>,
    ) -> Result<Response<pb::VerifyEmailResponse>, Status> {
        let (verifications, token) = (self.verifications.clone(), request.into_inner().token);
        self.calls.write(async move { verifications.verify(&token).await }).await?;
        Ok(Response::new(pb::VerifyEmailResponse {}))
    }

    type ExportMeStream = Frames<pb::ExportMeResponse>;

    async fn export_me(&self, request: Request<pb::ExportMeRequest>) -> Result<Response<Self::ExportMeStream>, Status> {
        let (user, own) = (caller(&request)?.user, session(&request));
        let (ends_at, session) = (access_ends_at(&request), watch_session(&request, &self.ended_sessions));
        self.calls.read_in_turn(self.limits.export(user)).await?;
        let parts = export(self.personal_data.clone(), self.calls.clone(), user, own);
        let parts = end_with_session(end_with_access(parts, ends_at, Arc::clone(&self.clock)), session);
        Ok(Response::new(end_on_shutdown(parts, self.shutdown.clone())))
    }

    async fn delete_me(&self, request: Request<pb::DeleteMeRequest>) -> Result<Response<pb::DeleteMeResponse>, Status> {
        let (caller, from) = (caller(&request)?, client_network(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let Some(password) = fields.read("password", Password::parse(&message.password)) else {
            return Err(fields.into_status());
        };
        let identity = self.identity.clone();
        let deleting = async move { identity.delete_me(caller, password, message.give_up_balances, from).await };
        self.calls.write_in_turn(deleting).await?;
        Ok(Response::new(pb::DeleteMeResponse {}))
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::GetMeResponse>, Status> {
        let user = self.calls.read(self.identity.get_me(caller(&request)?)).await?;
        Ok(Response::new(pb::GetMeResponse { user: Some(user_to_proto(&user)) }))
    }
}

/// What a request changes about the profile.
fn profile_change(fields: &mut Fields, message: &pb::UpdateMeRequest) -> ProfileChange {
    let name = message.display_name.as_deref();
    let display_name = name.and_then(|name| fields.read("display_name", DisplayName::parse(name)));
    let phone = match message.phone.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(phone) => fields.read("phone", Phone::parse(phone)).map(Some),
    };
    let address = match &message.postal_address {
        None => message.remove_postal_address.then_some(None),
        Some(_) if message.remove_postal_address => {
            fields.refuse("remove_postal_address", "must not be set together with postal_address");
            None
        }
        Some(address) => postal_address(fields, address).map(Some),
    };
    ProfileChange { display_name, phone, address }
}

fn postal_address(fields: &mut Fields, address: &pb::PostalAddress) -> Option<PostalAddress> {
    let pb::PostalAddress { street_address, postal_code, locality, region, country_code } = address;
    let parts = AddressParts { street_address, postal_code, locality, region, country: country_code };
    let parsed = PostalAddress::parse(&parts);
    let refuse = |invalid: Vec<NotAnAddressPart>| {
        for NotAnAddressPart { part, rule } in invalid {
            fields.refuse(&format!("postal_address.{part}"), rule);
        }
    };
    parsed.map_err(refuse).ok()
}

/// The name of a device, if there is one.
fn device_name(fields: &mut Fields, text: &str) -> Option<DeviceName> {
    if text.is_empty() { None } else { fields.read("device_name", DeviceName::parse(text)) }
}

/// The role; none if the field was not set.
pub(crate) fn role_from_proto(role: pb::Role) -> Option<Role> {
    match role {
        pb::Role::Unspecified => None,
        pb::Role::Fan => Some(Role::Fan),
        pb::Role::Support => Some(Role::Support),
        pb::Role::BoxOffice => Some(Role::BoxOffice),
        pb::Role::Operator => Some(Role::Operator),
        pb::Role::Auditor => Some(Role::Auditor),
        pb::Role::CheckIn => Some(Role::CheckIn),
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
