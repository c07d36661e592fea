//! `BookingService`.

use std::sync::Arc;

use encore_app::booking::{BookingUseCases, ReservationView};
use encore_app::cancellation::{CancellationUseCases, CancelledView};
use encore_domain::booking::seat_request::{
    BestAvailableRequest, GeneralAdmissionRequest, SECTIONS_PER_REQUEST_MAX, SeatRequest,
};
use encore_domain::booking::{ReservationState, ReservedSeat, SEATS_PER_HOLD_MAX, SeatSelection, SelectionError};
use encore_domain::catalog::area::unit_id;
use encore_domain::catalog::seat_chart::GRADES_PER_VENUE_MAX;
use encore_domain::money::Money;
use encore_proto::booking::v1::{self as pb, booking_service_server::BookingService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::page_token::Listings;
use crate::queue_pass::queue_pass;
use crate::sent_body::sent_body;
use crate::to_proto::{money, timestamp};

pub(crate) struct BookingApi {
    pub(crate) booking: Arc<BookingUseCases>,
    pub(crate) cancellations: Arc<CancellationUseCases>,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl BookingService for BookingApi {
    async fn hold_seats(
        &self,
        request: Request<pb::HoldSeatsRequest>,
    ) -> Result<Response<pb::HoldSeatsResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("HoldSeats", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        let seat_request = seat_request(&mut fields, message);
        let (Some(key), Some(performance), Some(seat_request)) = (key, performance, seat_request) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let booking = Arc::clone(&self.booking);
        let held =
            self.calls.write(async move { booking.hold_seats(caller, &pass, performance, &seat_request, key).await });
        Ok(Response::new(pb::HoldSeatsResponse { reservation: Some(to_proto(&held.await?)) }))
    }

    async fn release_hold(
        &self,
        request: Request<pb::ReleaseHoldRequest>,
    ) -> Result<Response<pb::ReleaseHoldResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("ReleaseHold", &message));
        let id = fields.id("reservation_id", &message.reservation_id);
        let all = message.seat_ids.is_empty();
        let seats = if all { None } else { seat_selection(&mut fields, message.seat_ids) };
        let (Some(key), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let booking = Arc::clone(&self.booking);
        let released = self.calls.write(async move {
            match seats {
                Some(seats) => booking.release_seats(caller, &pass, id, &seats, key).await,
                None => booking.release_hold(caller, &pass, id, key).await,
            }
        });
        Ok(Response::new(pb::ReleaseHoldResponse { reservation: Some(to_proto(&released.await?)) }))
    }

    async fn extend_hold(
        &self,
        request: Request<pb::ExtendHoldRequest>,
    ) -> Result<Response<pb::ExtendHoldResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("ExtendHold", &message));
        let id = fields.id("reservation_id", &message.reservation_id);
        let (Some(key), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        let booking = Arc::clone(&self.booking);
        let extended = self.calls.write(async move { booking.extend_hold(caller, &pass, id, key).await });
        Ok(Response::new(pb::ExtendHoldResponse { reservation: Some(to_proto(&extended.await?)) }))
    }

    async fn cancel_reservation(
        &self,
        request: Request<pb::CancelReservationRequest>,
    ) -> Result<Response<pb::CancelReservationResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("CancelReservation", &message));
        let id = fields.id("reservation_id", &message.reservation_id);
        let all = message.seat_ids.is_empty();
        let seats = if all { None } else { seat_selection(&mut fields, message.seat_ids) };
        let (Some(key), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let cancellations = Arc::clone(&self.cancellations);
        let cancelled =
            self.calls.write(async move { cancellations.cancel(caller, &pass, id, seats.as_ref(), key).await }).await?;
        Ok(Response::new(pb::CancelReservationResponse {
            reservation: Some(to_proto(&cancelled.reservation)),
            refund: Some(refund_to_proto(&cancelled)),
        }))
    }

    async fn get_reservation(
        &self,
        request: Request<pb::GetReservationRequest>,
    ) -> Result<Response<pb::GetReservationResponse>, Status> {
        let caller = caller(&request)?;
        let mut fields = Fields::default();
        let Some(id) = fields.id("reservation_id", &request.get_ref().reservation_id) else {
            return Err(fields.into_status());
        };
        let view = self.calls.read(self.booking.get_reservation(caller, id)).await?;
        Ok(Response::new(pb::GetReservationResponse { reservation: Some(to_proto(&view)) }))
    }

    async fn list_reservations(
        &self,
        request: Request<pb::ListReservationsRequest>,
    ) -> Result<Response<pb::ListReservationsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let states = states(&mut fields, &message.states);
        let names: Vec<&str> = message.states().map(|state| state.as_str_name()).collect();
        let listing = self.listings.of("ListReservations", Some(caller.user), names);
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let (Some(states), Some(page)) = (states, page) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.booking.list_reservations(caller.user, states, page)).await?;
        Ok(Response::new(pb::ListReservationsResponse {
            reservations: page.items.iter().map(to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }
}

pub(crate) fn states(fields: &mut Fields, values: &[i32]) -> Option<Vec<ReservationState>> {
    fields.states(values, |state| match pb::ReservationState::try_from(state) {
        Ok(pb::ReservationState::Held) => Some(ReservationState::Held),
        Ok(pb::ReservationState::Paying) => Some(ReservationState::Paying),
        Ok(pb::ReservationState::Confirmed) => Some(ReservationState::Confirmed),
        Ok(pb::ReservationState::Expired) => Some(ReservationState::Expired),
        Ok(pb::ReservationState::Released) => Some(ReservationState::Released),
        Ok(pb::ReservationState::Cancelled) => Some(ReservationState::Cancelled),
        Ok(pb::ReservationState::Unspecified) | Err(_) => None,
    })
}

fn seat_request(fields: &mut Fields, message: pb::HoldSeatsRequest) -> Option<SeatRequest> {
    if let Some(general_admission) = message.general_admission {
        if !message.seat_ids.is_empty() {
            fields.refuse("seat_ids", "must be empty where general_admission is set");
        }
        if message.best_available.is_some() {
            fields.refuse("best_available", "must be absent where general_admission is set");
        }
        if message.accessible {
            fields.refuse("accessible", "must not be set where general_admission is set");
        }
        return general_admission_request(fields, &general_admission).map(SeatRequest::GeneralAdmission);
    }
    let Some(best) = message.best_available else {
        let seats = seat_selection(fields, message.seat_ids)?;
        return Some(SeatRequest::Named {
            seats,
            prevent_orphan_seats: message.prevent_orphan_seats,
            accessible: message.accessible,
        });
    };
    if !message.seat_ids.is_empty() {
        fields.refuse("seat_ids", "must be empty where best_available is set");
    }
    let count = seat_count(fields, "best_available.count", best.count);
    let sections = fields.names("best_available.sections", &best.sections, SECTIONS_PER_REQUEST_MAX);
    let grades = fields.names("best_available.grades", &best.grades, GRADES_PER_VENUE_MAX);
    let price_max = match &best.price_max {
        None => None,
        Some(price_max) => Some(price_limit(fields, price_max)?),
    };
    let accessible =
        usize::try_from(best.accessible_count).ok().filter(|it| *it <= count.unwrap_or(SEATS_PER_HOLD_MAX));
    let accessible = fields.read("best_available.accessible_count", accessible.ok_or("must be at most count"));
    if best.allow_split && best.accessible_count > 0 {
        fields.refuse("best_available.allow_split", "must not be set where accessible_count is set");
    }
    if message.accessible {
        fields.refuse("accessible", "must not be set where best_available is set: use best_available.accessible_count");
    }
    let (count, accessible, allow_split) = (count?, accessible?, best.allow_split);
    Some(SeatRequest::Best(BestAvailableRequest { count, sections, grades, price_max, allow_split, accessible }))
}

fn general_admission_request(
    fields: &mut Fields,
    general_admission: &pb::GeneralAdmission,
) -> Option<GeneralAdmissionRequest> {
    let count = seat_count(fields, "general_admission.count", general_admission.count);
    let area = fields.name("general_admission.area", &general_admission.area);
    Some(GeneralAdmissionRequest { area: area?, count: count? })
}

fn seat_count(fields: &mut Fields, field: &str, count: u32) -> Option<usize> {
    let count = usize::try_from(count).ok().filter(|count| (1..=SEATS_PER_HOLD_MAX).contains(count));
    fields.read(field, count.ok_or(format!("must be 1 to {SEATS_PER_HOLD_MAX}")))
}

fn price_limit(fields: &mut Fields, price_max: &encore_proto::common::v1::Money) -> Option<Money> {
    let limit = fields.money("best_available.price_max", Some(price_max))?;
    let rule = "must not be negative";
    fields.read("best_available.price_max.amount_minor", if limit.minor >= 0 { Ok(limit) } else { Err(rule) })
}

fn seat_selection(fields: &mut Fields, seat_ids: Vec<String>) -> Option<SeatSelection> {
    match SeatSelection::parse(seat_ids) {
        Ok(selection) => Some(selection),
        Err(errors) => {
            for error in errors {
                let field = match &error {
                    SelectionError::Empty | SelectionError::TooMany => "seat_ids".to_owned(),
                    SelectionError::NotAName { index } | SelectionError::Duplicate { index, .. } => {
                        format!("seat_ids[{index}]")
                    }
                };
                fields.refuse(&field, error.to_string());
            }
            None
        }
    }
}

pub(crate) fn to_proto(view: &ReservationView) -> pb::Reservation {
    let ReservationView { reservation, context } = view;
    let state = match reservation.state {
        ReservationState::Held => pb::ReservationState::Held,
        ReservationState::Paying => pb::ReservationState::Paying,
        ReservationState::Confirmed => pb::ReservationState::Confirmed,
        ReservationState::Expired => pb::ReservationState::Expired,
        ReservationState::Released => pb::ReservationState::Released,
        ReservationState::Cancelled => pb::ReservationState::Cancelled,
    };
    pb::Reservation {
        reservation_id: reservation.id.to_string(),
        performance_id: reservation.performance.to_string(),
        state: state.into(),
        seats: reservation.seats.iter().filter_map(|seat| seat_to_proto(view, seat)).collect(),
        total: Some(money(reservation.total)),
        held_at: Some(timestamp(reservation.held_at)),
        expires_at: Some(timestamp(reservation.expires_at)),
        payment_id: reservation.payment.map(|id| id.to_string()).unwrap_or_default(),
        concert_title: context.concert.title.as_str().to_owned(),
        venue_name: context.venue.name.as_str().to_owned(),
        starts_at: Some(timestamp(context.performance.starts_at)),
        confirmed_at: reservation.settled_at.filter(|_| reservation.payment.is_some()).map(timestamp),
        cancelled_at: reservation.cancelled_at.map(timestamp),
    }
}

fn refund_to_proto(CancelledView { reservation, refund }: &CancelledView) -> pb::Refund {
    let fee = Money { minor: refund.fee_minor, ..refund.price };
    pb::Refund {
        refund_id: refund.id.to_string(),
        payment_id: refund.payment.to_string(),
        seat_ids: reservation.context.seat_ids(&refund.slots),
        price: Some(money(refund.price)),
        fee: Some(money(fee)),
        amount: Some(money(refund.amount())),
        cancelled_at: Some(timestamp(refund.at)),
    }
}

fn seat_to_proto(view: &ReservationView, reserved: &ReservedSeat) -> Option<pb::ReservedSeat> {
    let chart = &view.context.venue.chart;
    let price = Money { minor: reserved.price_minor, currency: view.reservation.total.currency };
    if let Some(area) = chart.area_at(reserved.slot) {
        return Some(pb::ReservedSeat {
            seat_id: unit_id(reserved.slot),
            label: String::new(),
            section: chart.name_of(area).to_owned(),
            grade: chart.grades()[usize::from(area.grade)].name.clone(),
            price: Some(money(price)),
        });
    }
    let seat = chart.seat_at(reserved.slot)?;
    Some(pb::ReservedSeat {
        seat_id: seat.id.clone(),
        label: chart.label_of(seat),
        section: chart.section_of(seat).name.clone(),
        grade: chart.grade_of(seat).name.clone(),
        price: Some(money(price)),
    })
}

#[cfg(test)]
mod tests {
    use encore_domain::booking::Reservation;
    use encore_domain::ids::{PaymentId, ReservationId, UserId};
    use encore_domain::page::PAGE_SIZE_MAX;
    use prost::Message;
    use uuid::Uuid;

    use super::*;
    use crate::seat_chart::tests::{PRICE_OF_MANY_DIGITS, REPLY_MAX_BYTES, largest_context};

    #[test]
    fn a_page_of_the_largest_reservations_is_a_reply_that_clients_accept() {
        let context = largest_context();
        let seats = context.venue.chart.seats().iter().take(SEATS_PER_HOLD_MAX);
        let at = context.performance.starts_at;
        let reservation = Reservation {
            id: ReservationId(Uuid::max()),
            user: UserId(Uuid::max()),
            performance: context.performance.id,
            seats: seats.map(|seat| ReservedSeat { slot: seat.slot, price_minor: PRICE_OF_MANY_DIGITS }).collect(),
            total: Money { minor: PRICE_OF_MANY_DIGITS, currency: context.performance.prices.currency },
            state: ReservationState::Confirmed,
            held_at: at,
            expires_at: at,
            settled_at: Some(at),
            payment: Some(PaymentId(Uuid::max())),
            cancelled_at: Some(at),
            revision: u32::MAX,
        };
        let bytes = to_proto(&ReservationView { reservation, context }).encoded_len() * PAGE_SIZE_MAX as usize;
        assert!(bytes < REPLY_MAX_BYTES, "{bytes} bytes");
    }
}
