//! Reads the performance of a request that creates or plans one.

use std::time::Duration;

use encore_app::admin::{NewPerformance, NewQueue};
use encore_domain::catalog::seat_chart::GRADES_PER_VENUE_MAX;
use encore_domain::catalog::{
    HOLD_DEFAULT, HOLD_MAX, HOLD_MIN, OnSaleWindow, SEATS_PER_FAN_DEFAULT, SEATS_PER_FAN_MAX,
};
use encore_domain::money::Money;
use encore_domain::queue::QueueSettings;
use encore_proto::admin::v1 as pb;
use encore_proto::catalog::v1::GradePrice;

use crate::fields::Fields;
use crate::queue_admin::queue_patch;

/// The performance that a request describes. None if there is a violation that leaves it incomplete.
pub(crate) fn new_performance(fields: &mut Fields, message: &pb::CreatePerformanceRequest) -> Option<NewPerformance> {
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
        Some(value) => hold_duration(fields, value),
    };
    let queue = new_queue(fields, message, on_sale);
    Some(NewPerformance {
        concert: concert?,
        venue: venue?,
        starts_at: starts_at?,
        on_sale: on_sale?,
        prices: prices?,
        seats_per_fan: seats_per_fan?,
        hold_for: hold_for?,
        queue,
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
        fields.refuse("prices", format!("must have 1 to {GRADES_PER_VENUE_MAX} prices"));
        return None;
    }
    grade_prices(fields, &message.prices)
}

/// Prices by the names of their grades, each within the bounds of its currency.
pub(crate) fn grade_prices(fields: &mut Fields, listed: &[GradePrice]) -> Option<Vec<(String, Money)>> {
    let mut prices = Some(Vec::with_capacity(listed.len()));
    for (index, grade_price) in listed.iter().enumerate() {
        let field = format!("prices[{index}].price");
        let price = fields.money(&field, grade_price.price.as_ref()).and_then(|price| {
            let max = price.currency.price_max_minor();
            let fits = (0..=max).contains(&price.minor);
            let rule = format!("must be 0 to {max} minor units of {}", price.currency);
            fields.read(&format!("{field}.amount_minor"), if fits { Ok(price) } else { Err(rule) })
        });
        let grade = fields.name(&format!("prices[{index}].grade"), &grade_price.grade);
        prices = prices.zip(grade.zip(price)).map(|(mut prices, price)| {
            prices.push(price);
            prices
        });
    }
    prices
}

/// The lifetime of a hold, within its bounds.
pub(crate) fn hold_duration(fields: &mut Fields, value: &prost_types::Duration) -> Option<Duration> {
    let hold_for = fields.duration("hold_duration", value)?;
    let fits = (HOLD_MIN..=HOLD_MAX).contains(&hold_for);
    fields.read("hold_duration", if fits { Ok(hold_for) } else { Err("must be 10 seconds to 30 minutes") })
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

fn new_queue(
    fields: &mut Fields,
    message: &pb::CreatePerformanceRequest,
    on_sale: Option<OnSaleWindow>,
) -> Option<NewQueue> {
    let pre_queue_opens_at = message.pre_queue_opens_at.as_ref();
    let pre_queue_opens_at = pre_queue_opens_at.and_then(|moment| fields.timestamp("pre_queue_opens_at", Some(moment)));
    if message.queue.is_none() && message.pre_queue_opens_at.is_some() {
        fields.refuse("pre_queue_opens_at", "must be absent without a queue");
    }
    if let (Some(pre_queue_opens_at), Some(on_sale)) = (pre_queue_opens_at, on_sale)
        && pre_queue_opens_at >= on_sale.opens_at
    {
        fields.refuse("pre_queue_opens_at", "must be before on_sale_opens_at");
    }
    let settings = message.queue.as_ref()?;
    let settings = QueueSettings::default().set_to(&queue_patch(fields, "queue", settings));
    Some(NewQueue { settings, pre_queue_opens_at, override_ceiling: message.override_ceiling })
}
