//! Reads the requests of `AdminService` that are about queues, and converts settings and reports of queues to protobuf messages.

use std::time::Duration;

use encore_app::queue_admin::{LaneReport, QueuePhase, QueueReport};
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{
    Lane, LaneName, Lanes, NotAQueueSetting, QueueMessage, QueuePatch, QueueRate, QueueSettings, check_deadline,
    check_hold_tries, check_queue_count, check_rate_period,
};
use encore_domain::request::RequestKey;
use encore_proto::admin::v1 as pb;
use tonic::Status;

use crate::fields::Fields;
use crate::sent_body::Call;
use crate::to_proto::{duration, timestamp};

/// The validity of a lane grant where the request sets none.
const GRANT_DEFAULT: Duration = Duration::from_hours(24);
/// The shortest validity of a lane grant. The grant must reach its fan within it.
const GRANT_MIN: Duration = Duration::from_mins(1);
/// The longest validity of a lane grant: a season and its renewal.
const GRANT_MAX: Duration = Duration::from_hours(400 * 24);

/// Which queue an operator's request is about, and the key of the request.
pub(crate) fn queue_to_change<M: prost::Message>(
    caller: Caller,
    (request_id, performance_id): (&str, &str),
    call: &Call<'_, M>,
) -> Result<(Option<RequestKey>, PerformanceId), Status> {
    let mut fields = Fields::default();
    let key = fields.optional_request(caller.user, request_id, call);
    let performance = fields.id("performance_id", performance_id);
    key.zip(performance).ok_or_else(|| fields.into_status())
}

/// The changes that the settings of a request ask for.
pub(crate) fn queue_patch(fields: &mut Fields, field: &str, settings: &pb::QueueSettings) -> QueuePatch {
    let mut count = |name: &str, value: u32| fields.read(&format!("{field}.{name}"), check_queue_count(value));
    let admissions = settings.rate.as_ref().and_then(|rate| count("rate.admissions", rate.admissions));
    let batch = settings.batch.and_then(|batch| count("batch", batch));
    let max_active = settings.max_active.and_then(|max_active| count("max_active", max_active));
    let mut time = |name: &str, value: Option<&prost_types::Duration>, check: fn(Duration) -> Checked<Duration>| {
        let field = format!("{field}.{name}");
        let value = fields.duration(&field, value?)?;
        fields.read(&field, check(value))
    };
    let period = settings.rate.as_ref().map(|rate| rate.period.unwrap_or_default());
    let period = time("rate.period", period.as_ref(), check_rate_period);
    let accept_window = time("accept_window", settings.accept_window.as_ref(), check_deadline);
    let active_duration = time("active_duration", settings.active_duration.as_ref(), check_deadline);
    let grace = time("grace", settings.grace.as_ref(), check_deadline);
    let hold_tries = settings.hold_tries;
    let hold_tries = hold_tries.and_then(|tries| fields.read(&format!("{field}.hold_tries"), check_hold_tries(tries)));
    let message = settings.message.as_deref();
    let message = message.and_then(|text| fields.read(&format!("{field}.message"), QueueMessage::parse(text)));
    QueuePatch {
        rate: admissions.zip(period).map(|(admissions, period)| QueueRate { admissions, period }),
        batch,
        max_active,
        paused: settings.paused,
        draining: settings.draining,
        accept_window,
        active_duration,
        grace,
        hold_tries,
        message,
        lanes: lanes(fields, &format!("{field}.lanes"), &settings.lanes),
    }
}

type Checked<T> = Result<T, NotAQueueSetting>;

fn lanes(fields: &mut Fields, field: &str, lanes: &[pb::Lane]) -> Option<Lanes> {
    if lanes.is_empty() {
        return None;
    }
    let mut read = Vec::with_capacity(lanes.len());
    for (index, lane) in lanes.iter().enumerate() {
        let name = fields.read(&format!("{field}[{index}].name"), LaneName::parse(&lane.name));
        let lane = name.and_then(|name| fields.read(&format!("{field}[{index}].weight"), Lane::new(name, lane.weight)));
        read.extend(lane);
    }
    if read.len() < lanes.len() { None } else { fields.read(field, Lanes::new(read)) }
}

/// The validity of a lane grant.
pub(crate) fn grant_time(fields: &mut Fields, value: Option<&prost_types::Duration>) -> Option<Duration> {
    let Some(value) = value else { return Some(GRANT_DEFAULT) };
    let valid_for = fields.duration("valid_for", value)?;
    let fits = (GRANT_MIN..=GRANT_MAX).contains(&valid_for);
    fields.read("valid_for", if fits { Ok(valid_for) } else { Err("must be 1 minute to 400 days") })
}

/// All settings of a queue.
pub(crate) fn settings_to_proto(settings: &QueueSettings) -> pb::QueueSettings {
    let QueueRate { admissions, period } = settings.rate;
    let lane = |lane: &Lane| pb::Lane { name: lane.name.to_string(), weight: lane.weight };
    pb::QueueSettings {
        rate: Some(pb::QueueRate { admissions, period: Some(duration(period)) }),
        batch: Some(settings.batch),
        max_active: Some(settings.max_active),
        paused: Some(settings.paused),
        draining: Some(settings.draining),
        accept_window: Some(duration(settings.accept_window)),
        active_duration: Some(duration(settings.active_duration)),
        grace: Some(duration(settings.grace)),
        hold_tries: Some(settings.hold_tries.unwrap_or(0)),
        message: Some(settings.message.as_ref().map(|message| message.as_str().to_owned()).unwrap_or_default()),
        lanes: settings.lanes.as_slice().iter().map(lane).collect(),
    }
}

/// A queue's report for operators.
pub(crate) fn report_to_proto(report: &QueueReport) -> pb::QueueReport {
    let lane = |lane: &LaneReport| pb::LaneReport {
        name: lane.lane.name.to_string(),
        waiting: lane.waiting,
        admissions_per_second: lane.per_second,
        wait_p50: lane.wait.p50.map(duration),
        wait_p90: lane.wait.p90.map(duration),
    };
    let flow = report.flow;
    pb::QueueReport {
        observed_at: Some(timestamp(report.observed_at)),
        settings: Some(settings_to_proto(&report.settings)),
        phase: phase_to_proto(report.phase).into(),
        lanes: report.lanes.iter().map(lane).collect(),
        called: report.called,
        active: report.active,
        joined_total: flow.joined,
        called_total: flow.called,
        accepted_total: flow.accepted,
        no_shows_total: flow.no_shows,
        left_total: flow.left,
        abandoned_total: flow.abandoned,
        paid_total: flow.used,
        expired_total: flow.expired,
        seats_left: report.stock.free,
        seats_held: report.stock.held,
        tick: report.tick.map(duration),
        accessible_seats_left: report.accessible.free,
    }
}

fn phase_to_proto(phase: QueuePhase) -> pb::QueuePhase {
    match phase {
        QueuePhase::PreQueue => pb::QueuePhase::PreQueue,
        QueuePhase::Open => pb::QueuePhase::Open,
        QueuePhase::Paused => pb::QueuePhase::Paused,
        QueuePhase::SoldOut => pb::QueuePhase::SoldOut,
        QueuePhase::Closed => pb::QueuePhase::Closed,
    }
}
