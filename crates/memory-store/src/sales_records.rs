use std::cmp::Reverse;

use async_trait::async_trait;
use encore_domain::booking::{Reservation, ReservationCursor, ReservationFilter};
use encore_domain::error::Unavailable;
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::fan_payment::{FanPayment, FanPaymentCursor};
use encore_domain::ports::SalesRecords;
use encore_domain::sales_records::{RecordsOf, TimeRange};

use crate::paging::rows;
use crate::records::MemoryRecords;

/// [`SalesRecords`] in process. It reads everything.
pub struct MemorySalesRecords(MemoryRecords);

impl MemorySalesRecords {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl SalesRecords for MemorySalesRecords {
    async fn reservations(
        &self,
        of: RecordsOf,
        held: TimeRange,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let records = self.0.lock();
        let all = records.reservations.reservations.values();
        let of_these = all.filter(|found| of.admits(found.user, Some(found.performance)) && held.admits(found.held_at));
        let mut found: Vec<Reservation> = of_these.filter(|found| filter.admits(found)).cloned().collect();
        newest(&mut found, &page, Reservation::cursor);
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
    }

    async fn payments(
        &self,
        of: RecordsOf,
        begun: TimeRange,
        page: PageRequest<FanPaymentCursor>,
    ) -> Result<Page<FanPayment, FanPaymentCursor>, Unavailable> {
        let records = self.0.lock();
        let by_card = records.cards.payments.keys();
        let made = records.payments.payments.keys().filter(|id| !records.cards.payments.contains_key(*id));
        let all = by_card.chain(made).filter_map(|id| records.fan_payment(*id));
        let of_these = all.filter(|found| of.admits(found.user(), found.performance()));
        let mut found: Vec<FanPayment> = of_these.filter(|found| begun.admits(found.begun_at())).collect();
        newest(&mut found, &page, FanPayment::cursor);
        Ok(Page::from_rows(found, page.size, FanPayment::cursor))
    }
}

/// Keeps the newest items of a page, and one that shows whether there is a next page.
fn newest<T, C: Copy + Ord>(items: &mut Vec<T>, page: &PageRequest<C>, cursor: impl Fn(&T) -> C) {
    items.retain(|item| page.after.is_none_or(|after| cursor(item) < after));
    items.sort_unstable_by_key(|item| Reverse(cursor(item)));
    items.truncate(rows(page));
}
