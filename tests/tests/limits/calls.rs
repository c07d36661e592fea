//! Calls that are open at once, by who calls, and bytes in flight.

use std::time::Duration;

use encore_grpc::{ConnectionLimits, GuardedRpcs};
use encore_port_tests::fixtures;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::catalog::v1::{GetSeatChartRequest, ListConcertsRequest, WatchSeatsRequest};
use encore_proto::wallet::v1::GetBalanceRequest;
use encore_server::encore::Encore;
use encore_tests::fan::Fan;
use encore_tests::http2::{
    DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Received, WINDOW_UPDATE, beginning, frame, head,
    next_frame,
};
use encore_tests::in_memory::Instance;
use encore_tests::world::World;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::quota::quota;

/// Another instance of the world, with these limits.
async fn instance(world: &World, limits: ConnectionLimits) -> Instance {
    Instance::start(Encore::new(world.ports.clone(), GuardedRpcs::default()).limiting(limits)).await
}

async fn list(channel: &Channel) -> Result<(), tonic::Status> {
    CatalogServiceClient::new(channel.clone()).list_concerts(ListConcertsRequest::default()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_few_calls_of_those_who_do_not_say_who_they_are() {
    let world = World::embedded().await;
    let instance = instance(&world, ConnectionLimits { anonymous_calls_max: 2, ..ConnectionLimits::default() }).await;
    let anonymous = instance.narrow_channel().await;
    let watch = || {
        let mut health = HealthClient::new(anonymous.clone());
        async move { health.watch(HealthCheckRequest::default()).await }
    };
    let (_first, second) = (watch().await.expect("a stream"), watch().await.expect("a stream"));
    assert_eq!(quota(&list(&anonymous).await.expect_err("two calls are open")), "anonymous_calls");
    list(&instance.narrow_channel().await).await.expect("another connection");
    let known = world.fan(0).await.on(&anonymous);
    let mut catalog = CatalogServiceClient::new(anonymous.clone());
    catalog.list_concerts(known.request(ListConcertsRequest::default())).await.expect("a token says who it is");
    let mut forged = known.clone();
    forged.access_token.push('x');
    let refusal = catalog.list_concerts(forged.request(ListConcertsRequest::default())).await;
    assert_eq!(quota(&refusal.expect_err("a forged token says nothing")), "anonymous_calls");
    drop(second);
    encore_tests::world::until("a free place", || async { list(&anonymous).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_calls_on_all_connections() {
    let world = World::embedded().await;
    let instance = instance(&world, ConnectionLimits { calls_per_user_max: 2, ..ConnectionLimits::default() }).await;
    let performance = world.performance(None).await;
    let (fan, other) = (world.fan(0).await, world.fan(0).await);
    let watch = |fan: Fan| async move {
        let message = WatchSeatsRequest { performance_id: performance.to_string(), ..WatchSeatsRequest::default() };
        fan.catalog().watch_seats(fan.request(message)).await
    };
    let _first = watch(fan.on(&instance.channel)).await.expect("a stream");
    let second = watch(fan.on(&instance.narrow_channel().await)).await.expect("a stream");
    let refusal = watch(fan.on(&instance.channel)).await.expect_err("two calls are open");
    assert_eq!(quota(&refusal), "calls_of_user");
    watch(other.on(&instance.channel)).await.expect("another user");
    drop(second);
    encore_tests::world::until("a free place", || async { watch(fan.on(&instance.channel)).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_end_take_a_bounded_number_of_bytes() {
    const SIGN_UP: &str = "encore.identity.v1.IdentityService/SignUp";
    let world = World::embedded().await;
    // Nothing else ends a body.
    let body_timeout = Duration::from_hours(1);
    let limits = ConnectionLimits { anonymous_bytes_max: 100_000, body_timeout, ..ConnectionLimits::default() };
    let instance = instance(&world, limits).await;
    let mut connection = instance.connect();
    connection.write_all(&beginning(65_535)).await.expect("the server reads");
    // The bodies together need more than the window that a connection begins with.
    while next_frame(&mut connection).await.expect("the connection goes on").kind != WINDOW_UPDATE {}
    // Each body says that it has 60,000 bytes, and ends before.
    let message_begins = [&[0][..], &60_000_u32.to_be_bytes()].concat();
    let part = [message_begins, vec![0; 16_000]].concat();
    for stream in [1, 3, 5] {
        connection
            .write_all(&frame(HEADERS, END_HEADERS, stream, &head(SIGN_UP, &[])))
            .await
            .expect("the server reads");
        for part in [&part, &part[..16_000].to_vec(), &part[..16_000].to_vec()] {
            connection.write_all(&frame(DATA, 0, stream, part)).await.expect("the server reads");
        }
    }
    // The one that went beyond the budget is refused; the others still wait.
    let refused = loop {
        let frame = next_frame(&mut connection).await.expect("the connection goes on");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert!(refused.flags & END_STREAM != 0, "a refusal");
    list(&instance.narrow_channel().await).await.expect("another connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_beyond_the_budget_is_refused_instead_of_kept() {
    let world = World::embedded().await;
    let limits = ConnectionLimits { bytes_per_connection_max: 9_000, ..ConnectionLimits::default() };
    let instance = instance(&world, limits).await;
    let performance = world.performance_in(fixtures::arena_chart(), None, |performance| performance).await;
    let fan = world.fan(0).await.on(&instance.channel);
    assert_eq!(quota(&fan.seats(performance).await.expect_err("more than nine kilobytes of seats")), "bytes_in_flight");
    fan.balance().await.expect("a small reply");
}

#[tokio::test(start_paused = true)]
async fn a_large_reply_that_nobody_reads_is_taken_away_and_its_connection_goes_on() {
    const SEAT_CHART: &str = "encore.catalog.v1.CatalogService/GetSeatChart";
    const LIST_CONCERTS: &str = "encore.catalog.v1.CatalogService/ListConcerts";
    let world = World::embedded().await;
    let performance = world.performance_in(fixtures::arena_chart(), None, |performance| performance).await;
    // A page of a size that nobody else asks for, which is not shared.
    let message = GetSeatChartRequest { performance_id: performance.to_string(), page_size: 500, ..Default::default() };
    let mut catalog = CatalogServiceClient::new(world.channel(0).clone());
    let page_bytes = catalog.get_seat_chart(message.clone()).await.expect("a page").into_inner().encoded_len();
    // There is room for one such page.
    let limits = ConnectionLimits { anonymous_bytes_max: page_bytes * 3 / 2, ..ConnectionLimits::default() };
    let instance = instance(&world, limits).await;
    let mut connection = instance.connect();
    let message = message.encode_to_vec();
    let message_begins = [&[0][..], &u32::try_from(message.len()).expect("a short message").to_be_bytes()].concat();
    let ask = |stream, rpc, body: &[u8]| {
        [frame(HEADERS, END_HEADERS, stream, &head(rpc, &[])), frame(DATA, END_STREAM, stream, body)].concat()
    };
    let ask_chart = |stream| ask(stream, SEAT_CHART, &[&message_begins[..], &message].concat());
    let open = |stream| frame(WINDOW_UPDATE, 0, stream, &1_000_000_u32.to_be_bytes());
    // The client lets no byte of the page through.
    connection.write_all(&[beginning(0), ask_chart(1)].concat()).await.expect("the server reads");
    let begun = of_stream(&mut connection, 1).await;
    assert!(begun.kind == HEADERS && begun.flags & END_STREAM == 0, "a page: {begun:?}");
    connection.write_all(&ask_chart(3)).await.expect("the server reads");
    let refused = of_stream(&mut connection, 3).await;
    assert!(refused.flags & END_STREAM != 0, "a refusal while the page is kept: {refused:?}");
    // It reads other replies, so that the connection does not stall.
    for stream in [5, 7, 9, 11] {
        tokio::time::advance(limits.stall_timeout / 3).await;
        let call = [ask(stream, LIST_CONCERTS, EMPTY_MESSAGE), open(stream)].concat();
        connection.write_all(&call).await.expect("the server reads");
        while of_stream(&mut connection, stream).await.flags & END_STREAM == 0 {}
    }
    connection.write_all(&ask_chart(13)).await.expect("the server reads");
    let begun = of_stream(&mut connection, 13).await;
    assert!(begun.kind == HEADERS && begun.flags & END_STREAM == 0, "the first page was taken away: {begun:?}");
    // Whoever wants to read the first one now is told that the call has ended.
    connection.write_all(&open(1)).await.expect("the server reads");
    assert_eq!(of_stream(&mut connection, 1).await.kind, RST_STREAM);
}

/// The next frame of a call. Those of others are skipped.
async fn of_stream(connection: &mut DuplexStream, stream: u32) -> Received {
    loop {
        let frame = next_frame(connection).await.expect("the connection goes on");
        if frame.stream == stream {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_the_same_compressed_and_plain_for_all_who_ask() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let message = GetSeatChartRequest { performance_id: performance.to_string(), ..GetSeatChartRequest::default() };
    let plain = fan.catalog().get_seat_chart(message.clone()).await.expect("a chart");
    let mut compressing = fan.catalog().accept_compressed(CompressionEncoding::Gzip);
    let compressed = compressing.get_seat_chart(message.clone()).await.expect("a chart");
    assert_eq!(
        compressed.metadata().get("grpc-encoding").map(tonic::metadata::MetadataValue::as_bytes),
        Some(&b"gzip"[..])
    );
    let (plain, compressed) = (plain.into_inner(), compressed.into_inner());
    assert_eq!(plain, compressed);
    assert_eq!(plain.seats_total, 26);
    // A page of another size is made for whoever asks.
    let page = fan.catalog().get_seat_chart(GetSeatChartRequest { page_size: 5, ..message.clone() }).await;
    let page = page.expect("a page").into_inner();
    let rest = GetSeatChartRequest { page_token: page.next_page_token, ..message.clone() };
    let rest = fan.catalog().get_seat_chart(rest).await.expect("the rest").into_inner();
    let seats = |sections: &[encore_proto::catalog::v1::ChartSection]| -> usize {
        sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len()).sum()
    };
    assert_eq!((seats(&page.sections), seats(&rest.sections)), (5, 21));
    let same = GetSeatChartRequest { version: plain.version, ..message };
    assert!(fan.catalog().get_seat_chart(same).await.expect("the version").into_inner().not_modified);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_method_of_http_is_a_call() {
    let world = World::embedded().await;
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let mut connection = world.instances[0].connect();
        let request = format!(
            "{method} /encore.catalog.v1.CatalogService/ListConcerts HTTP/1.1\r\nhost: encore\r\n\
             connection: close\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0"
        );
        connection.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("text");
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: POST"), "{method}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_more_than_eight_kilobytes_is_refused() {
    let world = World::embedded().await;
    let fan = world.fan(0).await;
    let balance = |bytes: usize| {
        let mut request = fan.request(GetBalanceRequest {});
        request.metadata_mut().insert("x-padding", "y".repeat(bytes).parse().expect("text"));
        let mut wallet = fan.wallet();
        async move { wallet.get_balance(request).await }
    };
    balance(6_000).await.expect("a long head");
    balance(9_000).await.expect_err("a head that is too long");
}
