//! `CatalogService`.

use std::collections::HashSet;

use encore_app::catalog::{CatalogUseCases, PerformanceSummary, SeatListing, SeatQuery, SeatWatchQuery};
use encore_app::contexts::PerformanceContext;
use encore_app::sessions::EndedSessions;
use encore_domain::booking::seat_state::SeatStatus;
use encore_domain::catalog::Concert;
use encore_domain::catalog::area::Area;
use encore_domain::catalog::seat_chart::{Seat, SeatChart};
use encore_domain::page::Page;
use encore_proto::catalog::v1::{self as pb, catalog_service_server::CatalogService};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::authenticate::{caller, watch_session};
use crate::browse::{
    bound, concert_filter, concert_order, conditions_of_concerts, conditions_of_performances, conditions_of_venues,
    listed_venue_to_proto, performance_filter, performance_order, venue_filter,
};
use crate::calls::Calls;
use crate::fields::Fields;
use crate::locations::location_to_proto;
use crate::page_token::{Listing, Listings};
use crate::queue_pass::queue_pass;
use crate::seat_chart::{
    CHART_PAGE_DEFAULT, SEATS_MAX_BYTES, SEATS_PAGE_MAX, chart_to_proto, prices_to_proto, seat_bytes,
};
use crate::seat_frames::frame_to_proto;
use crate::shared_charts::SharedCharts;
use crate::status::status;
use crate::streams::{Frames, end_on_shutdown, end_with_session};
use crate::to_proto::{duration, money, timestamp};

/// The seats in one reply where the request sets no page size. Most venues fit into one page.
const SEATS_PAGE_DEFAULT: u32 = 2_500;
/// The most sections that one request may name.
const SECTIONS_MAX: usize = 100;

pub(crate) struct CatalogApi {
    pub(crate) catalog: CatalogUseCases,
    pub(crate) listings: Listings,
    pub(crate) shared_charts: SharedCharts,
    pub(crate) calls: Calls,
    /// Ends the streams of a session with it.
    pub(crate) ended_sessions: EndedSessions,
    /// Ends the streams when this instance shuts down.
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl CatalogService for CatalogApi {
    async fn list_concerts(
        &self,
        request: Request<pb::ListConcertsRequest>,
    ) -> Result<Response<pb::ListConcertsResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let filter = concert_filter(&mut fields, &message);
        let order = concert_order(&mut fields, message.order);
        let listing = self.listings.of("ListConcerts", None, bound(&conditions_of_concerts(&message, &filter)));
        let (Some(order), Some(page)) = (order, fields.page(&listing, message.page_size, &message.page_token)) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let page = self.calls.read(self.catalog.list_concerts(&filter, order, page)).await?;
        Ok(Response::new(pb::ListConcertsResponse {
            concerts: page.items.iter().map(concert_to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn get_concert(
        &self,
        request: Request<pb::GetConcertRequest>,
    ) -> Result<Response<pb::GetConcertResponse>, Status> {
        let mut fields = Fields::default();
        let Some(id) = fields.id("concert_id", &request.get_ref().concert_id) else {
            return Err(fields.into_status());
        };
        let concert = self.calls.read(self.catalog.get_concert(id)).await?;
        Ok(Response::new(pb::GetConcertResponse { concert: Some(concert_to_proto(&concert)) }))
    }

    async fn list_performances(
        &self,
        request: Request<pb::ListPerformancesRequest>,
    ) -> Result<Response<pb::ListPerformancesResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let filter = performance_filter(&mut fields, &message);
        let order = performance_order(&mut fields, message.order);
        let conditions = conditions_of_performances(&message, &filter);
        let listing = self.listings.of("ListPerformances", None, bound(&conditions));
        let (Some(order), Some(page)) = (order, fields.page(&listing, message.page_size, &message.page_token)) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let page = self.calls.read(self.catalog.list_performances(&filter, order, page)).await?;
        Ok(Response::new(pb::ListPerformancesResponse {
            concerts: concerts_of(&page.items),
            performances: page.items.iter().map(summary_to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn list_venues(
        &self,
        request: Request<pb::ListVenuesRequest>,
    ) -> Result<Response<pb::ListVenuesResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let filter = venue_filter(&mut fields, &message);
        let listing = self.listings.of("ListVenues", None, bound(&conditions_of_venues(&message, &filter)));
        let Some(page) = fields.page(&listing, message.page_size, &message.page_token) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let page = self.calls.read(self.catalog.list_venues(&filter, page)).await?;
        Ok(Response::new(pb::ListVenuesResponse {
            venues: page.items.iter().map(listed_venue_to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }

    async fn get_venue(&self, request: Request<pb::GetVenueRequest>) -> Result<Response<pb::GetVenueResponse>, Status> {
        let mut fields = Fields::default();
        let Some(id) = fields.id("venue_id", &request.get_ref().venue_id) else {
            return Err(fields.into_status());
        };
        let venue = self.calls.read(self.catalog.get_venue(id)).await?;
        Ok(Response::new(pb::GetVenueResponse { venue: Some(listed_venue_to_proto(&venue)) }))
    }

    async fn get_performance(
        &self,
        request: Request<pb::GetPerformanceRequest>,
    ) -> Result<Response<pb::GetPerformanceResponse>, Status> {
        let mut fields = Fields::default();
        let Some(id) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let summary = self.calls.read(self.catalog.get_performance(id)).await?;
        Ok(Response::new(pb::GetPerformanceResponse {
            concert: Some(concert_to_proto(&summary.context.concert)),
            performance: Some(summary_to_proto(&summary)),
        }))
    }

    async fn list_seats(
        &self,
        request: Request<pb::ListSeatsRequest>,
    ) -> Result<Response<pb::ListSeatsResponse>, Status> {
        let (caller, pass) = (caller(&request)?, queue_pass(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let sections = fields.names("sections", &message.sections, SECTIONS_MAX);
        let free_only = if message.free_only { "free" } else { "all" };
        let filter = [message.performance_id.as_str(), free_only];
        let filter = filter.into_iter().chain(sections.iter().map(String::as_str));
        let listing = self.listings.of("ListSeats", Some(caller.user), filter);
        let sizes = SEATS_PAGE_DEFAULT..=SEATS_PAGE_MAX;
        let page = fields.page_of(&listing, message.page_size, &message.page_token, sizes);
        let (Some(performance), Some(page)) = (performance, page) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let sections: HashSet<String> = sections.into_iter().collect();
        let query = SeatQuery { performance, sections, free_only: message.free_only, page };
        let seats = self.calls.read(self.catalog.list_seats(caller, &pass, &query)).await?;
        Ok(Response::new(seats_to_proto(seats, &listing)))
    }

    async fn get_seat_chart(
        &self,
        request: Request<pb::GetSeatChartRequest>,
    ) -> Result<Response<pb::GetSeatChartResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let listing = self.listings.of("GetSeatChart", None, [message.performance_id.as_str()]);
        let sizes = CHART_PAGE_DEFAULT..=SEATS_PAGE_MAX;
        let page = fields.page_of(&listing, message.page_size, &message.page_token, sizes);
        let (Some(performance), Some(page)) = (performance, page) else {
            return Err(fields.into_status());
        };
        let chart = self.calls.read(self.catalog.get_seat_chart(performance)).await?;
        if *chart.version == *message.version {
            let version = message.version;
            return Ok(Response::new(pb::GetSeatChartResponse { version, not_modified: true, ..Default::default() }));
        }
        match self.shared_charts.page(&chart, page, &listing).await {
            Some(reply) => Ok(reply.response(&metadata)),
            None => Ok(Response::new(chart_to_proto(&chart, page, &listing).0)),
        }
    }

    type WatchSeatsStream = Frames<pb::WatchSeatsResponse>;

    async fn watch_seats(
        &self,
        request: Request<pb::WatchSeatsRequest>,
    ) -> Result<Response<Self::WatchSeatsStream>, Status> {
        let (caller, pass) = (caller(&request)?, queue_pass(&request));
        let session = watch_session(&request, &self.ended_sessions);
        let message = request.into_inner();
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let sections = fields.names("sections", &message.sections, SECTIONS_MAX);
        let Some(performance) = performance else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let after_version = Some(message.after_version).filter(|version| *version > 0);
        let sections: HashSet<String> = sections.into_iter().collect();
        let query = SeatWatchQuery { performance, sections, after_version };
        let (chart, seats) = self.calls.read(self.catalog.watch_seats(caller, &pass, &query)).await?;
        let frames = stream::iter(1..).zip(seats).map(move |(sequence, observed)| {
            let observed = observed.map_err(status)?;
            Ok(frame_to_proto(sequence, observed, &chart.version))
        });
        Ok(Response::new(end_on_shutdown(end_with_session(frames, session), self.shutdown.clone())))
    }
}

/// The concerts of these performances, each once, in the order of their first performance.
fn concerts_of(summaries: &[PerformanceSummary]) -> Vec<pb::Concert> {
    let mut seen = HashSet::new();
    let concerts = summaries.iter().map(|summary| &summary.context.concert);
    concerts.filter(|concert| seen.insert(concert.id)).map(|concert| concert_to_proto(concert)).collect()
}

pub(crate) fn concert_to_proto(concert: &Concert) -> pb::Concert {
    pb::Concert {
        concert_id: concert.id.to_string(),
        title: concert.title.as_str().to_owned(),
        artist: concert.artist.as_str().to_owned(),
    }
}

pub(crate) fn summary_to_proto(summary: &PerformanceSummary) -> pb::Performance {
    let PerformanceContext { performance, venue, .. } = &summary.context;
    let range = performance.prices.range();
    let postponed = performance.amended.postponed;
    pb::Performance {
        performance_id: performance.id.to_string(),
        concert_id: performance.concert.to_string(),
        venue_id: venue.id.to_string(),
        venue_name: venue.name.as_str().to_owned(),
        starts_at: Some(timestamp(performance.starts_at)),
        on_sale_opens_at: Some(timestamp(performance.on_sale.opens_at)),
        on_sale_closes_at: Some(timestamp(performance.on_sale.closes_at)),
        seats_total: venue.chart.capacity(),
        seats_left: summary.seats_left,
        price_min: range.map(|(lowest, _)| money(lowest)),
        price_max: range.map(|(_, highest)| money(highest)),
        prices: prices_to_proto(&summary.context),
        seats_per_fan: performance.seats_per_fan,
        hold_duration: Some(duration(performance.hold_for)),
        has_queue: performance.has_queue,
        postponed_from: postponed.map(|postponed| timestamp(postponed.from)),
        refunds_until: postponed.map(|postponed| timestamp(postponed.refunds_until)),
        location: venue.location.as_ref().map(location_to_proto),
    }
}

fn seats_to_proto(found: SeatListing, listing: &Listing<'_>) -> pb::ListSeatsResponse {
    let chart = &found.context.venue.chart;
    let page = Page { items: found.seats, next: found.next };
    let page = page.within(SEATS_MAX_BYTES, |(seat, _)| seat_bytes(chart, seat), |(seat, _)| seat.slot);
    let mut sections: Vec<pb::SectionSeats> = Vec::new();
    let by_section = page.items.chunk_by(|(a, _), (b, _)| chart.row_of(a).section == chart.row_of(b).section);
    for seats in by_section {
        let by_row = seats.chunk_by(|(a, _), (b, _)| a.row == b.row);
        let rows = by_row.map(|row| pb::RowSeats {
            row: chart.row_of(&row[0].0).label.clone(),
            seats: row.iter().map(|(seat, status)| seat_to_proto(chart, seat, *status)).collect(),
        });
        sections.push(pb::SectionSeats { section: chart.section_of(&seats[0].0).name.clone(), rows: rows.collect() });
    }
    pb::ListSeatsResponse {
        version: found.version,
        prices: prices_to_proto(&found.context),
        sections,
        next_page_token: listing.next_page_token(page.next.as_ref()),
        areas: found.areas.iter().map(|(area, left)| area_to_proto(chart, area, *left)).collect(),
    }
}

fn area_to_proto(chart: &SeatChart, area: &Area, left: u32) -> pb::AreaStock {
    pb::AreaStock {
        section: chart.name_of(area).to_owned(),
        grade: chart.grades()[usize::from(area.grade)].name.clone(),
        capacity: area.capacity,
        left,
    }
}

fn seat_to_proto(chart: &SeatChart, seat: &Seat, status: SeatStatus) -> pb::Seat {
    let status = status_to_proto(status);
    pb::Seat {
        seat_id: seat.id.clone(),
        label: chart.label_of(seat),
        number: seat.number.clone(),
        grade: chart.grade_of(seat).name.clone(),
        status: status.into(),
        x: seat.x,
        y: seat.y,
        accessible: seat.accessible,
    }
}

pub(crate) fn status_to_proto(status: SeatStatus) -> pb::SeatStatus {
    match status {
        SeatStatus::Free => pb::SeatStatus::Free,
        SeatStatus::Held => pb::SeatStatus::Held,
        SeatStatus::Sold => pb::SeatStatus::Sold,
        SeatStatus::Blocked => pb::SeatStatus::Blocked,
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::page::PAGE_SIZE_MAX;
    use prost::Message;

    use super::*;
    use crate::page_token::unsigned_listings;
    use crate::seat_chart::tests::{REPLY_MAX_BYTES, largest_context};

    #[test]
    fn seats_of_the_longest_names_are_listed_in_replies_that_clients_accept() {
        let context = largest_context();
        let chart = &context.venue.chart;
        let (seats, areas) = (chart.seats().to_vec(), chart.areas().to_vec());
        let listings = unsigned_listings();
        let listing = listings.of("ListSeats", None, []);
        let mut listed = 0;
        while listed < seats.len() {
            let page = &seats[listed..seats.len().min(listed + SEATS_PAGE_MAX as usize)];
            let is_last = listed + page.len() == seats.len();
            let found = SeatListing {
                context: context.clone(),
                version: u64::MAX,
                seats: page.iter().map(|seat| (seat.clone(), SeatStatus::Blocked)).collect(),
                areas: areas.iter().map(|area| (*area, area.capacity)).collect(),
                next: page.last().filter(|_| !is_last).map(|seat| seat.slot),
            };
            let reply = seats_to_proto(found, &listing);
            assert!(reply.encoded_len() < REPLY_MAX_BYTES, "{} bytes", reply.encoded_len());
            let rows: usize = reply.sections.iter().map(|section| section.rows.len()).sum();
            listed += rows;
            let next = listing.cursor(&reply.next_page_token);
            assert_eq!(next, Some(seats[listed - 1].slot).filter(|_| listed < seats.len()));
        }
    }

    #[test]
    fn a_page_of_the_largest_performances_is_a_reply_that_clients_accept() {
        let performance = summary_to_proto(&PerformanceSummary { context: largest_context(), seats_left: u32::MAX });
        let bytes = performance.encoded_len() * PAGE_SIZE_MAX as usize;
        assert!(bytes < REPLY_MAX_BYTES, "{bytes} bytes");
    }
}
