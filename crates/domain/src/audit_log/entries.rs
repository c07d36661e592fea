//! The entry of each kind of change.

use crate::audit_log::facts::{self, Facts, changes};
use crate::audit_log::{AuditEntry, AuditTarget, StaffAct};
use crate::booking::seat_block::{SeatBlock, SeatUnblock};
use crate::catalog::draft::{Draft, DraftState};
use crate::catalog::{Concert, Performance, Venue};
use crate::identity::Role;
use crate::ids::{EndpointId, PerformanceId, UserId};
use crate::payment::refund::Cancelled;
use crate::queue::{LanePass, Queue, QueueSettings};
use crate::sales_switch::SalesSwitch;
use crate::wallet::WalletEntry;
use crate::webhook::WebhookEndpoint;

impl StaffAct {
    fn entry(&self, target: AuditTarget, before: Facts, after: Facts) -> AuditEntry {
        AuditEntry {
            id: self.id,
            by: self.by,
            rpc: self.rpc.to_owned(),
            target,
            changes: changes(before, after),
            reason: self.reason.clone(),
            request: self.request.map(|request| request.id),
            at: self.at,
        }
    }

    /// A venue was added.
    pub fn added_venue(&self, venue: &Venue) -> AuditEntry {
        self.entry(AuditTarget::Venue(venue.id.0), vec![], facts::venue(venue))
    }

    /// A concert was added.
    pub fn added_concert(&self, concert: &Concert) -> AuditEntry {
        self.entry(AuditTarget::Concert(concert.id.0), vec![], facts::concert(concert))
    }

    /// A performance was added, with its queue if it has one.
    pub fn added_performance(&self, performance: &Performance, queue: Option<&Queue>) -> AuditEntry {
        let queue = queue.map(|queue| (&queue.settings, queue.draw.map(|draw| draw.pre_queue_opens_at)));
        self.entry(AuditTarget::Performance(performance.id.0), vec![], facts::sale(performance, queue))
    }

    /// A performance was changed after it was published.
    pub fn changed_performance(&self, before: &Performance, after: &Performance) -> AuditEntry {
        self.entry(AuditTarget::Performance(after.id.0), facts::amended(before), facts::amended(after))
    }

    /// A performance was planned.
    pub fn added_draft(&self, draft: &Draft) -> AuditEntry {
        self.entry(AuditTarget::Performance(draft.performance.id.0), vec![], facts::draft(draft))
    }

    /// A draft was changed.
    pub fn changed_draft(&self, before: &Draft, after: &Draft) -> AuditEntry {
        let target = AuditTarget::Performance(after.performance.id.0);
        self.entry(target, facts::draft(before), facts::draft(after))
    }

    /// A draft was published.
    pub fn published(&self, performance: &Performance, queue: Option<&Queue>) -> AuditEntry {
        let AuditEntry { changes, .. } = self.added_performance(performance, queue);
        let state = |state: DraftState| vec![("draft", state.name().to_uppercase())];
        let target = AuditTarget::Performance(performance.id.0);
        let mut entry = self.entry(target, state(DraftState::Open), state(DraftState::Published));
        entry.changes.extend(changes);
        entry
    }

    /// A draft was given up.
    pub fn withdrew(&self, draft: &Draft) -> AuditEntry {
        let state = |state: DraftState| vec![("draft", state.name().to_uppercase())];
        let target = AuditTarget::Performance(draft.performance.id.0);
        self.entry(target, state(DraftState::Open), state(DraftState::Withdrawn))
    }

    /// A performance was cancelled. What follows of it has entries of its own.
    pub fn cancelled_performance(&self, performance: PerformanceId) -> AuditEntry {
        let after = vec![("cancelled", true.to_string())];
        self.entry(AuditTarget::Performance(performance.0), vec![], after)
    }

    /// The settings of a queue were changed.
    pub fn changed_queue(&self, of: PerformanceId, before: &QueueSettings, after: &QueueSettings) -> AuditEntry {
        self.entry(AuditTarget::Performance(of.0), facts::queue(before), facts::queue(after))
    }

    /// Seats were blocked.
    pub fn blocked_seats(&self, block: &SeatBlock) -> AuditEntry {
        let after = vec![("block_id", block.id.to_string()), ("blocked_seats", block.slots.len().to_string())];
        self.entry(AuditTarget::Performance(block.performance.0), vec![], after)
    }

    /// Seats were unblocked.
    pub fn unblocked_seats(&self, unblock: &SeatUnblock) -> AuditEntry {
        let after = vec![("block_id", unblock.id.to_string()), ("unblocked_seats", unblock.slots.len().to_string())];
        self.entry(AuditTarget::Performance(unblock.performance.0), vec![], after)
    }

    /// Seats of a paid reservation were cancelled and are refunded.
    pub fn cancelled(&self, cancelled: &Cancelled) -> AuditEntry {
        let refund = &cancelled.refund;
        let seats = refund.slots.len() + if refund.is_whole { 0 } else { cancelled.reservation.seats.len() };
        let left = if refund.is_whole { 0 } else { cancelled.reservation.seats.len() };
        let after = vec![
            ("seats", left.to_string()),
            ("refund_id", refund.id.to_string()),
            ("refunded", format!("{} {}", refund.amount().minor, refund.price.currency)),
        ];
        self.entry(AuditTarget::Reservation(cancelled.reservation.id.0), vec![("seats", seats.to_string())], after)
    }

    /// A user got another role.
    pub fn changed_role(&self, user: UserId, before: Role, after: Role) -> AuditEntry {
        let role = |role: Role| vec![("role", role.name().to_uppercase())];
        self.entry(AuditTarget::User(user.0), role(before), role(after))
    }

    /// A wallet was credited.
    pub fn credited(&self, user: UserId, entry: &WalletEntry) -> AuditEntry {
        let balance = |minor: i64| vec![("balance", format!("{minor} {}", entry.amount.currency))];
        let (after, amount) = (entry.balance_after_minor, entry.amount.minor);
        self.entry(AuditTarget::User(user.0), balance(after - amount), balance(after))
    }

    /// The switch of all sales was set.
    pub fn set_switch(&self, before: Option<&SalesSwitch>, after: &SalesSwitch) -> AuditEntry {
        let is_stopped = |is_stopped: bool| vec![("is_stopped", is_stopped.to_string())];
        let before = is_stopped(before.is_some_and(|before| before.is_stopped));
        self.entry(AuditTarget::SalesSwitch, before, is_stopped(after.is_stopped))
    }

    /// An endpoint of webhooks was added.
    pub fn added_endpoint(&self, endpoint: &WebhookEndpoint) -> AuditEntry {
        self.entry(AuditTarget::WebhookEndpoint(endpoint.id.0), vec![], facts::endpoint(endpoint))
    }

    /// An endpoint of webhooks was changed, enabled or given another secret; none before if it could not be read.
    pub fn changed_endpoint(&self, before: Option<&WebhookEndpoint>, after: &WebhookEndpoint) -> AuditEntry {
        let before = before.map(facts::endpoint).unwrap_or_default();
        self.entry(AuditTarget::WebhookEndpoint(after.id.0), before, facts::endpoint(after))
    }

    /// An endpoint of webhooks was removed; none if it could not be read.
    pub fn removed_endpoint(&self, id: EndpointId, endpoint: Option<&WebhookEndpoint>) -> AuditEntry {
        self.entry(AuditTarget::WebhookEndpoint(id.0), endpoint.map(facts::endpoint).unwrap_or_default(), vec![])
    }

    /// A fan was granted a lane.
    pub fn granted_lane(&self, pass: &LanePass) -> AuditEntry {
        let after = vec![
            ("performance_id", pass.performance.to_string()),
            ("lane", pass.lane.as_str().to_owned()),
            ("until", facts::moment(pass.until)),
        ];
        self.entry(AuditTarget::User(pass.user.0), vec![], after)
    }
}
