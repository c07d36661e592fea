//! How often one network may sign up, log in and ask for mails, and one user export the account.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ids::UserId;
use encore_domain::ports::{Clock, RateLimits};
use encore_domain::rate_limit::{LimitKey, RateLimit, RateLimited};

use crate::error::{AppError, LimitedLogIn};

/// How many new passwords one network may ask for in 15 minutes. Many people have one address behind a proxy.
const RESETS_MAX: u32 = 30;
const RESETS_PERIOD: Duration = Duration::from_mins(15);
/// How many mails that verify an address one network may ask for, in the same way.
const VERIFICATIONS_MAX: u32 = 30;
const VERIFICATIONS_PERIOD: Duration = Duration::from_mins(15);

/// How often a user may export the account in an hour: an export reads all that the stores have of the user.
const EXPORTS_MAX: u32 = 10;
const EXPORTS_PERIOD: Duration = Duration::from_hours(1);

/// The limits of each network; none where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerTerms {
    /// Of sign-ups.
    pub sign_ups: Option<RateLimit>,
    /// Of log-ins.
    pub log_ins: Option<RateLimit>,
}

/// Counts what networks do. Callers without an address count as one.
#[derive(Clone)]
pub struct CallerLimits {
    shared: Arc<dyn RateLimits>,
    /// Counts on this instance alone while the other does not answer.
    local: Arc<dyn RateLimits>,
    clock: Arc<dyn Clock>,
    terms: CallerTerms,
}

impl CallerLimits {
    /// Counts for all instances, and on this one alone while that does not work. There are no limits of sign-ups and log-ins.
    pub fn new(shared: Arc<dyn RateLimits>, local: Arc<dyn RateLimits>, clock: Arc<dyn Clock>) -> Self {
        Self { shared, local, clock, terms: CallerTerms::default() }
    }

    /// The same with these limits.
    #[must_use]
    pub fn with_terms(self, terms: CallerTerms) -> Self {
        Self { terms, ..self }
    }

    /// Counts a sign-up. A repeat counts, too.
    pub async fn sign_up(&self, network: Option<IpAddr>) -> Result<(), AppError> {
        let taken = self.take("sign_up", network, self.terms.sign_ups).await;
        taken.map_err(|RateLimited(retry_after)| LimitedLogIn::TooManySignUps { retry_after }.into())
    }

    /// Counts a log-in, whether its password is right or not.
    pub async fn log_in(&self, network: Option<IpAddr>) -> Result<(), AppError> {
        let taken = self.take("log_in", network, self.terms.log_ins).await;
        taken.map_err(|RateLimited(retry_after)| LimitedLogIn::TooManyLogIns { retry_after }.into())
    }

    /// Counts a request for a new password.
    pub async fn password_reset(&self, network: Option<IpAddr>) -> Result<(), AppError> {
        let limit = RateLimit::per(RESETS_MAX, RESETS_PERIOD);
        let taken = self.take("password_reset", network, Some(limit)).await;
        taken.map_err(|RateLimited(retry_after)| LimitedLogIn::TooManyResets { retry_after }.into())
    }

    /// Counts a request for a mail that verifies an address.
    pub async fn email_verification(&self, network: Option<IpAddr>) -> Result<(), AppError> {
        let limit = RateLimit::per(VERIFICATIONS_MAX, VERIFICATIONS_PERIOD);
        let taken = self.take("email_verification", network, Some(limit)).await;
        taken.map_err(|RateLimited(retry_after)| LimitedLogIn::TooManyVerifications { retry_after }.into())
    }

    /// Counts an export of a user.
    pub async fn export(&self, user: UserId) -> Result<(), AppError> {
        let taken = self.take_of("export", &user.to_string(), RateLimit::per(EXPORTS_MAX, EXPORTS_PERIOD)).await;
        taken.map_err(|RateLimited(retry_after)| LimitedLogIn::TooManyExports { retry_after }.into())
    }

    async fn take(
        &self,
        limited: &'static str,
        network: Option<IpAddr>,
        limit: Option<RateLimit>,
    ) -> Result<(), RateLimited> {
        let Some(limit) = limit else { return Ok(()) };
        let subject = network.map_or_else(|| "none".to_owned(), |network| network.to_string());
        self.take_of(limited, &subject, limit).await
    }

    async fn take_of(&self, limited: &'static str, subject: &str, limit: RateLimit) -> Result<(), RateLimited> {
        let (key, now) = (LimitKey::new(limited, subject), self.clock.now());
        match self.shared.take(&key, limit, now).await {
            Ok(()) => Ok(()),
            Err(PortError::Refused(limited)) => Err(limited),
            // A limit must not be the reason why nobody can log in.
            Err(PortError::Unavailable(_)) => match self.local.take(&key, limit, now).await {
                Ok(()) | Err(PortError::Unavailable(_)) => Ok(()),
                Err(PortError::Refused(limited)) => Err(limited),
            },
        }
    }
}

impl From<LimitedLogIn> for AppError {
    fn from(limited: LimitedLogIn) -> Self {
        Self::LogInLimited(limited)
    }
}
