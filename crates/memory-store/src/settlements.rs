use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::money::Currency;
use encore_domain::payment::PaymentMethod;
use encore_domain::payment::attempt::Progress;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::settlement::Settlement;
use encore_domain::ports::Settlements;

use crate::records::MemoryRecords;

/// [`Settlements`] in process.
pub struct MemorySettlements(MemoryRecords);

impl MemorySettlements {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Settlements for MemorySettlements {
    async fn of(&self, performance: PerformanceId, currency: Currency) -> Result<Settlement, Unavailable> {
        let records = &*self.0.lock();
        let mut settled = Settlement::of(performance, currency);
        for payment in records.payments.payments.values().filter(|it| it.performance == performance) {
            let item = match payment.method {
                PaymentMethod::Wallet => &mut settled.wallet,
                PaymentMethod::Card => &mut settled.card,
            };
            item.payments += 1;
            item.sold_minor += payment.amount.minor;
            let refunds = records.payments.refunds_of(payment.id);
            for refund in refunds.into_iter().filter(|refund| refund.cause.is_of_seats()) {
                item.refunds += 1;
                item.refunded_minor += refund.amount().minor;
                item.fees_minor += refund.fee_minor;
            }
        }
        let cards = records.cards.payments.values();
        let of_performance = cards.filter(|card| {
            let payment = records.payments.payments.get(&card.id);
            payment.is_some_and(|payment| payment.performance == performance)
        });
        for state in of_performance.map(CardPayment::latest) {
            let open = state.refunds.iter().filter(|(_, progress)| !progress.is_final());
            settled.open_refunds += u32::try_from(open.count()).unwrap_or(u32::MAX);
            settled.open_disputes += u32::from(state.dispute.is_open());
            settled.lost_disputes += u32::from(state.dispute == Progress::Succeeded);
        }
        Ok(settled)
    }
}
