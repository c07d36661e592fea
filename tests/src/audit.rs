//! Calls the auditor of a running system.

use encore_domain::ids::PerformanceId;
use encore_proto::admin::v1::{PromiseReport, VerifyPerformanceRequest};
use tonic::Status;

use crate::fan::Fan;

/// The audit report of a performance, requested by an operator.
pub async fn verify(operator: &Fan, performance_id: &str) -> Result<Vec<PromiseReport>, Status> {
    let message = VerifyPerformanceRequest { performance_id: performance_id.to_owned() };
    Ok(operator.admin().verify_performance(operator.request(message)).await?.into_inner().promises)
}

/// The findings of a performance, as promise and subject.
pub async fn found(operator: &Fan, performance: PerformanceId) -> Vec<(String, String)> {
    let promises = verify(operator, &performance.to_string()).await.expect("a report");
    assert_eq!(promises.len(), 11, "{promises:?}");
    let findings = promises.into_iter().flat_map(|promise| {
        assert_eq!(promise.broken, u64::try_from(promise.findings.len()).expect("few"), "{promise:?}");
        promise.findings.into_iter().map(move |finding| (promise.name.clone(), finding.subject))
    });
    findings.collect()
}
