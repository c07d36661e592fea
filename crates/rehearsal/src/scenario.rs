//! What every scenario is given, and what it finds.

use std::io;

use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::environment::Environment;
use crate::live::Live;
use crate::load::{Counted, Load};
use crate::options::RehearseArgs;
use crate::report::model::{Baseline, Comparison, Figure, Mark, Measurement, PromiseReport, Sample};

/// Why there is no report. Whatever calls come to under load is in the report; only a step without which a scenario cannot
/// go on ends it, and with it what was measured before.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum RehearsalError {
    #[error("{what} failed: {}", status.message())]
    Setup { what: &'static str, status: Status },
    #[error("the rehearsal was ended before it began: {what} was under way")]
    EndedBefore { what: &'static str },
    #[error("the report cannot be written to {folder}")]
    Write { folder: String, source: io::Error },
    #[error("the report cannot be printed")]
    Print(#[source] io::Error),
}

impl RehearsalError {
    /// A step of the preparations that did not succeed.
    pub(crate) fn setup(what: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Setup { what, status }
    }

    /// The same, if it was given up because the rehearsal ended.
    pub(crate) fn ended(self) -> Self {
        match self {
            Self::Setup { what, status } if status.code() == Code::Cancelled => Self::EndedBefore { what },
            Self::Setup { .. } | Self::EndedBefore { .. } | Self::Write { .. } | Self::Print(_) => self,
        }
    }
}

/// What every scenario is given.
pub(crate) struct Run<'r> {
    pub(crate) args: &'r RehearseArgs,
    pub(crate) environment: &'r Environment,
    pub(crate) live: &'r Live,
    pub(crate) load: Load,
    /// When all load must have ended.
    pub(crate) ends_at: Instant,
}

/// What a scenario found out.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) baselines: Vec<Baseline>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) timeline: Vec<Sample>,
    /// What was done to the system during the timeline.
    pub(crate) marks: Vec<Mark>,
    /// What the consistency checker found.
    pub(crate) promises: Vec<PromiseReport>,
    /// What the auditor is to look at.
    pub(crate) performances: Vec<String>,
    /// What was asked for and could not be tried.
    pub(crate) untried: Vec<String>,
}

impl Findings {
    /// What comparisons brought.
    pub(crate) fn of(compared: Compared) -> Self {
        let mut findings = Self::default();
        findings.add(compared);
        findings
    }

    /// Adds what further comparisons brought.
    pub(crate) fn add(&mut self, compared: Compared) {
        self.measurements.extend(compared.measurements);
        self.baselines.extend(compared.baselines);
        self.comparisons.extend(compared.comparisons);
    }
}

impl Run<'_> {
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.load.stop
    }

    /// How many fans there are: as many as were asked for, or as the scenario needs.
    pub(crate) fn fans(&self, default: u64) -> u64 {
        self.args.users.fans.unwrap_or(default)
    }
}

/// What came of all variants.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// The slices of each variant.
    pub(crate) slices: Vec<Vec<Counted>>,
    /// Each variant as one measurement; those of which there is no slice are left out.
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) baselines: Vec<Baseline>,
    pub(crate) comparisons: Vec<Comparison>,
}
