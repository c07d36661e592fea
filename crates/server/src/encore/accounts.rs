//! The wiring of accounts: identity, sessions, and what is sent and read for their users.

use std::sync::Arc;

use encore_app::booking::BookingUseCases;
use encore_app::caller_limits::CallerLimits;
use encore_app::email_verifications::{EmailVerificationParts, EmailVerificationUseCases};
use encore_app::identity::{IdentityParts, IdentityUseCases};
use encore_app::password_resets::{PasswordResetParts, PasswordResetUseCases};
use encore_app::personal_data::{PersonalDataParts, PersonalDataUseCases};
use encore_app::sessions::{SessionParts, SessionUseCases};
use encore_memory_store::MemoryRateLimits;

use crate::ports::Ports;
use crate::system::cores;

pub(super) fn identity(ports: &Ports, sessions: &SessionUseCases) -> IdentityUseCases {
    IdentityUseCases::new(IdentityParts {
        users: ports.users.clone(),
        passwords: ports.passwords.clone(),
        sessions: sessions.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
        hashes_at_once: cores().saturating_sub(1).max(1),
    })
}

pub(super) fn password_resets(
    ports: &Ports,
    identity: &IdentityUseCases,
    sessions: &SessionUseCases,
) -> PasswordResetUseCases {
    PasswordResetUseCases::new(PasswordResetParts {
        identity: identity.clone(),
        sessions: sessions.clone(),
        users: ports.users.clone(),
        resets: ports.password_resets.clone(),
        mailer: ports.mailer.clone(),
        link: None,
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn email_verifications(ports: &Ports, identity: &IdentityUseCases) -> EmailVerificationUseCases {
    EmailVerificationUseCases::new(EmailVerificationParts {
        identity: identity.clone(),
        users: ports.users.clone(),
        verifications: ports.email_verifications.clone(),
        mailer: ports.mailer.clone(),
        link: None,
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn sessions(ports: &Ports) -> SessionUseCases {
    SessionUseCases::new(SessionParts {
        sessions: ports.sessions.clone(),
        users: ports.users.clone(),
        access_tokens: ports.access_tokens.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn personal_data(ports: &Ports, booking: &BookingUseCases) -> PersonalDataUseCases {
    PersonalDataUseCases::new(PersonalDataParts {
        booking: booking.clone(),
        users: ports.users.clone(),
        sessions: ports.sessions.clone(),
        password_resets: ports.password_resets.clone(),
        email_verifications: ports.email_verifications.clone(),
        payments: ports.payments.clone(),
        wallets: ports.wallets.clone(),
        draws: ports.draws.clone(),
        audit_log: ports.audit_log.clone(),
        clock: ports.clock.clone(),
    })
}

/// Limits are counted in this process while the store for them is away.
pub(super) fn caller_limits(ports: &Ports) -> CallerLimits {
    CallerLimits::new(ports.rate_limits.clone(), Arc::new(MemoryRateLimits::default()), ports.clock.clone())
}
