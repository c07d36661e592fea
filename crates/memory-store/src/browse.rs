//! Listings of the catalogue.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use encore_domain::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
    VenueCursor, VenueFilter,
};
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::catalog::{Concert, Performance};
use encore_domain::ids::{ConcertId, VenueId};
use encore_domain::page::{Page, PageRequest};

use crate::paging::rows;
use crate::records::CatalogRecords;

impl CatalogRecords {
    fn title(&self, concert: ConcertId) -> SortKey {
        self.titles.get(&concert).cloned().unwrap_or_default()
    }

    fn is_wanted(&self, performance: &Performance, filter: &PerformanceFilter) -> bool {
        let venue = self.venues.get(&performance.venue);
        let location = venue.and_then(|venue| venue.location.as_ref());
        let words = self.words.get(&performance.concert);
        words.is_some_and(|words| filter.wants(performance, words, location))
    }

    /// The concerts that are wanted.
    pub fn list_concerts(
        &self,
        filter: &ConcertFilter,
        order: ConcertOrder,
        page: &PageRequest<ConcertCursor>,
    ) -> Page<Concert, ConcertCursor> {
        let with_performance: Option<HashSet<ConcertId>> = filter.with_performance().map(|wanted| {
            let wanted = self.performances.values().filter(|performance| self.is_wanted(performance, &wanted));
            wanted.map(|performance| performance.concert).collect()
        });
        let is_found = |id: &ConcertId| {
            let is_named = filter.search.as_ref();
            is_named.is_none_or(|search| self.words.get(id).is_some_and(|words| search.finds(words)))
                && with_performance.as_ref().is_none_or(|concerts| concerts.contains(id))
        };
        let found = self.concerts.values().filter(|concert| is_found(&concert.id));
        let cursor = |concert: &Concert| order.cursor(&concert.title, concert.id);
        sorted_page(found.map(|concert| (cursor(concert), concert)), page, cursor)
    }

    /// The performances that are wanted.
    pub fn list_performances(
        &self,
        filter: &PerformanceFilter,
        order: PerformanceOrder,
        page: &PageRequest<PerformanceCursor>,
    ) -> Page<Performance, PerformanceCursor> {
        let cursor = |performance: &Performance| order.cursor(performance, &self.title(performance.concert));
        let dates = match filter.concert {
            Some(concert) => self.by_concert.get(&concert),
            None => Some(&self.by_start),
        };
        if order == PerformanceOrder::Start {
            let after = page.after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded((after.at, after.id)));
            let dates = dates.into_iter().flat_map(|dates| dates.range((after, Bound::Unbounded)));
            let wanted = dates.filter_map(|(_, id)| self.performances.get(id));
            let wanted = wanted.filter(|performance| self.is_wanted(performance, filter));
            return Page::from_rows(wanted.take(rows(page)).cloned().collect(), page.size, cursor);
        }
        let dates = dates.into_iter().flatten().filter_map(|(_, id)| self.performances.get(id));
        let wanted = dates.filter(|performance| self.is_wanted(performance, filter));
        sorted_page(wanted.map(|performance| (cursor(performance), performance)), page, cursor)
    }

    /// The venues that are wanted.
    pub fn list_venues(&self, filter: &VenueFilter, page: &PageRequest<VenueCursor>) -> Page<ListedVenue, VenueCursor> {
        let wanted = PerformanceFilter { starts_from: filter.starts_from, ..PerformanceFilter::default() };
        let wanted = self.performances.values().filter(|performance| self.is_wanted(performance, &wanted));
        let with_performance: HashSet<VenueId> = wanted.map(|performance| performance.venue).collect();
        let found = self.venues.values().filter(|venue| {
            with_performance.contains(&venue.id)
                && filter.search.as_ref().is_none_or(|search| search.finds(&venue.search_words()))
                && filter.location.wants(venue.location.as_ref())
        });
        let listed =
            found.map(|venue| ListedVenue { id: venue.id, name: venue.name.clone(), location: venue.location.clone() });
        let listed: Vec<ListedVenue> = listed.collect();
        sorted_page(listed.iter().map(|venue| (venue.cursor(), venue)), page, ListedVenue::cursor)
    }
}

/// A page of what is listed at these positions.
fn sorted_page<'a, T: Clone + 'a, C: Ord>(
    listed: impl Iterator<Item = (C, &'a T)>,
    page: &PageRequest<C>,
    cursor: impl Fn(&T) -> C,
) -> Page<T, C> {
    let listed: BTreeMap<C, &T> = listed.filter(|(at, _)| page.after.as_ref().is_none_or(|after| at > after)).collect();
    Page::from_rows(listed.into_values().take(rows(page)).cloned().collect(), page.size, cursor)
}
