//! What is known about the promises afterwards: the crowd's word, and the auditor's look at the books.

use encore_proto::admin::v1 as pb;

use crate::report::model::{PromiseReport, Proof};
use crate::stage::Stage;

/// How many breaches of a promise are named.
const FINDINGS_MAX: usize = 100;

/// Puts both together.
pub(crate) async fn examine(stage: &Stage, performances: &[String], crowd: Vec<PromiseReport>) -> Proof {
    let mut proof = Proof::default();
    for performance in performances {
        match stage.operator.verify(performance).await {
            Ok(promises) => promises.into_iter().for_each(|promise| add(&mut proof.promises, promise)),
            Err(status) => {
                let why = format!("performance {performance}: the auditor gave no answer: {}", status.message());
                proof.unexamined.push(why);
            }
        }
    }
    proof.promises.extend(crowd);
    proof
}

/// Adds what was found about one performance to what was found about the others.
fn add(promises: &mut Vec<PromiseReport>, found: pb::PromiseReport) {
    let findings = found.findings.into_iter().map(|it| format!("{}: {}", it.subject, it.detail));
    let sum = match promises.iter_mut().find(|it| it.promise == found.name) {
        Some(sum) => sum,
        None => promises.push_mut(PromiseReport {
            promise: found.name,
            witness: "auditor".to_owned(),
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
}
