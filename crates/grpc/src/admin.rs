//! `AdminService`.

use encore_app::admin::{AdminUseCases, NewPerformance};
use encore_app::audit::AuditUseCases;
use encore_app::rehearsal_fans::{REHEARSAL_FANS_MAX, RehearsalFans};
use encore_domain::catalog::{
    HOLD_DEFAULT, HOLD_MAX, HOLD_MIN, OnSaleWindow, SEATS_PER_FAN_DEFAULT, SEATS_PER_FAN_MAX, Title, Venue,
};
use encore_domain::identity::AccessToken;
use encore_domain::ids::UserId;
use encore_domain::money::{Money, PRICE_MAX_MINOR};
use encore_domain::queue::{LinePatch, LineRate, LineSettings, check_line_count, check_rate_period};
use encore_domain::seat_chart::GRADES_PER_VENUE_MAX;
use encore_proto::admin::v1::{self as pb, admin_service_server::AdminService};
use tonic::{Request, Response, Status};

use crate::audit::report_to_proto;
use crate::authenticate::caller;
use crate::calls::Calls;
use crate::catalog::{concert_to_proto, offer_to_proto};
use crate::fields::Fields;
use crate::to_proto::duration;

pub(crate) struct AdminApi {
    pub(crate) admin: AdminUseCases,
    pub(crate) audit: AuditUseCases,
    pub(crate) rehearsal_fans: RehearsalFans,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn import_venue(
        &self,
        request: Request<pb::ImportVenueRequest>,
    ) -> Result<Response<pb::ImportVenueResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "ImportVenue", &message);
        let Some(key) = key else {
            return Err(fields.into_status());
        };
        let admin = self.admin.clone();
        let venue = self.calls.write(async move { admin.import_venue(message.plan_json, key).await }).await?;
        Ok(Response::new(pb::ImportVenueResponse { venue: Some(venue_to_proto(&venue)) }))
    }

    async fn create_concert(
        &self,
        request: Request<pb::CreateConcertRequest>,
    ) -> Result<Response<pb::CreateConcertResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "CreateConcert", &message);
        let title = fields.read("title", Title::parse(&message.title));
        let artist = fields.read("artist", Title::parse(&message.artist));
        let (Some(key), Some(title), Some(artist)) = (key, title, artist) else {
            return Err(fields.into_status());
        };
        let admin = self.admin.clone();
        let concert = self.calls.write(async move { admin.create_concert(title, artist, key).await }).await?;
        Ok(Response::new(pb::CreateConcertResponse { concert: Some(concert_to_proto(&concert)) }))
    }

    async fn create_performance(
        &self,
        request: Request<pb::CreatePerformanceRequest>,
    ) -> Result<Response<pb::CreatePerformanceResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "CreatePerformance", &message);
        let new = new_performance(&mut fields, &message);
        let (Some(key), Some(new)) = (key, new) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let admin = self.admin.clone();
        let offer = self.calls.write(async move { admin.create_performance(new, key).await }).await?;
        Ok(Response::new(pb::CreatePerformanceResponse { performance: Some(offer_to_proto(&offer)) }))
    }

    async fn set_line(&self, request: Request<pb::SetLineRequest>) -> Result<Response<pb::SetLineResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "SetLine", &message);
        let performance = fields.id("performance_id", &message.performance_id);
        if message.settings.is_none() {
            fields.refuse("settings", "must be set");
        }
        let patch = line_patch(&mut fields, "settings", &message.settings.unwrap_or_default());
        let (Some(key), Some(performance)) = (key, performance) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let admin = self.admin.clone();
        let settings = self.calls.write(async move { admin.set_line(performance, patch, key).await }).await?;
        Ok(Response::new(pb::SetLineResponse { settings: Some(settings_to_proto(&settings)) }))
    }

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
        let rehearsal_fans = self.rehearsal_fans.clone();
        let added = self.calls.write(async move { rehearsal_fans.add(count).await }).await?;
        let fan = |(user, token): (UserId, AccessToken)| pb::RehearsalFan {
            user_id: user.to_string(),
            access_token: token.token,
        };
        Ok(Response::new(pb::AddRehearsalFansResponse { fans: added.into_iter().map(fan).collect() }))
    }

    async fn verify_performance(
        &self,
        request: Request<pb::VerifyPerformanceRequest>,
    ) -> Result<Response<pb::VerifyPerformanceResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let report = self.calls.read(self.audit.verify(Some(performance))).await?;
        Ok(Response::new(report_to_proto(&report)))
    }
}

fn new_performance(fields: &mut Fields, message: &pb::CreatePerformanceRequest) -> Option<NewPerformance> {
    let concert = fields.id("concert_id", &message.concert_id);
    let venue = fields.id("venue_id", &message.venue_id);
    let starts_at = fields.timestamp("starts_at", message.starts_at.as_ref());
    let on_sale = on_sale(fields, message);
    if let (Some(starts_at), Some(on_sale)) = (starts_at, on_sale)
        && on_sale.closes_at > starts_at
    {
        fields.refuse("on_sale_closes_at", "must not be after starts_at");
    }
    let prices = prices(fields, message);
    let seats_per_fan = seats_per_fan(fields, message.seats_per_fan);
    let hold_for = match &message.hold_duration {
        None => Some(HOLD_DEFAULT),
        Some(value) => fields.duration("hold_duration", value).and_then(|hold_for| {
            let fits = (HOLD_MIN..=HOLD_MAX).contains(&hold_for);
            fields.read("hold_duration", if fits { Ok(hold_for) } else { Err("must be 10 seconds to 30 minutes") })
        }),
    };
    let line = message.line.as_ref().map(|line| LineSettings::default().patched(&line_patch(fields, "line", line)));
    Some(NewPerformance {
        concert: concert?,
        venue: venue?,
        starts_at: starts_at?,
        on_sale: on_sale?,
        prices: prices?,
        seats_per_fan: seats_per_fan?,
        hold_for: hold_for?,
        line,
    })
}

fn on_sale(fields: &mut Fields, message: &pb::CreatePerformanceRequest) -> Option<OnSaleWindow> {
    let opens_at = fields.timestamp("on_sale_opens_at", message.on_sale_opens_at.as_ref());
    let closes_at = fields.timestamp("on_sale_closes_at", message.on_sale_closes_at.as_ref());
    let (opens_at, closes_at) = (opens_at?, closes_at?);
    let rule = "must be after on_sale_opens_at";
    fields.read("on_sale_closes_at", if closes_at > opens_at { Ok(()) } else { Err(rule) })?;
    Some(OnSaleWindow { opens_at, closes_at })
}

fn prices(fields: &mut Fields, message: &pb::CreatePerformanceRequest) -> Option<Vec<(String, Money)>> {
    if !(1..=GRADES_PER_VENUE_MAX).contains(&message.prices.len()) {
        fields.refuse("prices", "must have one price for every grade of the venue");
        return None;
    }
    let mut prices = Some(Vec::with_capacity(message.prices.len()));
    for (index, grade_price) in message.prices.iter().enumerate() {
        let field = format!("prices[{index}].price");
        let price = fields.money(&field, grade_price.price.as_ref()).and_then(|price| {
            let fits = (0..=PRICE_MAX_MINOR).contains(&price.minor);
            let rule = format!("must be 0 to {PRICE_MAX_MINOR} minor units");
            fields.read(&format!("{field}.amount_minor"), if fits { Ok(price) } else { Err(rule) })
        });
        prices = prices.zip(price).map(|(mut prices, price)| {
            prices.push((grade_price.grade.clone(), price));
            prices
        });
    }
    prices
}

fn seats_per_fan(fields: &mut Fields, seats: u32) -> Option<u32> {
    match seats {
        0 => Some(SEATS_PER_FAN_DEFAULT),
        1..=SEATS_PER_FAN_MAX => Some(seats),
        _ => {
            fields.refuse("seats_per_fan", format!("must be at most {SEATS_PER_FAN_MAX}"));
            None
        }
    }
}

fn line_patch(fields: &mut Fields, field: &str, settings: &pb::LineSettings) -> LinePatch {
    let mut count = |name: &str, value: u32| fields.read(&format!("{field}.{name}"), check_line_count(value));
    let admissions = settings.rate.as_ref().and_then(|rate| count("rate.admissions", rate.admissions));
    let batch = settings.batch.and_then(|batch| count("batch", batch));
    let cap = settings.cap.and_then(|cap| count("cap", cap));
    let period = settings.rate.as_ref().and_then(|rate| {
        let field = format!("{field}.rate.period");
        let period = fields.duration(&field, &rate.period.unwrap_or_default())?;
        fields.read(&field, check_rate_period(period))
    });
    let rate = admissions.zip(period).map(|(admissions, period)| LineRate { admissions, period });
    LinePatch { rate, batch, cap, paused: settings.paused }
}

fn settings_to_proto(settings: &LineSettings) -> pb::LineSettings {
    let LineRate { admissions, period } = settings.rate;
    pb::LineSettings {
        rate: Some(pb::LineRate { admissions, period: Some(duration(period)) }),
        batch: Some(settings.batch),
        cap: Some(settings.cap),
        paused: Some(settings.paused),
    }
}

fn venue_to_proto(venue: &Venue) -> pb::Venue {
    let chart = &venue.chart;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut seats_by_grade = vec![0_usize; chart.grades().len()];
    for seat in chart.seats() {
        seats_by_grade[usize::from(seat.grade)] += 1;
    }
    let grades = chart.grades().iter().zip(seats_by_grade);
    pb::Venue {
        venue_id: venue.id.to_string(),
        name: venue.name.as_str().to_owned(),
        sections: chart.sections().iter().map(|section| section.name.clone()).collect(),
        grades: grades
            .map(|(grade, seats)| pb::Grade { name: grade.name.clone(), seats_total: count(seats) })
            .collect(),
        seats_total: count(chart.seats().len()),
    }
}
