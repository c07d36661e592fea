//! What those who work for the house look up.

use std::sync::Arc;

use encore_domain::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use encore_domain::booking::{ReservationCursor, ReservationFilter, ReservationState};
use encore_domain::identity::{Email, User};
use encore_domain::ids::UserId;
use encore_domain::page::{PAGE_SIZE_MAX, Page, PageRequest};
use encore_domain::payment::card::PaymentState;
use encore_domain::payment::fan_payment::{FanPayment, FanPaymentCursor};
use encore_domain::ports::{AuditLog, Clock, SalesRecords, Users};
use encore_domain::sales_records::{RecordsOf, TimeRange};

use crate::booking::ReservationView;
use crate::contexts::PerformanceContexts;
use crate::error::AppError;

/// The most payments that one call reads to fill a page of payments in certain states. What a state is follows from the events of a
/// payment, so no index knows it.
const PAYMENTS_READ_MAX: usize = 1_000;

/// What [`RecordsUseCases`] is made of.
pub struct RecordsParts {
    /// What the house changed.
    pub audit_log: Arc<dyn AuditLog>,
    /// The users.
    pub users: Arc<dyn Users>,
    /// What all fans held and paid.
    pub sales: Arc<dyn SalesRecords>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The use cases of `RecordsService`.
#[derive(Clone)]
pub struct RecordsUseCases {
    audit_log: Arc<dyn AuditLog>,
    users: Arc<dyn Users>,
    sales: Arc<dyn SalesRecords>,
    contexts: PerformanceContexts,
    clock: Arc<dyn Clock>,
}

impl RecordsUseCases {
    /// The use cases over their ports.
    pub fn new(parts: RecordsParts) -> Self {
        let RecordsParts { audit_log, users, sales, contexts, clock } = parts;
        Self { audit_log, users, sales, contexts, clock }
    }

    /// The user of this id.
    pub async fn user(&self, id: UserId) -> Result<User, AppError> {
        let account = self.users.find(id).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", id))
    }

    /// The user with this e-mail address. The refusal does not repeat it.
    pub async fn user_by_email(&self, email: &Email) -> Result<User, AppError> {
        let account = self.users.find_by_email(email).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", "with this e-mail address"))
    }

    /// The reservations in these states, held in a range of times, newest first; in any state if there are none.
    pub async fn reservations(
        &self,
        of: RecordsOf,
        held: TimeRange,
        states: Vec<ReservationState>,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<ReservationView, ReservationCursor>, AppError> {
        let now = self.clock.now();
        let filter = ReservationFilter { states, now };
        let Page { items, next } = self.sales.reservations(of, held, &filter, page).await?;
        Ok(Page { items: ReservationView::all(&self.contexts, items, now).await?, next })
    }

    /// The payments in these states, begun in a range of times, newest first; in any state if there are none. Of payments in certain
    /// states, a page may be short although there is a next one.
    pub async fn payments(
        &self,
        of: RecordsOf,
        begun: TimeRange,
        states: &[PaymentState],
        page: PageRequest<FanPaymentCursor>,
    ) -> Result<Page<FanPayment, FanPaymentCursor>, AppError> {
        if states.is_empty() {
            return Ok(self.sales.payments(of, begun, page).await?);
        }
        let (size, mut after, mut read, mut items) = (page.size as usize, page.after, 0, Vec::new());
        while read < PAYMENTS_READ_MAX {
            let batch = self.sales.payments(of, begun, PageRequest { after, size: PAGE_SIZE_MAX }).await?;
            read += batch.items.len();
            for payment in batch.items.into_iter().filter(|payment| states.contains(&payment.state())) {
                if items.len() == size {
                    // One more than the page has shows that there is a next page.
                    let next = items.last().map(FanPayment::cursor);
                    return Ok(Page { items, next });
                }
                items.push(payment);
            }
            after = batch.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Page { items, next: after })
    }

    /// The entries of the audit log that the filter admits, the newest first.
    pub async fn audit_entries(
        &self,
        filter: AuditFilter,
        page: PageRequest<AuditCursor>,
    ) -> Result<Page<AuditEntry, AuditCursor>, AppError> {
        Ok(self.audit_log.list(&filter, page).await?)
    }
}
