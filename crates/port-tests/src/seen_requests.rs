//! The cases of [`SeenRequests`](encore_domain::ports::SeenRequests).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::ports::Seen;
use encore_domain::request::RequestKey;

use crate::SpeedBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, encoded_otherwise, id, request, understood_otherwise};

/// Stamps the cases of the port `SeenRequests`.
#[macro_export]
macro_rules! seen_requests {
    ($($with:tt)+) => {
        $crate::suite! { seen_requests [
            remembers_a_request,
            notices_another_body,
            recognises_a_request_across_versions,
            keeps_users_apart,
            remembers_once_under_contention,
        ] $($with)+ }
    };
}

impl SpeedBench {
    async fn remember(&self, request: RequestKey) -> Seen {
        self.seen_requests.remember(request).await.expect("the store answers")
    }
}

pub async fn remembers_a_request(bench: SpeedBench) {
    let user = id();
    let (first, second) = (request(user), request(user));
    assert_eq!(bench.remember(first).await, Seen::First);
    assert_eq!(bench.remember(first).await, Seen::Same);
    assert_eq!(bench.remember(second).await, Seen::First);
    assert_eq!(bench.remember(first).await, Seen::Same);
}

pub async fn notices_another_body(bench: SpeedBench) {
    let request = request(id());
    assert_eq!(bench.remember(request).await, Seen::First);
    assert_eq!(bench.remember(altered(request)).await, Seen::Other);
    assert_eq!(bench.remember(altered(request)).await, Seen::Other);
    assert_eq!(bench.remember(request).await, Seen::Same);
}

pub async fn recognises_a_request_across_versions(bench: SpeedBench) {
    let request = request(id());
    assert_eq!(bench.remember(request).await, Seen::First);
    assert_eq!(bench.remember(understood_otherwise(request)).await, Seen::Same);
    assert_eq!(bench.remember(encoded_otherwise(request)).await, Seen::Same);
    assert_eq!(bench.remember(altered(request)).await, Seen::Other);
}

pub async fn keeps_users_apart(bench: SpeedBench) {
    let mine = request(id());
    let theirs = RequestKey { user: id(), ..altered(mine) };
    assert_eq!(bench.remember(mine).await, Seen::First);
    assert_eq!(bench.remember(theirs).await, Seen::First);
    assert_eq!(bench.remember(mine).await, Seen::Same);
    assert_eq!(bench.remember(theirs).await, Seen::Same);
}

pub async fn remembers_once_under_contention(bench: SpeedBench) {
    let request = request(id());
    let answers = at_once((0..TWENTY).map(|_| {
        let seen_requests = Arc::clone(&bench.seen_requests);
        async move { seen_requests.remember(request).await.expect("the store answers") }
    }))
    .await;
    assert_eq!(answers.iter().filter(|seen| **seen == Seen::First).count(), 1);
    assert_eq!(answers.iter().filter(|seen| **seen == Seen::Same).count(), TWENTY - 1);
}
