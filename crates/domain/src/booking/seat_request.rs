//! Seat requests: named seats, the best available seats, or units of a general admission area.

use std::collections::HashSet;

use crate::booking::best_available::sections_by_preference;
use crate::booking::unit_search::UnitSearch;
use crate::booking::{HoldRefusal, SeatSelection};
use crate::catalog::PriceList;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::ids::ReservationId;
use crate::money::Money;

/// The most sections that one seat request may name.
pub const SECTIONS_PER_REQUEST_MAX: usize = 100;

/// The seats that a fan requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatRequest {
    /// These seats and no others.
    Named {
        /// Which.
        seats: SeatSelection,
        /// Whether the request is refused if it would leave orphan seats.
        prevent_orphan_seats: bool,
        /// Whether the fan needs the accessible seats among them.
        accessible: bool,
    },
    /// The best available seats.
    Best(BestAvailableRequest),
    /// Units of a general admission area.
    GeneralAdmission(GeneralAdmissionRequest),
}

/// Units of a general admission area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneralAdmissionRequest {
    /// The name of its section.
    pub area: String,
    /// How many: 1 to [`SEATS_PER_HOLD_MAX`](crate::booking::SEATS_PER_HOLD_MAX).
    pub count: usize,
}

impl GeneralAdmissionRequest {
    /// The search for this reservation.
    pub fn search(&self, chart: &SeatChart, owner: ReservationId) -> Result<UnitSearch, HoldRefusal> {
        match chart.area_named(&self.area) {
            Some(area) => Ok(UnitSearch::new(area, self.count, owner)),
            None if chart.sections().iter().any(|section| section.name == self.area) => {
                Err(HoldRefusal::NotAGeneralAdmissionArea { name: self.area.clone() })
            }
            None => Err(HoldRefusal::UnknownSections { names: vec![self.area.clone()] }),
        }
    }
}

/// A request for the best free seats; see [`best_available`](crate::booking::best_available). Every field is within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestAvailableRequest {
    /// How many: 1 to [`SEATS_PER_HOLD_MAX`](crate::booking::SEATS_PER_HOLD_MAX).
    pub count: usize,
    /// The names of the sections, the preferred first; empty for all, in the order of
    /// [`sections_by_preference`](crate::booking::best_available::sections_by_preference).
    pub sections: Vec<String>,
    /// The names of the grades; empty for all.
    pub grades: Vec<String>,
    /// The most that one seat may cost.
    pub price_max: Option<Money>,
    /// Whether the seats may be split if no block is free. It is not allowed with accessible seats.
    pub allow_split: bool,
    /// How many of them must be accessible: at most all.
    pub accessible: usize,
}

/// The sections and grades of a venue that a request allows. It is the same for many requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedSeats {
    /// Indices of the chart's sections, the preferred first.
    pub sections: Vec<u16>,
    /// Indices of the chart's grades, ascending.
    pub grades: Vec<u16>,
}

/// Checks that no accessible seat is among these, unless the fan needs them.
pub fn check_accessible(chart: &SeatChart, slots: &[Slot], accessible: bool) -> Result<(), HoldRefusal> {
    let seats = slots.iter().filter_map(|slot| chart.seat_at(*slot));
    let kept: Vec<String> = seats.filter(|seat| seat.accessible).map(|seat| seat.id.clone()).collect();
    if accessible || kept.is_empty() { Ok(()) } else { Err(HoldRefusal::AccessibleSeats { seat_ids: kept }) }
}

impl BestAvailableRequest {
    /// Resolves the names, and the price limit to grades.
    pub fn allowed(&self, chart: &SeatChart, prices: &PriceList) -> Result<AllowedSeats, HoldRefusal> {
        let section_names: Vec<&str> = chart.sections().iter().map(|section| section.name.as_str()).collect();
        let sections = if self.sections.is_empty() {
            sections_by_preference(chart)
        } else {
            named(&self.sections, &section_names).map_err(|names| HoldRefusal::UnknownSections { names })?
        };
        let general_admission: Vec<String> =
            self.sections.iter().filter(|name| chart.area_named(name).is_some()).cloned().collect();
        if !general_admission.is_empty() {
            return Err(HoldRefusal::GeneralAdmissionAreas { names: general_admission });
        }
        let grade_names: Vec<&str> = chart.grades().iter().map(|grade| grade.name.as_str()).collect();
        let mut grades = named(&self.grades, &grade_names).map_err(|names| HoldRefusal::UnknownGrades { names })?;
        grades.retain(|grade| prices.of(*grade).is_some());
        if let Some(price_max) = self.price_max {
            if price_max.currency != prices.currency {
                return Err(HoldRefusal::OtherCurrency { sold_in: prices.currency });
            }
            grades.retain(|grade| prices.of(*grade).is_some_and(|price| price.minor <= price_max.minor));
        }
        grades.sort_unstable();
        Ok(AllowedSeats { sections, grades })
    }
}

/// The indices of the wanted names, in the order of the request; all if none is wanted. The error has the unknown names.
fn named(wanted: &[String], names: &[&str]) -> Result<Vec<u16>, Vec<String>> {
    let indexed = || (0..).zip(names);
    if wanted.is_empty() {
        return Ok(indexed().map(|(index, _)| index).collect());
    }
    let known: HashSet<&str> = names.iter().copied().collect();
    let unknown: Vec<String> = wanted.iter().filter(|name| !known.contains(name.as_str())).cloned().collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut seen = HashSet::new();
    let once = wanted.iter().filter(|name| seen.insert(name.as_str()));
    Ok(once.flat_map(|name| indexed().filter(move |(_, other)| *other == name).map(|(index, _)| index)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::seat_chart::{Grade, Section};
    use crate::money::Currency;

    fn chart() -> SeatChart {
        let sections = ["Stalls", "Balcony", "Stalls"].map(|name| Section { name: name.into() });
        let grades = ["Gold", "Silver", "Tin"].map(|name| Grade { name: name.into(), color: String::new() });
        SeatChart::from_parts(sections.into(), vec![], grades.into(), vec![], vec![])
    }

    fn euros(minor: i64) -> Money {
        Money { minor, currency: Currency::parse("EUR").expect("a currency") }
    }

    fn allowed(seat_request: &BestAvailableRequest) -> Result<AllowedSeats, HoldRefusal> {
        let prices = PriceList { currency: euros(0).currency, minor_by_grade: [900, 500, 100].map(Some).into() };
        seat_request.allowed(&chart(), &prices)
    }

    fn seat_request(sections: &[&str], grades: &[&str], price_max: Option<Money>) -> BestAvailableRequest {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        BestAvailableRequest {
            count: 2,
            sections: names(sections),
            grades: names(grades),
            price_max,
            allow_split: false,
            accessible: 0,
        }
    }

    #[test]
    fn an_open_request_allows_all_in_the_order_of_the_plan() {
        let all = AllowedSeats { sections: vec![0, 1, 2], grades: vec![0, 1, 2] };
        assert_eq!(allowed(&seat_request(&[], &[], None)), Ok(all));
    }

    #[test]
    fn names_keep_their_order_and_mean_every_section_that_has_them() {
        let some = AllowedSeats { sections: vec![1, 0, 2], grades: vec![0, 2] };
        assert_eq!(allowed(&seat_request(&["Balcony", "Stalls", "Balcony"], &["Tin", "Gold"], None)), Ok(some));
    }

    #[test]
    fn a_price_leaves_the_grades_that_cost_no_more() {
        let grades = |price| allowed(&seat_request(&[], &[], Some(euros(price)))).expect("a valid request").grades;
        assert_eq!((grades(900), grades(500), grades(499), grades(99)), (vec![0, 1, 2], vec![1, 2], vec![2], vec![]));
    }

    #[test]
    fn a_grade_that_is_not_for_sale_is_not_allowed() {
        let prices = PriceList { currency: euros(0).currency, minor_by_grade: vec![Some(900), None, Some(100)] };
        let grades = |names: &[&str]| seat_request(&[], names, None).allowed(&chart(), &prices).map(|it| it.grades);
        assert_eq!((grades(&[]), grades(&["Silver"])), (Ok(vec![0, 2]), Ok(vec![])));
    }

    #[test]
    fn what_nothing_has_is_refused_by_name() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let unknown = HoldRefusal::UnknownSections { names: names(&["Moon", "Sun"]) };
        assert_eq!(allowed(&seat_request(&["Moon", "Stalls", "Sun"], &[], None)), Err(unknown));
        let unknown = HoldRefusal::UnknownGrades { names: names(&["Lead"]) };
        assert_eq!(allowed(&seat_request(&[], &["Lead"], None)), Err(unknown));
        let won = Money { minor: 1, currency: Currency::parse("KRW").expect("a currency") };
        let sold_in = euros(0).currency;
        assert_eq!(allowed(&seat_request(&[], &[], Some(won))), Err(HoldRefusal::OtherCurrency { sold_in }));
    }
}
