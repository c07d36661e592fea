//! The proof after a rehearsal: the findings of the consistency checker and those of the server's auditor.

use std::time::Duration;

use encore_proto::admin::v1 as pb;
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status};

use crate::environment::Environment;
use crate::report::model::{PromiseReport, Proof};

/// How many breaches of a promise are named.
const FINDINGS_MAX: usize = 100;
/// How many performances are looked at at once.
const AUDITS_AT_ONCE: usize = 4;
/// How often an instance is asked that cannot answer now, each time the next one.
const ATTEMPTS_MAX: u64 = 10;
/// How long one waits before asking the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the auditor about the performances, and adds what the consistency checker found. Whatever has no answer at the end of the time
/// is reported as not examined.
pub(crate) async fn examine(
    environment: &Environment,
    performances: &[String],
    checked: Vec<PromiseReport>,
    until: Instant,
) -> Proof {
    let mut proof = match retry(until, |turn| environment.log_in_again(turn)).await {
        Ok(operator) => {
            audit(performances, until, |performance, turn| {
                let operator = operator.over(environment.connections.turn(turn));
                async move { operator.verify(&performance).await }
            })
            .await
        }
        Err(status) => {
            let why = format!("every performance: the operator cannot log in: {}", status.message());
            Proof { unexamined: vec![why], ..Proof::default() }
        }
    };
    proof.promises.extend(checked);
    proof
}

/// Asks about each performance. `verify` is given the performance and which instance's turn it is.
async fn audit<F>(performances: &[String], until: Instant, verify: impl Fn(String, u64) -> F) -> Proof
where
    F: Future<Output = Result<Vec<pb::PromiseReport>, Status>>,
{
    let mut proof = Proof::default();
    if performances.is_empty() {
        proof.unexamined.push("no performance was put on sale".to_owned());
    }
    let asking = stream::iter(performances.to_vec()).map(|performance| {
        let verify = &verify;
        async move {
            let answer = retry(until, |turn| verify(performance.clone(), turn)).await;
            (performance, answer)
        }
    });
    // In the order of the performances, so that the findings are reported in the same order each time.
    let mut answers = std::pin::pin!(asking.buffered(AUDITS_AT_ONCE));
    while let Some((performance, answer)) = answers.next().await {
        match answer {
            Ok(promises) => promises.into_iter().for_each(|promise| add(&mut proof.promises, promise)),
            Err(status) => {
                let why = format!("performance {performance}: the auditor gave no answer: {}", status.message());
                proof.unexamined.push(why);
            }
        }
    }
    proof
}

/// Calls one instance and then the next, until one answers or refuses for good, or the time is over.
async fn retry<T, F>(until: Instant, call: impl Fn(u64) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut last = Status::deadline_exceeded("not in time");
    for turn in 0..ATTEMPTS_MAX {
        match timeout_at(until, call(turn)).await {
            Ok(Err(status)) if may_pass(&status) => last = status,
            Ok(answer) => return answer,
            Err(_) => return Err(last),
        }
        sleep_until(until.min(Instant::now() + PAUSE)).await;
    }
    Err(last)
}

/// Whether the next instance, or the same one later, may answer all the same.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
    )
}

/// Adds what was found about one performance to what was found about the others.
fn add(promises: &mut Vec<PromiseReport>, found: pb::PromiseReport) {
    let findings = found.findings.into_iter().map(|it| format!("{}: {}", it.subject, it.detail));
    let sum = match promises.iter_mut().find(|it| it.promise == found.name) {
        Some(sum) => sum,
        None => promises.push_mut(PromiseReport {
            promise: found.name,
            examined_by: "auditor".to_owned(),
            examined: 0,
            breaches: 0,
            findings: Vec::new(),
        }),
    };
    sum.examined += found.examined;
    sum.breaches += found.broken;
    sum.findings.extend(findings);
    sum.findings.truncate(FINDINGS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIT_WITHIN: Duration = Duration::from_mins(1);

    #[test]
    fn findings_about_several_performances_are_one_report() {
        let found = |broken, subject: &str| pb::PromiseReport {
            name: "orphan_hold".into(),
            examined: 5,
            examines: "claims".into(),
            broken,
            findings: vec![pb::Finding { subject: subject.into(), detail: "has no reservation".into() }],
        };
        let mut promises = Vec::new();
        add(&mut promises, found(1, "seat A-1"));
        add(&mut promises, found(2, "seat B-1"));
        assert_eq!((promises.len(), promises[0].examined, promises[0].breaches), (1, 10, 3));
        assert_eq!(promises[0].findings, ["seat A-1: has no reservation", "seat B-1: has no reservation"]);
        assert!(!Proof { promises, unexamined: Vec::new() }.holds());
    }

    fn kept() -> Vec<pb::PromiseReport> {
        vec![pb::PromiseReport { name: "orphan_hold".into(), examined: 5, ..Default::default() }]
    }

    fn performances(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_is_gone_is_passed_over() {
        let (sold, until) = (performances(9), Instant::now() + AUDIT_WITHIN);
        let proof = audit(&sold, until, |_, turn| async move {
            if turn == 0 { Err(Status::unavailable("gone")) } else { Ok(kept()) }
        });
        let proof = proof.await;
        assert_eq!((proof.promises[0].examined, proof.unexamined), (45, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_auditor_who_never_answers_ends_with_its_time() {
        let (sold, begun) = (performances(9), Instant::now());
        let proof = audit(&sold, begun + AUDIT_WITHIN, |performance, _| async move {
            if performance == "3" { Ok(kept()) } else { std::future::pending().await }
        });
        let proof = proof.await;
        assert_eq!(begun.elapsed(), AUDIT_WITHIN);
        assert_eq!((proof.promises[0].examined, proof.unexamined.len()), (5, 8));
        assert_eq!(proof.unexamined[0], "performance 0: the auditor gave no answer: not in time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        let begun = Instant::now();
        let denied = |_, _| async { Err(Status::permission_denied("operators only")) };
        let proof = audit(&performances(1), begun + AUDIT_WITHIN, denied).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(proof.unexamined, ["performance 0: the auditor gave no answer: operators only"]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_to_look_at_is_no_proof() {
        let proof = audit(&[], Instant::now() + AUDIT_WITHIN, |_, _| async { Ok(kept()) }).await;
        assert_eq!(proof.unexamined, ["no performance was put on sale"]);
    }
}
