//! The cases of [`AuditLog`](encore_domain::ports::AuditLog).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::audit_log::{AuditChange, AuditEntry, AuditFilter, AuditTarget, StaffAct};
use encore_domain::booking::seat_block::{BlockReason, SeatBlock, SeatUnblock};
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::{AuditEntryId, UserId};
use encore_domain::payment::refund::{CancelPlan, CancelledBy, OperatorReason};
use encore_domain::queue::{QueueMessage, QueuePatch};
use encore_domain::request::RequestKey;
use encore_domain::sales_switch::SalesSwitch;
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TopUpAmount, Transfer, TransferIds};
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{
    act, altered, at_ms, at_secs, concert, euros, id, performance, pre_queue, queue, queue_settings, request, slots,
    small_chart, start, venue,
};
use crate::paging::{SIZES, read_all};
use crate::refunds::plan;

/// Stamps the cases of the port `AuditLog`.
#[macro_export]
macro_rules! audit_log {
    ($($with:tt)+) => {
        $crate::suite! { audit_log [
            keeps_an_entry,
            notes_what_is_added,
            notes_changes_of_queues,
            notes_blocked_seats,
            notes_cancellations,
            notes_roles,
            notes_credits,
            notes_the_switch,
            notes_nothing_of_what_is_refused,
            lists_by_who_target_and_time,
        ] $($with)+ }
    };
}

/// A change of one value.
fn change(field: &str, before: Option<&str>, after: Option<&str>) -> AuditChange {
    AuditChange { field: field.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
}

/// The entry of an act.
fn entry(act: &StaffAct, target: AuditTarget, changes: Vec<AuditChange>) -> AuditEntry {
    AuditEntry {
        id: act.id,
        by: act.by,
        rpc: act.rpc.to_owned(),
        target,
        changes,
        reason: act.reason.clone(),
        request: act.request.map(|request| request.id),
        at: act.at,
    }
}

impl RecordBench {
    /// The whole log, from the newest entry on.
    async fn log(&self) -> Vec<AuditEntry> {
        self.log_of(AuditFilter::default(), 100).await
    }

    async fn log_of(&self, filter: AuditFilter, page_size: u32) -> Vec<AuditEntry> {
        read_all(page_size, |page| self.audit_log.list(&filter, page)).await
    }

    /// The one entry of the log.
    async fn only_entry(&self) -> AuditEntry {
        let mut log = self.log().await;
        assert_eq!(log.len(), 1, "{log:?}");
        log.remove(0)
    }
}

pub async fn keeps_an_entry(bench: RecordBench) {
    let by = Caller { user: id(), role: Role::BoxOffice };
    let targets = [
        AuditTarget::Venue(id()),
        AuditTarget::Concert(id()),
        AuditTarget::Performance(id()),
        AuditTarget::Reservation(id()),
        AuditTarget::User(id()),
        AuditTarget::WebhookEndpoint(id()),
        AuditTarget::SalesSwitch,
    ];
    let changes = vec![change("title", None, Some("Zoë's \"last\" \u{1F3B5}")), change("artist", Some(""), None)];
    let mut kept = Vec::new();
    for (index, target) in targets.into_iter().enumerate() {
        let is_first = index == 0;
        let entry = AuditEntry {
            id: id(),
            by,
            rpc: "AdminService.CreateConcert".into(),
            target,
            changes: if is_first { changes.clone() } else { vec![] },
            reason: is_first.then(|| "as agreed".into()),
            request: is_first.then(id),
            at: at_secs(index as u64),
        };
        bench.audit_log.append(entry.clone()).await.expect("the store answers");
        kept.insert(0, entry);
    }
    assert_eq!(bench.log().await, kept);
}

pub async fn notes_what_is_added(bench: RecordBench) {
    let operator = bench.sign_up().await;
    let acts: Vec<StaffAct> = (0..3).map(|at| StaffAct { at: at_secs(at), ..act(request(operator)) }).collect();
    let place = made(bench.catalog.add_venue(venue(small_chart()), Some(acts[0].clone())).await);
    let show = made(bench.catalog.add_concert(concert(), Some(acts[1].clone())).await);
    let date = performance(show.id, place.id);
    let with_queue = Some(pre_queue(at_secs(1)));
    let date = made(bench.catalog.add_performance(date, with_queue, Some(acts[2].clone())).await);

    let log = bench.log().await;
    let [of_date, of_show, of_place] = log.as_slice() else { panic!("three entries: {log:?}") };
    let seats = vec![
        change("name", None, Some(place.name.as_str())),
        change("seats_total", None, Some("26")),
        change("city", None, Some("Wien")),
        change("country_code", None, Some("AT")),
        change("time_zone", None, Some("Europe/Vienna")),
    ];
    assert_eq!(*of_place, entry(&acts[0], AuditTarget::Venue(place.id.0), seats));
    let titles =
        vec![change("title", None, Some(show.title.as_str())), change("artist", None, Some(show.artist.as_str()))];
    assert_eq!(*of_show, entry(&acts[1], AuditTarget::Concert(show.id.0), titles));
    assert_eq!(of_date.target, AuditTarget::Performance(date.id.0));
    let value = |field: &str| {
        let change = of_date.changes.iter().find(|change| change.field == field);
        change.and_then(|change| change.after.clone())
    };
    assert_eq!(value("venue_id"), Some(place.id.to_string()));
    assert_eq!(value("prices"), Some("12000,7500 EUR".to_owned()));
    assert_eq!(value("max_active"), Some("100".to_owned()));
    assert_eq!(value("pre_queue_opens_at"), Some("2026-06-01T10:00:01Z".to_owned()));
}

pub async fn notes_changes_of_queues(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let queued = bench.open_queue(&sale, queue(queue_settings())).await;
    let act = act(request(bench.sign_up().await));
    let said = QueueMessage::parse("Doors at eight").expect("a message");
    let patch = QueuePatch { max_active: Some(7), message: Some(said), ..QueuePatch::default() };
    let before = queue_settings();
    made(bench.catalog.patch_queue(queued.id, patch, Some(act.clone())).await);
    let was = before.message.as_ref().map(QueueMessage::as_str);
    let changes = vec![
        change("max_active", Some(&before.max_active.to_string()), Some("7")),
        change("message", was, Some("Doors at eight")),
    ];
    assert_eq!(bench.only_entry().await, entry(&act, AuditTarget::Performance(queued.id.0), changes));
}

pub async fn notes_blocked_seats(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let first = StaffAct { at: at_secs(1), ..act(request(operator)) };
    let second = StaffAct { at: at_secs(2), ..act(request(operator)) };
    let reason = BlockReason::parse("House seats").expect("a reason");
    let block =
        SeatBlock { id: id(), performance: sale.id, operator, reason, slots: slots(&[1, 2, 3]), at: at_secs(1) };
    let unblock = SeatUnblock { id: id(), performance: sale.id, operator, slots: slots(&[2]), at: at_secs(2) };
    made(bench.seat_blocks.block(block.clone(), Some(first.clone())).await);
    made(bench.seat_blocks.unblock(unblock.clone(), Some(second.clone())).await);
    let target = AuditTarget::Performance(sale.id.0);
    let of = |block: String, field: &str, seats: &str| {
        vec![change("block_id", None, Some(&block)), change(field, None, Some(seats))]
    };
    let blocked = entry(&first, target, of(block.id.to_string(), "blocked_seats", "3"));
    let unblocked = entry(&second, target, of(unblock.id.to_string(), "unblocked_seats", "1"));
    assert_eq!(bench.log().await, [unblocked, blocked]);
}

pub async fn notes_cancellations(bench: RecordBench) {
    let bought = bench.bought(&[0, 1]).await;
    let operator = bench.sign_up().await;
    let act = act(request(operator));
    let reason = OperatorReason::parse("a seat that cannot be used").expect("a reason");
    let by = CancelledBy::Operator(operator, reason);
    let cancel = CancelPlan { by, act: Some(act.clone()), ..plan(&bought, &[], at_secs(1)) };
    let refund = made(bench.refunds.cancel(cancel, request(operator)).await).refund;
    let changes = vec![
        change("seats", Some(&bought.seats.len().to_string()), Some("0")),
        change("refund_id", None, Some(&refund.id.to_string())),
        change("refunded", None, Some(&format!("{} EUR", bought.total.minor))),
    ];
    assert_eq!(bench.only_entry().await, entry(&act, AuditTarget::Reservation(bought.id.0), changes));
}

pub async fn notes_roles(bench: RecordBench) {
    let (operator, user) = (bench.sign_up().await, bench.sign_up().await);
    let (first, second) = (act(request(operator)), act(request(operator)));
    for act in [&first, &second] {
        let changed = bench.users.change_role(user, Role::BoxOffice, at_secs(1), Some(act.clone())).await;
        assert_eq!(changed.expect("the store answers"), Some(Vec::new()));
    }
    let changes = vec![change("role", Some("FAN"), Some("BOX_OFFICE"))];
    assert_eq!(bench.only_entry().await, entry(&first, AuditTarget::User(user.0), changes));
}

fn credit(user: UserId, operator: UserId, minor: i64) -> Transfer {
    let ids = TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() };
    let amount = TopUpAmount::parse(euros(minor)).expect("an amount");
    Transfer::operator_credit(ids, user, operator, amount, at_secs(1))
}

pub async fn notes_credits(bench: RecordBench) {
    let (operator, fan) = (bench.sign_up().await, bench.sign_up().await);
    bench.top_up(fan, euros(100)).await;
    let (request, reason) = (request(operator), OperatorReason::parse("sorry").expect("a reason"));
    let act = act(request);
    let credited = bench.wallet_credits.credit(credit(fan, operator, 50), reason, request, Some(act.clone())).await;
    made(credited);
    let changes = vec![change("balance", Some("100 EUR"), Some("150 EUR"))];
    assert_eq!(bench.only_entry().await, entry(&act, AuditTarget::User(fan.0), changes));
}

pub async fn notes_the_switch(bench: RecordBench) {
    let by = bench.sign_up().await;
    let mut expected = Vec::new();
    for (seconds, is_stopped, changes) in [
        (1, true, vec![change("is_stopped", Some("false"), Some("true"))]),
        (2, true, vec![]),
        (3, false, vec![change("is_stopped", Some("true"), Some("false"))]),
    ] {
        let at = at_secs(seconds);
        let act = StaffAct { at, ..act(request(by)) };
        let reason = OperatorReason::parse("a fire").expect("a reason");
        let switch = SalesSwitch { is_stopped, reason, by, at };
        bench.sales_switches.set(switch, Some(act.clone())).await.expect("the store answers");
        expected.insert(0, entry(&act, AuditTarget::SalesSwitch, changes));
    }
    assert_eq!(bench.log().await, expected);
}

pub async fn notes_nothing_of_what_is_refused(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let with = |request: RequestKey| Some(act(request));
    let first = request(operator);
    let show = concert();
    made(bench.catalog.add_concert(show.clone(), with(first)).await);
    assert_eq!(repeated(bench.catalog.add_concert(concert(), with(first)).await), show);
    assert_reused(&bench.catalog.add_concert(concert(), with(altered(first))).await);
    let patch = QueuePatch { max_active: Some(7), ..QueuePatch::default() };
    refused(bench.catalog.patch_queue(sale.id, patch, with(request(operator))).await);
    let unblock = SeatUnblock { id: id(), performance: sale.id, operator, slots: slots(&[2]), at: at_secs(2) };
    refused(bench.seat_blocks.unblock(unblock, with(request(operator))).await);
    assert_eq!(bench.only_entry().await.target, AuditTarget::Concert(show.id.0));
}

pub async fn lists_by_who_target_and_time(bench: RecordBench) {
    let (ada, bea): (UserId, UserId) = (id(), id());
    let (venue, other): (Uuid, Uuid) = (id(), id());
    // By ascending time, and by ascending id where the times are equal.
    let rows = [(1, ada, venue), (2, bea, venue), (2, ada, other), (3, ada, venue), (3, bea, other), (4, ada, venue)];
    let mut entries = Vec::new();
    for (seconds, user, target) in rows {
        let entry = AuditEntry {
            id: id::<AuditEntryId>(),
            by: Caller { user, role: Role::Operator },
            rpc: "AdminService.Test".into(),
            target: AuditTarget::Venue(target),
            changes: vec![],
            reason: None,
            request: None,
            at: at_secs(seconds),
        };
        bench.audit_log.append(entry.clone()).await.expect("the store answers");
        entries.push(entry);
    }
    // The rows that each filter admits, by their index, the newest first.
    let all = AuditFilter::default();
    let of = |by: UserId| AuditFilter { by: Some(by), ..all };
    let on = |target: Uuid| AuditFilter { target: Some(target), ..all };
    let since = |at: Timestamp| AuditFilter { since: Some(at), ..all };
    let until = |at: Timestamp| AuditFilter { until: Some(at), ..all };
    let expected: [(AuditFilter, &[usize]); 18] = [
        (all, &[5, 4, 3, 2, 1, 0]),
        (of(ada), &[5, 3, 2, 0]),
        (of(bea), &[4, 1]),
        (of(id()), &[]),
        (on(venue), &[5, 3, 1, 0]),
        (on(other), &[4, 2]),
        (on(id()), &[]),
        (since(start()), &[5, 4, 3, 2, 1, 0]),
        (since(at_secs(3)), &[5, 4, 3]),
        (since(at_ms(3_001)), &[5]),
        (since(at_secs(5)), &[]),
        (until(start()), &[]),
        (until(at_secs(3)), &[2, 1, 0]),
        (until(at_ms(3_001)), &[4, 3, 2, 1, 0]),
        (AuditFilter { since: Some(at_secs(2)), ..until(at_secs(3)) }, &[2, 1]),
        (AuditFilter { since: Some(at_secs(3)), ..until(at_secs(3)) }, &[]),
        (AuditFilter { by: Some(bea), ..on(venue) }, &[1]),
        (AuditFilter { by: Some(ada), target: Some(venue), since: Some(at_secs(2)), until: Some(at_secs(4)) }, &[3]),
    ];
    for (filter, indices) in expected {
        let listed = bench.log_of(filter, 100).await;
        let expected: Vec<AuditEntry> = indices.iter().map(|index| entries[*index].clone()).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
    let newest: Vec<AuditEntry> = entries.into_iter().rev().collect();
    for size in SIZES {
        assert_eq!(bench.log_of(AuditFilter::default(), size).await, newest, "{size} in a page");
    }
}
