//! `IdentityService.ExportMe`: what is kept about a user, as messages.

use encore_app::personal_data::{PersonRecord, PersonalDataPart, PersonalDataPlace, PersonalDataUseCases};
use encore_domain::audit_log::{AuditChange, AuditEntry};
use encore_domain::identity::session::Session;
use encore_domain::ids::{SessionId, UserId};
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::refund::{CancelledBy, Refund};
use encore_domain::queue::DrawEntry;
use encore_domain::time::Timestamp;
use encore_proto::identity::v1 as pb;
use futures::{Stream, stream};
use tonic::Status;

use crate::booking::to_proto as reservation_to_proto;
use crate::calls::Calls;
use crate::payment::to_proto as payment_to_proto;
use crate::shares::ShareOf;
use crate::to_proto::{money, timestamp};
use crate::user_messages::{session_to_proto, user_to_proto};
use crate::wallet::to_proto as wallet_entry_to_proto;

/// The parts of a user's data. Each is read when the client has taken the one before it, in a turn of its own.
pub(crate) fn export(
    data: PersonalDataUseCases,
    calls: Calls,
    user: UserId,
    own: Option<SessionId>,
) -> impl Stream<Item = Result<pb::ExportMeResponse, Status>> + Send + 'static {
    let share = ShareOf::of_call();
    stream::try_unfold(Some(PersonalDataPlace::default()), move |place| {
        let (data, calls) = (data.clone(), calls.clone());
        async move {
            let Some(place) = place else { return Ok(None) };
            let (part, next) = share.scope(calls.read(data.part(user, place))).await?;
            Ok::<_, Status>(Some((to_proto(&part, own), next)))
        }
    })
}

fn to_proto(part: &PersonalDataPart, own: Option<SessionId>) -> pb::ExportMeResponse {
    let nothing = pb::ExportMeResponse::default();
    match part {
        PersonalDataPart::Person(person) => person_to_proto(person, own),
        PersonalDataPart::Reservations(views) => {
            pb::ExportMeResponse { reservations: views.iter().map(reservation_to_proto).collect(), ..nothing }
        }
        PersonalDataPart::Payments(payments) => pb::ExportMeResponse {
            payments: payments.iter().map(payment_to_proto).collect(),
            refunds: payments.iter().flat_map(refunds).map(refund_to_proto).collect(),
            ..nothing
        },
        PersonalDataPart::WalletEntries(entries) => {
            pb::ExportMeResponse { ledger_entries: entries.iter().map(wallet_entry_to_proto).collect(), ..nothing }
        }
        PersonalDataPart::DrawEntries(entries) => {
            pb::ExportMeResponse { draw_entries: entries.iter().map(draw_entry_to_proto).collect(), ..nothing }
        }
        PersonalDataPart::AuditEntries(entries) => {
            pb::ExportMeResponse { staff_changes: entries.iter().map(staff_change_to_proto).collect(), ..nothing }
        }
    }
}

fn person_to_proto(person: &PersonRecord, own: Option<SessionId>) -> pb::ExportMeResponse {
    let PersonRecord { user, sessions, password_resets, email_verifications, balances } = person;
    let mailed = |purpose: pb::MailedTokenPurpose, made_at: Timestamp, expires_at: Timestamp| pb::MailedToken {
        purpose: purpose.into(),
        made_at: Some(timestamp(made_at)),
        expires_at: Some(timestamp(expires_at)),
    };
    let resets = password_resets.iter().map(|it| (pb::MailedTokenPurpose::PasswordReset, it.made_at, it.expires_at));
    let verifications =
        email_verifications.iter().map(|it| (pb::MailedTokenPurpose::EmailVerification, it.made_at, it.expires_at));
    let session = |session: &Session| session_to_proto(session.clone(), own);
    pb::ExportMeResponse {
        user: Some(user_to_proto(user)),
        sessions: sessions.iter().map(session).collect(),
        mailed_tokens: resets.chain(verifications).map(|(of, at, until)| mailed(of, at, until)).collect(),
        balances: balances.iter().copied().map(money).collect(),
        ..Default::default()
    }
}

fn refunds(payment: &FanPayment) -> &[Refund] {
    match payment {
        FanPayment::Wallet(paid) => &paid.refunds,
        FanPayment::Card(card) => &card.refunds,
    }
}

fn refund_to_proto(refund: &Refund) -> pb::ExportedRefund {
    let reason = match &refund.by {
        CancelledBy::Fan => String::new(),
        CancelledBy::Operator(_, reason) => reason.as_str().to_owned(),
    };
    pb::ExportedRefund {
        refund_id: refund.id.to_string(),
        payment_id: refund.payment.to_string(),
        reservation_id: refund.reservation.map(|id| id.to_string()).unwrap_or_default(),
        amount: Some(money(refund.amount())),
        to_card: refund.to_card,
        staff_reason: reason,
        refunded_at: Some(timestamp(refund.at)),
    }
}

fn draw_entry_to_proto(entry: &DrawEntry) -> pb::DrawEntry {
    pb::DrawEntry {
        performance_id: entry.performance.to_string(),
        lane_index: entry.lane.into(),
        draw_index: entry.index,
    }
}

/// An entry of the audit log without who of the house made the change: that is another person's data.
fn staff_change_to_proto(entry: &AuditEntry) -> pb::StaffChange {
    let change = |AuditChange { field, before, after }: &AuditChange| pb::ChangedValue {
        field: field.clone(),
        before: before.clone(),
        after: after.clone(),
    };
    pb::StaffChange {
        entry_id: entry.id.to_string(),
        rpc: entry.rpc.clone(),
        changes: entry.changes.iter().map(change).collect(),
        reason: entry.reason.clone().unwrap_or_default(),
        occurred_at: Some(timestamp(entry.at)),
    }
}
