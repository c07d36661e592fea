use std::sync::Arc;

use encore_domain::ids::PerformanceId;
use encore_domain::ports::{JoinRefusal, Joining, REQUESTS_KEPT, RequestReused, TokenRefusal};
use encore_domain::queue::{EndReason, QueueTokenPayload, TokenState};
use encore_domain::request::RequestKey;

use super::{EPOCH, joining, new_queue, token};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, encoded_otherwise, id, request, start, understood_otherwise};

const LEFT: TokenState = TokenState::Ended(EndReason::Left);

fn joining_as(performance: PerformanceId, request: RequestKey) -> Joining {
    Joining { request: Some(request), ..joining(performance, request.user, start()) }
}

impl SpeedBench {
    async fn join_as(&self, performance: PerformanceId, request: RequestKey) -> QueueTokenPayload {
        self.try_join(joining_as(performance, request)).await.expect("a token")
    }

    async fn refused_join(&self, joining: Joining) -> JoinRefusal {
        refused(self.queues.join(joining).await)
    }

    async fn note_leave(&self, payload: &QueueTokenPayload, request: RequestKey) -> TokenState {
        let noted = self.queues.note_leave(&token(payload), Some(request), start()).await;
        noted.expect("the queue knows the token")
    }
}

pub async fn answers_a_repeated_join(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let request = request(id());
    let in_need = Joining { needs_accessible: true, lane: 2, ..joining_as(performance, request) };
    let first = bench.try_join(in_need).await.expect("a number is left");
    assert_eq!((first.lane, first.index, first.needs_accessible), (2, 1, true));
    bench.end(&first, EndReason::Left, start()).await;
    let second = bench.join(performance, request.user, at_secs(1)).await;
    assert_eq!((second.lane, second.index), (0, 1));

    for repeat in [request, understood_otherwise(request), encoded_otherwise(request)] {
        for may_enter in [true, false] {
            let again = Joining { may_enter, lane: 7, ..joining_as(performance, repeat) };
            let again = bench.queues.join(again).await.expect("the first token");
            assert_eq!((again.payload, again.replaced), (first, None));
        }
    }
    assert_eq!(bench.state(&second, at_secs(1)).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.waiting(), 1);

    // A request that returned the token of the fan is answered with it, too.
    let other = crate::fixtures::request(request.user);
    assert_eq!(bench.join_as(performance, other).await, second);
    bench.end(&second, EndReason::Left, at_secs(1)).await;
    assert_eq!(bench.join_as(performance, other).await, second);
}

pub async fn refuses_a_reused_request(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let (join, leave) = (request(id()), request(id()));
    let first = bench.join_as(performance, join).await;
    let second = bench.join(performance, leave.user, start()).await;
    bench.note_leave(&second, leave).await;

    assert_eq!(bench.refused_join(joining_as(performance, altered(join))).await, RequestReused.into());
    assert_eq!(bench.refused_join(joining_as(performance, altered(leave))).await, RequestReused.into());
    for (payload, reused) in [(&first, join), (&second, leave)] {
        let noted = bench.queues.note_leave(&token(payload), Some(altered(reused)), start()).await;
        assert_eq!(refused(noted), TokenRefusal::from(RequestReused));
    }
    // An instance of another version cannot compare the bodies, but a request to leave gave out no token.
    assert_eq!(bench.refused_join(joining_as(performance, leave)).await, RequestReused.into());

    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.lanes[0].tail, snapshot.waiting()), (2, 2), "nothing has changed");
    let elsewhere = bench.opened(&new_queue()).await;
    assert_eq!(bench.join_as(elsewhere, altered(join)).await.index, 1, "each queue has its own requests");
    let theirs = RequestKey { user: id(), ..altered(join) };
    assert_eq!(bench.join_as(performance, theirs).await.index, 3, "each fan has own requests");
}

pub async fn joins_once_per_request_under_contention(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let same = request(id());
    let answers = at_once((0..TWENTY).map(|turn| {
        let queues = Arc::clone(&bench.queues);
        let body = if turn % 2 == 0 { same } else { altered(same) };
        let joining = Joining { lane: u8::from(turn % 2 == 1), ..joining_as(performance, body) };
        async move { queues.join(joining).await.map(|joined| joined.payload) }
    }))
    .await;
    let (given, refusals): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let given: Vec<QueueTokenPayload> = given.into_iter().map(|payload| payload.expect("a token")).collect();
    assert!(given.iter().all(|payload| *payload == given[0]), "{given:?}");
    assert_eq!(given.len(), TWENTY / 2);
    for refusal in refusals {
        assert_eq!(refused(refusal), RequestReused.into());
    }
    assert_eq!(bench.snapshot(performance).await.waiting(), 1);
}

pub async fn keeps_the_last_requests_of_a_fan(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let user = id();
    let first = request(user);
    let payload = bench.join_as(performance, first).await;
    bench.end(&payload, EndReason::Left, start()).await;
    let second = bench.join(performance, user, start()).await;
    for n in 1..REQUESTS_KEPT {
        let other = bench.join(performance, id(), start()).await;
        bench.join_as(performance, request(other.user)).await;
        if n % 2 == 0 {
            assert_eq!(bench.join_as(performance, request(user)).await, second);
        } else {
            bench.note_leave(&second, request(user)).await;
        }
        assert_eq!(bench.join_as(performance, first).await, payload, "{n} later requests, and a repeat is none");
    }
    assert_eq!(bench.join_as(performance, request(user)).await, second);
    let forgotten = bench.join_as(performance, altered(first)).await;
    assert_eq!(forgotten, second, "the oldest request is forgotten, and the fan has a token");
    assert_eq!(bench.snapshot(performance).await.waiting(), REQUESTS_KEPT as u64);
}

pub async fn keeps_no_refused_request(bench: SpeedBench) {
    let performance = id();
    bench.open_new(performance, &new_queue()).await;
    let request = request(id());
    let no_entry = Joining { may_enter: false, ..joining_as(performance, request) };
    assert_eq!(bench.refused_join(no_entry).await, JoinRefusal::NoToken);
    assert_eq!(bench.refused_join(joining_as(performance, request)).await, JoinRefusal::NumbersSpent);
    bench.extend(performance, 0, 5).await;
    let payload = bench.join_as(performance, altered(request)).await;
    assert_eq!((payload.epoch, payload.index), (EPOCH, 1));
    assert_eq!(bench.refused_join(joining_as(performance, request)).await, RequestReused.into());
}

pub async fn finds_a_join_by_its_request(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let find = async |request| bench.queues.find_join(performance, request).await;
    let (join, leave) = (request(id()), request(id()));
    assert_eq!(find(join).await.expect("the store answers"), None);
    let payload = bench.join_as(performance, join).await;
    assert_eq!(find(join).await.expect("the store answers"), Some(payload));
    assert_eq!(find(encoded_otherwise(join)).await.expect("the store answers"), Some(payload));
    bench.end(&payload, EndReason::Left, start()).await;
    assert_eq!(find(join).await.expect("the store answers"), Some(payload));
    assert_eq!(refused(find(altered(join)).await), RequestReused);

    let other = bench.join(performance, leave.user, start()).await;
    bench.note_leave(&other, leave).await;
    assert_eq!(refused(find(leave).await), RequestReused);
    let lost = bench.queues.find_join(id(), join).await.expect("the store answers");
    assert_eq!(lost, None, "the queue is lost");
}

pub async fn notes_a_request_to_leave(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let leave = request(queue[0].user);
    assert_eq!(bench.note_leave(&queue[0], leave).await, TokenState::Waiting);
    assert_eq!(bench.state(&queue[0], start()).await, TokenState::Waiting);
    bench.end(&queue[0], EndReason::Left, start()).await;
    assert_eq!(bench.note_leave(&queue[0], leave).await, LEFT);
    let again = bench.join(queue[0].performance, queue[0].user, start()).await;
    assert_eq!(bench.note_leave(&queue[0], encoded_otherwise(leave)).await, LEFT, "the first token has ended");
    assert_eq!(bench.state(&again, start()).await, TokenState::Waiting);

    let without_id = bench.queues.note_leave(&token(&queue[1]), None, start()).await;
    assert_eq!(without_id.expect("the queue knows the token"), TokenState::Waiting);
    let nobody = QueueTokenPayload { index: 9, ..queue[1] };
    assert_eq!(bench.note_leave(&nobody, request(nobody.user)).await, TokenState::Ended(EndReason::Reset));
}
