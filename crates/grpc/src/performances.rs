//! `PerformanceService`.

use encore_app::performance_admin::{NewTerms, PerformanceAdmin};
use encore_domain::audit_log::StaffCall;
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::catalog::performance_change::Postponement;
use encore_domain::catalog::seat_chart::GRADES_PER_VENUE_MAX;
use encore_domain::ids::PerformanceId;
use encore_domain::payment::refund::OperatorReason;
use encore_proto::admin::v1::{self as pb, performance_service_server::PerformanceService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::catalog::summary_to_proto;
use crate::fields::Fields;
use crate::new_performance::{grade_prices, hold_duration};
use crate::sent_body::sent_body;

pub(crate) struct PerformancesApi {
    pub(crate) performances: PerformanceAdmin,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl PerformanceService for PerformancesApi {
    async fn postpone_performance(
        &self,
        request: Request<pb::PostponePerformanceRequest>,
    ) -> Result<Response<pb::PostponePerformanceResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("PostponePerformance", &message));
        let id = fields.id::<PerformanceId>("performance_id", &message.performance_id);
        let starts_at = fields.timestamp("starts_at", message.starts_at.as_ref());
        let refunds_until = fields.timestamp("refunds_until", message.refunds_until.as_ref());
        let reason = fields.read("reason", OperatorReason::parse(&message.reason));
        let (Some(request), Some(id), Some(starts_at), Some(refunds_until), Some(reason)) =
            (key, id, starts_at, refunds_until, reason)
        else {
            return Err(fields.into_status());
        };
        let call = StaffCall { caller, rpc: "PerformanceService.PostponePerformance", request };
        let postponement = Postponement { starts_at, refunds_until, reason };
        let performances = self.performances.clone();
        let summary = self.calls.write(async move { performances.postpone(id, postponement, call).await }).await?;
        Ok(Response::new(pb::PostponePerformanceResponse { performance: Some(summary_to_proto(&summary)) }))
    }

    async fn update_performance(
        &self,
        request: Request<pb::UpdatePerformanceRequest>,
    ) -> Result<Response<pb::UpdatePerformanceResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("UpdatePerformance", &message));
        let id = fields.id::<PerformanceId>("performance_id", &message.performance_id);
        let terms = new_terms(&mut fields, &message);
        let reason = match message.reason.as_str() {
            "" => None,
            text => fields.read("reason", OperatorReason::parse(text)),
        };
        let (Some(request), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let call = StaffCall { caller, rpc: "PerformanceService.UpdatePerformance", request };
        let performances = self.performances.clone();
        let summary = self.calls.write(async move { performances.update(id, terms, reason, call).await }).await?;
        Ok(Response::new(pb::UpdatePerformanceResponse { performance: Some(summary_to_proto(&summary)) }))
    }

    async fn withdraw_performance(
        &self,
        request: Request<pb::WithdrawPerformanceRequest>,
    ) -> Result<Response<pb::WithdrawPerformanceResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("WithdrawPerformance", &message));
        let id = fields.id::<PerformanceId>("performance_id", &message.performance_id);
        let reason = fields.read("reason", OperatorReason::parse(&message.reason));
        let (Some(request), Some(id), Some(reason)) = (key, id, reason) else {
            return Err(fields.into_status());
        };
        let call = StaffCall { caller, rpc: "PerformanceService.WithdrawPerformance", request };
        let performances = self.performances.clone();
        let summary = self.calls.write(async move { performances.withdraw(id, reason, call).await }).await?;
        Ok(Response::new(pb::WithdrawPerformanceResponse { performance: Some(summary_to_proto(&summary)) }))
    }
}

/// The terms that a request sets. Violations are recorded in `fields`, and leave a term out.
fn new_terms(fields: &mut Fields, message: &pb::UpdatePerformanceRequest) -> NewTerms {
    let prices = if message.prices.len() > GRADES_PER_VENUE_MAX {
        fields.refuse("prices", format!("must have at most {GRADES_PER_VENUE_MAX} prices"));
        None
    } else {
        grade_prices(fields, &message.prices)
    };
    let seats_per_fan = message.seats_per_fan.and_then(|seats| {
        let fits = (1..=SEATS_PER_FAN_MAX).contains(&seats);
        let rule = || format!("must be 1 to {SEATS_PER_FAN_MAX}");
        fields.read("seats_per_fan", if fits { Ok(seats) } else { Err(rule()) })
    });
    NewTerms {
        opens_at: fields.optional_timestamp("on_sale_opens_at", message.on_sale_opens_at.as_ref()),
        closes_at: fields.optional_timestamp("on_sale_closes_at", message.on_sale_closes_at.as_ref()),
        prices: prices.unwrap_or_default(),
        seats_per_fan,
        hold_for: message.hold_duration.as_ref().and_then(|value| hold_duration(fields, value)),
    }
}
