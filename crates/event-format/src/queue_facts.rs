//! The messages of the facts of queues: those of a performance together.

use encore_domain::event::message::EventMessage;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::EndReason;
use encore_domain::queue::fact::{QueueFact, QueueFactKind};
use encore_proto::events::v1 as pb;
use encore_proto::queue::v1 as queue;
use prost::Message;

use crate::values::timestamp;

/// The type of the data of the messages.
pub const QUEUE_FACTS: &str = "encore.events.v1.QueueFacts";
/// The most facts of a message, which then has less than 100 KB.
const FACTS_OF_MESSAGE_MAX: usize = 500;

/// The messages of facts: those of a performance keep their order. Each message gets an id.
pub fn encode_queue_facts(facts: &[QueueFact], mut id: impl FnMut() -> String) -> Vec<EventMessage> {
    let mut of_performances: Vec<(PerformanceId, Vec<&QueueFact>)> = Vec::new();
    for fact in facts {
        // Few queues are open at a time.
        match of_performances.iter_mut().find(|(performance, _)| *performance == fact.performance) {
            Some((_, of_performance)) => of_performance.push(fact),
            None => of_performances.push((fact.performance, vec![fact])),
        }
    }
    let mut messages = Vec::new();
    for (performance, facts) in of_performances {
        for facts in facts.chunks(FACTS_OF_MESSAGE_MAX) {
            let Some(last) = facts.last() else { continue };
            let data = pb::QueueFacts {
                performance_id: performance.to_string(),
                facts: facts.iter().map(|fact| to_proto(fact)).collect(),
            };
            messages.push(EventMessage {
                id: format!("queue.facts/{}", id()),
                data_type: QUEUE_FACTS.to_owned(),
                subject: format!("performances/{performance}"),
                at: last.at,
                key: performance.to_string(),
                data: data.encode_to_vec(),
            });
        }
    }
    messages
}

fn to_proto(fact: &QueueFact) -> pb::QueueFact {
    let (kind, until, reason) = match fact.kind {
        QueueFactKind::Joined => (pb::QueueFactKind::Joined, None, None),
        QueueFactKind::Called => (pb::QueueFactKind::Called, None, None),
        QueueFactKind::Accepted { until } => (pb::QueueFactKind::Accepted, Some(until), None),
        QueueFactKind::Ended(reason) => (pb::QueueFactKind::Ended, None, Some(reason)),
    };
    pb::QueueFact {
        kind: kind.into(),
        epoch: fact.epoch,
        lane: fact.lane.into(),
        index: fact.index,
        user_id: fact.user.map(|user| user.to_string()).unwrap_or_default(),
        at: Some(timestamp(fact.at)),
        end_reason: reason.map_or(queue::EndReason::Unspecified, end_reason).into(),
        admitted_until: until.map(timestamp),
    }
}

fn end_reason(reason: EndReason) -> queue::EndReason {
    match reason {
        EndReason::Used => queue::EndReason::Used,
        EndReason::Left => queue::EndReason::Left,
        EndReason::Expired => queue::EndReason::Expired,
        EndReason::Abandoned => queue::EndReason::Abandoned,
        EndReason::Replaced => queue::EndReason::Replaced,
        EndReason::LimitReached => queue::EndReason::SeatLimitReached,
        EndReason::Reset => queue::EndReason::Reset,
    }
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{at_secs, id};

    use super::*;
    use crate::{from_json_line, to_json_line};

    fn fact(performance: PerformanceId, index: u64, kind: QueueFactKind) -> QueueFact {
        QueueFact { performance, epoch: 5, lane: 1, index, user: Some(id()), kind, at: at_secs(index) }
    }

    fn encoded(facts: &[QueueFact]) -> Vec<(String, pb::QueueFacts)> {
        let mut number = 0;
        let messages = encode_queue_facts(facts, || {
            number += 1;
            number.to_string()
        });
        let decoded = |message: EventMessage| {
            let line = to_json_line(&message).expect("a line");
            assert_eq!(from_json_line(&line).expect("a message"), message);
            (message.id, pb::QueueFacts::decode(message.data.as_slice()).expect("its data"))
        };
        messages.into_iter().map(decoded).collect()
    }

    #[test]
    fn the_facts_of_a_performance_are_together_and_in_order() {
        let [one, other]: [PerformanceId; 2] = [id(), id()];
        let until = at_secs(60);
        let facts = [
            fact(one, 1, QueueFactKind::Joined),
            fact(other, 2, QueueFactKind::Called),
            fact(one, 3, QueueFactKind::Accepted { until }),
            QueueFact { user: None, ..fact(one, 4, QueueFactKind::Ended(EndReason::Abandoned)) },
        ];
        let messages = encoded(&facts);
        let [(id_of_one, of_one), (id_of_other, of_other)] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((id_of_one.as_str(), id_of_other.as_str()), ("queue.facts/1", "queue.facts/2"));
        assert_eq!((&of_one.performance_id, &of_other.performance_id), (&one.to_string(), &other.to_string()));
        assert_eq!(of_one.facts.iter().map(|fact| fact.index).collect::<Vec<_>>(), [1, 3, 4]);
        let [joined, accepted, ended] = of_one.facts.as_slice() else { panic!("{of_one:?}") };
        assert_eq!((joined.kind(), joined.epoch, joined.lane), (pb::QueueFactKind::Joined, 5, 1));
        assert_eq!(joined.user_id, facts[0].user.map(|user| user.to_string()).expect("a user"));
        assert_eq!((joined.end_reason(), &joined.admitted_until), (queue::EndReason::Unspecified, &None));
        assert_eq!(accepted.admitted_until, Some(timestamp(until)));
        assert_eq!((ended.end_reason(), ended.user_id.as_str()), (queue::EndReason::Abandoned, ""));
    }

    #[test]
    fn many_facts_are_several_messages() {
        let performance = id();
        let facts: Vec<QueueFact> = (0..1_001).map(|index| fact(performance, index, QueueFactKind::Joined)).collect();
        let sizes: Vec<usize> = encoded(&facts).iter().map(|(_, batch)| batch.facts.len()).collect();
        assert_eq!(sizes, [500, 500, 1]);
        assert!(encode_queue_facts(&facts, String::new).iter().all(|message| message.data.len() < 100_000));
    }
}
