//! Payments: the gateway, top-ups and cancellations.

use clap::Args;
use encore_app::wallet::TopUps;
use encore_domain::payment::refund::CancellationPolicy;
use encore_payment_gateway::StripeConfig;

use super::check::Check;
use super::stripe::StripeArgs;

/// How fans pay and get their money back.
#[derive(Args, Clone)]
pub struct PaymentArgs {
    /// The payment gateway: `off`, `sandbox`, which moves no money, or `stripe`. Default: `sandbox` without a database, `off` with one.
    #[arg(long, env = "ENCORE_PAYMENT_GATEWAY")]
    pub payment_gateway: Option<String>,
    /// The Stripe account, if that is the gateway.
    #[command(flatten)]
    pub stripe: StripeArgs,
    /// What fans may do to top up their wallets: `off`, `gateway` (by card) or `free` (also without a card, for
    /// development). Default: `free` without a database or where rehearsals are allowed, otherwise `gateway`. With Stripe never `free`.
    #[arg(long, env = "ENCORE_WALLET_TOP_UP")]
    pub wallet_top_up: Option<String>,
    /// How long before a performance starts fans can no longer cancel, in seconds (0 to 31536000).
    #[arg(long, env = "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS", default_value = "86400")]
    pub cancel_closes_before_seconds: String,
    /// The part of the price that is kept when a fan cancels, in percent (0 to 100).
    #[arg(long, env = "ENCORE_CANCEL_FEE_PERCENT", default_value = "0")]
    pub cancel_fee_percent: String,
}

/// The payment gateway to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Nobody pays by card.
    Off,
    /// Payments by card move no money.
    Sandbox,
    /// Cards are charged by Stripe.
    Stripe(StripeConfig),
}

/// The checked arguments.
pub(super) struct Payments {
    pub(super) gateway: Gateway,
    pub(super) top_ups: TopUps,
    pub(super) cancellation: CancellationPolicy,
}

impl PaymentArgs {
    /// Checks the arguments. What is not set depends on whether all data is in the memory of this process, and on whether rehearsals
    /// are allowed.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool, allow_rehearsals: bool) -> Option<Payments> {
        let gateway = self.gateway(check, is_embedded);
        let top_ups = self.top_ups(check, is_embedded || allow_rehearsals);
        let cancellation = self.cancellation(check);
        Some(Payments { gateway: gateway?, top_ups: top_ups?, cancellation: cancellation? })
    }

    fn top_ups(&self, check: &mut Check, is_free: bool) -> Option<TopUps> {
        let is_real = self.payment_gateway.as_deref() == Some("stripe");
        let top_ups = match self.wallet_top_up.as_deref() {
            None if is_free && !is_real => Ok(TopUps::Free),
            None | Some("gateway") => Ok(TopUps::Gateway),
            Some("off") => Ok(TopUps::Off),
            Some("free") if is_real => Err("must not be free where cards are charged real money"),
            Some("free") => Ok(TopUps::Free),
            Some(_) => Err("must be off, gateway or free"),
        };
        check.read("ENCORE_WALLET_TOP_UP", top_ups)
    }

    fn gateway(&self, check: &mut Check, is_embedded: bool) -> Option<Gateway> {
        let gateway = match self.payment_gateway.as_deref() {
            None if is_embedded => Ok(Gateway::Sandbox),
            None | Some("off") => Ok(Gateway::Off),
            Some("sandbox") => Ok(Gateway::Sandbox),
            Some("stripe") => return self.stripe.read(check).map(Gateway::Stripe),
            Some(_) => Err("must be off, sandbox or stripe"),
        };
        check.read("ENCORE_PAYMENT_GATEWAY", gateway)
    }

    fn cancellation(&self, check: &mut Check) -> Option<CancellationPolicy> {
        let before = "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS";
        let closes_before_start = check.seconds(before, &self.cancel_closes_before_seconds, 0..=31_536_000);
        let fee_percent = check.number("ENCORE_CANCEL_FEE_PERCENT", &self.cancel_fee_percent, 0..=100);
        let fee_percent = fee_percent.and_then(|percent| u8::try_from(percent).ok());
        Some(CancellationPolicy { closes_before_start: closes_before_start?, fee_percent: fee_percent? })
    }
}
