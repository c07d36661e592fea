//! The Stripe account that charges cards.

use clap::Args;
use encore_payment_gateway::{STRIPE_CALL_WITHIN, STRIPE_URL, SecretKey, StripeConfig, StripeConfigError};

use super::check::Check;

/// The Stripe account that charges cards.
#[derive(Args, Clone)]
pub struct StripeArgs {
    /// The secret key of the Stripe account (`sk_…` or a restricted `rk_…`). On the command line other users of the machine can read it:
    /// prefer the variable or the file.
    #[arg(long, env = "ENCORE_STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    /// A file with the value of `ENCORE_STRIPE_SECRET_KEY`.
    #[arg(long, env = "ENCORE_STRIPE_SECRET_KEY_FILE")]
    pub stripe_secret_key_file: Option<String>,
    /// Where the fan's browser goes after 3-D Secure: an absolute URL, such as a page of the web client or a link into the app.
    #[arg(long, env = "ENCORE_STRIPE_RETURN_URL")]
    pub stripe_return_url: Option<String>,
    /// The API of Stripe, or of a double on the loopback.
    #[arg(long, env = "ENCORE_STRIPE_URL", default_value = STRIPE_URL)]
    pub stripe_url: String,
}

impl StripeArgs {
    /// Checks the arguments, which are needed if Stripe is the gateway.
    pub(super) fn read(&self, check: &mut Check) -> Option<StripeConfig> {
        let (key, file) = (self.stripe_secret_key.as_deref(), self.stripe_secret_key_file.as_deref());
        let secret_key = check.required_secret("ENCORE_STRIPE_SECRET_KEY", key, file);
        let secret_key = secret_key.and_then(|key| check.read("ENCORE_STRIPE_SECRET_KEY", SecretKey::parse(&key)));
        let return_url = self.stripe_return_url.clone().ok_or("must be set: 3-D Secure returns there");
        let return_url = check.read("ENCORE_STRIPE_RETURN_URL", return_url);
        let url = self.stripe_url.clone();
        let (secret_key, return_url) = (secret_key?, return_url?);
        let config = StripeConfig { secret_key, url, return_url, call_within: STRIPE_CALL_WITHIN };
        let name = match config.check() {
            Ok(()) => return Some(config),
            Err(StripeConfigError::ReturnUrl) => "ENCORE_STRIPE_RETURN_URL",
            Err(StripeConfigError::Url | StripeConfigError::Client(_)) => "ENCORE_STRIPE_URL",
        };
        check.read(name, config.check().map(|()| config))
    }
}
