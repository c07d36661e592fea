//! The cases of [`SeenRequests`](encore_domain::ports::SeenRequests).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;
use std::time::Duration;

use encore_domain::ports::{QueueAnswer, Seen};
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::RequestKey;

use crate::SpeedBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, encoded_otherwise, id, request, start, understood_otherwise};

/// Stamps the cases of the port `SeenRequests`.
#[macro_export]
macro_rules! seen_requests {
    ($($with:tt)+) => {
        $crate::suite! { seen_requests [
            remembers_an_answer,
            keeps_the_first_answer,
            notices_another_body,
            recognises_a_request_across_versions,
            keeps_users_apart,
            remembers_once_under_contention,
        ] $($with)+ }
    };
}

const LEFT: QueueAnswer = QueueAnswer::Left(EndReason::Left);

impl SpeedBench {
    async fn seen(&self, request: RequestKey) -> Seen {
        self.seen_requests.find(request).await.expect("the store answers")
    }

    async fn remember(&self, request: RequestKey, answer: QueueAnswer) -> Seen {
        self.seen_requests.remember(request, answer).await.expect("the store answers")
    }
}

fn joined(request: &RequestKey, index: u64, needs_accessible: bool) -> QueueAnswer {
    QueueAnswer::Joined(QueueTokenPayload {
        performance: id(),
        user: request.user,
        epoch: 1_780_308_000_123,
        lane: 7,
        index,
        issued_at: start() + Duration::from_millis(7),
        needs_accessible,
        admitted_until: None,
    })
}

pub async fn remembers_an_answer(bench: SpeedBench) {
    let user = id();
    let reasons = [
        EndReason::Used,
        EndReason::Left,
        EndReason::Expired,
        EndReason::Abandoned,
        EndReason::Replaced,
        EndReason::LimitReached,
        EndReason::Reset,
    ];
    let left = reasons.map(QueueAnswer::Left);
    let joins = [(1, true), (u64::MAX, false)].map(|(index, needs)| joined(&request(user), index, needs));
    for answer in left.into_iter().chain(joins) {
        let request = request(user);
        assert_eq!(bench.seen(request).await, Seen::New);
        assert_eq!(bench.remember(request, answer).await, Seen::New);
        assert_eq!(bench.seen(request).await, Seen::Answered(answer));
    }
}

pub async fn keeps_the_first_answer(bench: SpeedBench) {
    let request = request(id());
    let first = joined(&request, 1, false);
    assert_eq!(bench.remember(request, first).await, Seen::New);
    assert_eq!(bench.remember(request, joined(&request, 2, false)).await, Seen::Answered(first));
    assert_eq!(bench.seen(request).await, Seen::Answered(first));
}

pub async fn notices_another_body(bench: SpeedBench) {
    let request = request(id());
    assert_eq!(bench.remember(request, LEFT).await, Seen::New);
    assert_eq!(bench.seen(altered(request)).await, Seen::Other);
    assert_eq!(bench.remember(altered(request), QueueAnswer::Left(EndReason::Used)).await, Seen::Other);
    assert_eq!(bench.seen(altered(request)).await, Seen::Other);
    assert_eq!(bench.seen(request).await, Seen::Answered(LEFT));
}

pub async fn recognises_a_request_across_versions(bench: SpeedBench) {
    let request = request(id());
    assert_eq!(bench.remember(request, LEFT).await, Seen::New);
    assert_eq!(bench.seen(understood_otherwise(request)).await, Seen::Answered(LEFT));
    assert_eq!(bench.seen(encoded_otherwise(request)).await, Seen::Answered(LEFT));
    assert_eq!(bench.seen(altered(request)).await, Seen::Other);
}

pub async fn keeps_users_apart(bench: SpeedBench) {
    let mine = request(id());
    let theirs = RequestKey { user: id(), ..altered(mine) };
    assert_eq!(bench.remember(mine, LEFT).await, Seen::New);
    assert_eq!(bench.remember(theirs, LEFT).await, Seen::New);
    assert_eq!(bench.seen(mine).await, Seen::Answered(LEFT));
    assert_eq!(bench.seen(theirs).await, Seen::Answered(LEFT));
}

pub async fn remembers_once_under_contention(bench: SpeedBench) {
    let request = request(id());
    let answers = at_once((1..=TWENTY as u64).map(|index| {
        let (seen_requests, answer) = (Arc::clone(&bench.seen_requests), joined(&request, index, false));
        async move { (answer, seen_requests.remember(request, answer).await.expect("the store answers")) }
    }))
    .await;
    let first: Vec<QueueAnswer> =
        answers.iter().filter(|(_, seen)| *seen == Seen::New).map(|(answer, _)| *answer).collect();
    assert_eq!(first.len(), 1);
    assert_eq!(answers.iter().filter(|(_, seen)| *seen == Seen::Answered(first[0])).count(), TWENTY - 1);
}
