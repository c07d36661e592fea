//! Changes of a performance that fans can see: it is postponed, the terms of its sale change, or it is withdrawn.

use std::time::Duration;

use thiserror::Error;

use crate::booking::seat_block::SeatBlock;
use crate::catalog::{NotOnSale, Performance};
use crate::ids::PerformanceId;
use crate::money::Money;
use crate::payment::refund::OperatorReason;
use crate::time::Timestamp;

/// From how long before a sale opens its opening cannot be changed. Instances know of a change a second later, and one that does not know yet
/// would open the sale, and draw the positions of its pre-queue.
pub const OPENING_FIXED_BEFORE: Duration = Duration::from_secs(10);

/// What became of a performance after it was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amendments {
    /// How often it was changed.
    pub revision: u32,
    /// How it was postponed, if it was.
    pub postponed: Option<Postponed>,
    /// When it was withdrawn, if it was.
    pub withdrawn_at: Option<Timestamp>,
}

/// That a performance was postponed, as it was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// The start that was announced first.
    pub from: Timestamp,
    /// When it was postponed last.
    pub at: Timestamp,
    /// Until when fans may cancel without a fee what they had held before `at`.
    pub refunds_until: Timestamp,
}

/// A change to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PerformanceChange {
    /// It starts later.
    Postpone(Postponement),
    /// The terms of its sale change.
    Terms(SaleTerms),
    /// It is withdrawn.
    Withdraw(BlockedSale),
}

/// A performance starts later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponement {
    /// The new start.
    pub starts_at: Timestamp,
    /// Until when fans may cancel without a fee what they had held before.
    pub refunds_until: Timestamp,
    /// Why.
    pub reason: OperatorReason,
}

/// Terms of a sale that change. What is not set stays. The limits of each value by itself were checked before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleTerms {
    /// When it opens.
    pub opens_at: Option<Timestamp>,
    /// When its pre-queue opens, if it has one. It never changes.
    pub pre_queue_opens_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Option<Timestamp>,
    /// The prices of grades, by the index of each in the seat chart. None twice.
    pub prices: Vec<(u16, Money)>,
    /// How many seats one fan may own.
    pub seats_per_fan: Option<u32>,
    /// How long later holds live.
    pub hold_for: Option<Duration>,
}

/// A performance is withdrawn, if fans have no seat of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedSale {
    /// Blocks that together have every seat and unit that is for sale. A hold that another instance makes on what it knew before the
    /// withdrawal finds its seats blocked.
    pub blocks: Vec<SeatBlock>,
    /// Why.
    pub reason: OperatorReason,
}

/// A field of a change and the rule that its value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRule {
    /// The field of the request.
    pub field: String,
    /// The rule, such as `must be in the future`.
    pub rule: String,
}

/// The position in a listing of changed performances: when one was changed last, and its id.
pub type ChangeCursor = (Timestamp, PerformanceId);

/// Why a performance was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefusal {
    /// There is no performance of this id.
    #[error("there is no such performance: {0}")]
    Unknown(PerformanceId),
    /// It was withdrawn.
    #[error("the performance was withdrawn at {at}")]
    Withdrawn {
        /// When.
        at: Timestamp,
    },
    /// Fans hold seats of it, or have bought them.
    #[error("fans hold or have bought {seats} seats of the performance")]
    InUse {
        /// How many.
        seats: u32,
    },
    /// It would not work.
    #[error("the performance cannot be changed like this")]
    Invalid(Vec<BrokenRule>),
}

impl Performance {
    /// Checks whether seats may be held at `now`.
    pub fn check_on_sale(&self, now: Timestamp) -> Result<(), NotOnSale> {
        match self.amended.withdrawn_at {
            Some(closed_at) => Err(NotOnSale::Over { closed_at }),
            None => self.on_sale.check(now),
        }
    }

    /// Whether a fan may cancel at `now` without a fee what was held at `held_at`, because the performance was postponed since: who held
    /// seats for the old date may have paid for them after it was postponed.
    pub fn refunds_in_full(&self, held_at: Timestamp, now: Timestamp) -> bool {
        self.amended.postponed.is_some_and(|postponed| held_at < postponed.at && now < postponed.refunds_until)
    }
}

impl PerformanceChange {
    /// The performance after the change, which is made at `at`. The revision is the same if nothing changes.
    pub fn apply(&self, before: &Performance, at: Timestamp) -> Result<Performance, ChangeRefusal> {
        if let Some(withdrawn_at) = before.amended.withdrawn_at {
            return match self {
                Self::Withdraw(_) => Ok(before.clone()),
                Self::Postpone(_) | Self::Terms(_) => Err(ChangeRefusal::Withdrawn { at: withdrawn_at }),
            };
        }
        let mut after = match self {
            Self::Postpone(postponement) => postponement.apply(before, at)?,
            Self::Terms(terms) => terms.apply(before, at)?,
            Self::Withdraw(_) => {
                Performance { amended: Amendments { withdrawn_at: Some(at), ..before.amended }, ..before.clone() }
            }
        };
        if after != *before {
            after.amended.revision += 1;
        }
        Ok(after)
    }
}

/// The rules that a change breaks.
#[derive(Default)]
struct Rules(Vec<BrokenRule>);

impl Rules {
    fn hold(&mut self, field: impl Into<String>, is_kept: bool, rule: impl Into<String>) {
        if !is_kept {
            self.0.push(BrokenRule { field: field.into(), rule: rule.into() });
        }
    }

    fn finish(self) -> Result<(), ChangeRefusal> {
        if self.0.is_empty() { Ok(()) } else { Err(ChangeRefusal::Invalid(self.0)) }
    }
}

impl Postponement {
    fn apply(&self, before: &Performance, at: Timestamp) -> Result<Performance, ChangeRefusal> {
        let Self { starts_at, refunds_until, .. } = *self;
        let mut rules = Rules::default();
        rules.hold("starts_at", starts_at > at, "must be in the future");
        let present = before.starts_at;
        rules.hold("starts_at", starts_at > present, format!("must be after the present start, {present}"));
        rules.hold("refunds_until", refunds_until > at, "must be in the future");
        rules.hold("refunds_until", refunds_until <= starts_at, "must not be after starts_at");
        let promised = before.amended.postponed.map(|postponed| postponed.refunds_until).filter(|until| *until > at);
        if let Some(promised) = promised {
            let rule = format!("must not be before {promised}, which fans were told");
            rules.hold("refunds_until", refunds_until >= promised, rule);
        }
        rules.finish()?;
        let from = before.amended.postponed.map_or(before.starts_at, |postponed| postponed.from);
        let amended = Amendments { postponed: Some(Postponed { from, at, refunds_until }), ..before.amended };
        Ok(Performance { starts_at, amended, ..before.clone() })
    }
}

impl SaleTerms {
    fn apply(&self, before: &Performance, at: Timestamp) -> Result<Performance, ChangeRefusal> {
        let mut rules = Rules::default();
        let mut after = before.clone();
        if let Some(opens_at) = self.opens_at.filter(|opens_at| *opens_at != before.on_sale.opens_at) {
            let is_fixed = before.on_sale.opens_at <= at + OPENING_FIXED_BEFORE;
            rules.hold("on_sale_opens_at", !is_fixed, "must not change from 10 seconds before the sale opens");
            rules.hold("on_sale_opens_at", opens_at > at, "must be in the future");
            let is_after = self.pre_queue_opens_at.is_none_or(|pre_queue_opens_at| opens_at > pre_queue_opens_at);
            rules.hold("on_sale_opens_at", is_after, "must be after the pre-queue opens");
            after.on_sale.opens_at = opens_at;
        }
        if let Some(closes_at) = self.closes_at.filter(|closes_at| *closes_at != before.on_sale.closes_at) {
            rules.hold("on_sale_closes_at", closes_at > at, "must be in the future");
            let starts_at = before.starts_at;
            rules.hold(
                "on_sale_closes_at",
                closes_at <= starts_at,
                format!("must not be after the start, {starts_at}"),
            );
            after.on_sale.closes_at = closes_at;
        }
        if after.on_sale.opens_at >= after.on_sale.closes_at && after.on_sale != before.on_sale {
            let (field, rule) = match self.closes_at {
                Some(_) => ("on_sale_closes_at", "must be after on_sale_opens_at"),
                None => ("on_sale_opens_at", "must be before on_sale_closes_at"),
            };
            rules.hold(field, false, rule);
        }
        self.set_prices(&mut after, &mut rules);
        rules.finish()?;
        after.seats_per_fan = self.seats_per_fan.unwrap_or(before.seats_per_fan);
        after.hold_for = self.hold_for.unwrap_or(before.hold_for);
        Ok(after)
    }

    fn set_prices(&self, after: &mut Performance, rules: &mut Rules) {
        let currency = after.prices.currency;
        for (index, (grade, price)) in self.prices.iter().enumerate() {
            let is_same = price.currency == currency;
            let rule = format!("must be {currency}, the currency of the performance");
            rules.hold(format!("prices[{index}].price.currency_code"), is_same, rule);
            if let Some(Some(minor)) = after.prices.minor_by_grade.get_mut(usize::from(*grade)) {
                *minor = price.minor;
            } else {
                let rule = "must be a grade that is for sale: which are does not change";
                rules.hold(format!("prices[{index}].grade"), false, rule);
            }
        }
    }
}

#[cfg(test)]
mod tests;
