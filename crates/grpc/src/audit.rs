//! The audit report of `AdminService`, as protobuf messages.

use encore_domain::audit::{AuditReport, Finding, Promise, PromiseReport};
use encore_proto::admin::v1 as pb;

pub(crate) fn report_to_proto(report: &AuditReport) -> pb::VerifyPerformanceResponse {
    let examined = Promise::ALL.into_iter().filter_map(|promise| Some((promise, report.of(promise)?)));
    pb::VerifyPerformanceResponse {
        promises: examined.map(|(promise, found)| promise_to_proto(promise, found)).collect(),
    }
}

fn promise_to_proto(promise: Promise, found: &PromiseReport) -> pb::PromiseReport {
    pb::PromiseReport {
        name: promise.name().to_owned(),
        examined: found.examined,
        examines: promise.examines().to_owned(),
        broken: found.broken,
        findings: found.findings.iter().map(finding_to_proto).collect(),
    }
}

fn finding_to_proto(finding: &Finding) -> pb::Finding {
    pb::Finding { subject: finding.subject.clone(), detail: finding.detail.clone() }
}
