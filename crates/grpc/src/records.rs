//! `RecordsService`.

use encore_app::booking::ReservationView;
use encore_app::error::AppError;
use encore_app::records::RecordsUseCases;
use encore_domain::audit_log::{AuditChange, AuditEntry, AuditFilter, AuditTarget};
use encore_domain::identity::Email;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::payment::card::PaymentState;
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::sales_records::{RecordsOf, TimeRange};
use encore_proto::admin::v1::{self as pb, records_service_server::RecordsService};
use encore_proto::payment::v1::Payment;
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::booking::{states, to_proto as reservation_to_proto};
use crate::calls::Calls;
use crate::fields::Fields;
use crate::page_token::{Listings, moment};
use crate::payment::to_proto as payment_to_proto;
use crate::to_proto::timestamp;
use crate::user_messages::{role_to_proto, user_to_proto};

pub(crate) struct RecordsApi {
    pub(crate) records: RecordsUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl RecordsService for RecordsApi {
    async fn find_user(&self, request: Request<pb::FindUserRequest>) -> Result<Response<pb::FindUserResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let user = match (message.email.as_str(), message.user_id.as_str()) {
            ("", id) => {
                let id = fields.id("user_id", id);
                let Some(id) = id else { return Err(fields.into_status()) };
                self.calls.read(self.records.user(id)).await?
            }
            (email, "") => {
                let email = fields.read("email", Email::parse(email));
                let Some(email) = email else { return Err(fields.into_status()) };
                self.calls.read(self.records.user_by_email(&email)).await?
            }
            _ => {
                fields.refuse("user_id", "must be empty where email is set");
                return Err(fields.into_status());
            }
        };
        Ok(Response::new(pb::FindUserResponse { user: Some(user_to_proto(&user)) }))
    }

    async fn list_reservations(
        &self,
        request: Request<pb::ListReservationsRequest>,
    ) -> Result<Response<pb::ListReservationsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let of = WhoseRecords::read(&mut fields, &message.email, &message.user_id, &message.performance_id);
        let states = states(&mut fields, &message.states);
        let held = time_range(&mut fields, message.since.as_ref(), message.until.as_ref());
        let (since, until) = (moment(held.since), moment(held.until));
        let filter = [&message.email, &message.user_id, &message.performance_id, &since, &until].map(String::as_str);
        let names = message.states().map(|state| state.as_str_name());
        let listing =
            self.listings.of("RecordsService.ListReservations", Some(caller.user), filter.into_iter().chain(names));
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let (Some(of), Some(states), Some(page)) = (of, states, page) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let listed = async { self.records.reservations(of.resolve(&self.records).await?, held, states, page).await };
        let page = self.calls.read(listed).await?;
        let reservation = |view: &ReservationView| pb::UserReservation {
            user_id: view.reservation.user.to_string(),
            reservation: Some(reservation_to_proto(view)),
        };
        Ok(Response::new(pb::ListReservationsResponse {
            reservations: page.items.iter().map(reservation).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let of = WhoseRecords::read(&mut fields, &message.email, &message.user_id, &message.performance_id);
        let states = payment_states(&mut fields, &message.states);
        let begun = time_range(&mut fields, message.since.as_ref(), message.until.as_ref());
        let (since, until) = (moment(begun.since), moment(begun.until));
        let filter = [&message.email, &message.user_id, &message.performance_id, &since, &until].map(String::as_str);
        let names = message.states().map(|state| state.as_str_name());
        let listing =
            self.listings.of("RecordsService.ListPayments", Some(caller.user), filter.into_iter().chain(names));
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let (Some(of), Some(states), Some(page)) = (of, states, page) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let listed = async { self.records.payments(of.resolve(&self.records).await?, begun, &states, page).await };
        let page = self.calls.read(listed).await?;
        let payment = |payment: &FanPayment| pb::UserPayment {
            user_id: payment.user().to_string(),
            payment: Some(payment_for_staff(payment)),
        };
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: page.items.iter().map(payment).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let by = fields.optional_id("user_id", &message.user_id);
        let target = fields.optional_id("target_id", &message.target_id);
        let since = fields.optional_timestamp("since", message.since.as_ref());
        let until = fields.optional_timestamp("until", message.until.as_ref());
        let times = [moment(since), moment(until)];
        let filter = [message.user_id.as_str(), message.target_id.as_str(), times[0].as_str(), times[1].as_str()];
        let listing = self.listings.of("ListAuditEntries", Some(caller.user), filter);
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let Some(page) = page else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let entries = self.records.audit_entries(AuditFilter { by, target, since, until }, page);
        let page = self.calls.read(entries).await?;
        Ok(Response::new(pb::ListAuditEntriesResponse {
            next_page_token: listing.next_page_token(page.next.as_ref()),
            entries: page.items.into_iter().map(entry_to_proto).collect(),
        }))
    }
}

/// Whose records a call lists, as it names the fan.
enum WhoseRecords {
    Known(RecordsOf),
    /// The fan with this e-mail address, in this performance or in all.
    WithEmail(Email, Option<PerformanceId>),
}

impl WhoseRecords {
    fn read(fields: &mut Fields, email: &str, user: &str, performance: &str) -> Option<Self> {
        let at: Option<PerformanceId> = fields.optional_id("performance_id", performance);
        let fan: Option<UserId> = fields.optional_id("user_id", user);
        if email.is_empty() {
            if user.is_empty() && performance.is_empty() {
                fields.refuse("performance_id", "must be set where neither email nor user_id is");
            }
            return RecordsOf::new(fan, at).map(Self::Known);
        }
        if !user.is_empty() {
            fields.refuse("user_id", "must be empty where email is set");
        }
        fields.read("email", Email::parse(email)).map(|email| Self::WithEmail(email, at))
    }

    async fn resolve(self, records: &RecordsUseCases) -> Result<RecordsOf, AppError> {
        match self {
            Self::Known(of) => Ok(of),
            Self::WithEmail(email, at) => {
                let fan = records.user_by_email(&email).await?.id;
                Ok(at.map_or(RecordsOf::Fan(fan), |at| RecordsOf::FanIn(fan, at)))
            }
        }
    }
}

/// A range of times. What is absent does not restrict it.
fn time_range(
    fields: &mut Fields,
    since: Option<&prost_types::Timestamp>,
    until: Option<&prost_types::Timestamp>,
) -> TimeRange {
    let since = fields.optional_timestamp("since", since);
    let until = fields.optional_timestamp("until", until);
    if since.zip(until).is_some_and(|(since, until)| until <= since) {
        fields.refuse("until", "must be after since");
    }
    TimeRange { since, until }
}

fn payment_states(fields: &mut Fields, values: &[i32]) -> Option<Vec<PaymentState>> {
    use encore_proto::payment::v1::PaymentState as Pb;

    fields.states(values, |state| match Pb::try_from(state) {
        Ok(Pb::Processing) => Some(PaymentState::Processing),
        Ok(Pb::NeedsAction) => Some(PaymentState::NeedsAction),
        Ok(Pb::Paid) => Some(PaymentState::Paid),
        Ok(Pb::Failed) => Some(PaymentState::Failed),
        Ok(Pb::Expired) => Some(PaymentState::Expired),
        Ok(Pb::PartlyRefunded) => Some(PaymentState::PartlyRefunded),
        Ok(Pb::Refunded) => Some(PaymentState::Refunded),
        Ok(Pb::Unspecified) | Err(_) => None,
    })
}

/// A payment without what is for its fan alone: who opens the URL of the next action acts for the owner of the card.
fn payment_for_staff(payment: &FanPayment) -> Payment {
    Payment { next_action: None, ..payment_to_proto(payment) }
}

fn entry_to_proto(entry: AuditEntry) -> pb::AuditEntry {
    let AuditEntry { id, by, rpc, target, changes, reason, request, at } = entry;
    let kind = match target {
        AuditTarget::Venue(_) => pb::AuditTargetKind::Venue,
        AuditTarget::Concert(_) => pb::AuditTargetKind::Concert,
        AuditTarget::Performance(_) => pb::AuditTargetKind::Performance,
        AuditTarget::Reservation(_) => pb::AuditTargetKind::Reservation,
        AuditTarget::User(_) => pb::AuditTargetKind::User,
        AuditTarget::WebhookEndpoint(_) => pb::AuditTargetKind::WebhookEndpoint,
        AuditTarget::SalesSwitch => pb::AuditTargetKind::SalesSwitch,
    };
    let target_id = if target == AuditTarget::SalesSwitch { String::new() } else { target.id().to_string() };
    let change = |AuditChange { field, before, after }| pb::AuditChange { field, before, after };
    pb::AuditEntry {
        entry_id: id.to_string(),
        user_id: by.user.to_string(),
        role: role_to_proto(by.role).into(),
        rpc,
        target_kind: kind.into(),
        target_id,
        changes: changes.into_iter().map(change).collect(),
        reason: reason.unwrap_or_default(),
        request_id: request.map(|request| request.to_string()).unwrap_or_default(),
        occurred_at: Some(timestamp(at)),
    }
}
