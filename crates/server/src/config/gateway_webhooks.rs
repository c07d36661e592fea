//! The listener for webhooks of the payment gateway.

use std::net::SocketAddr;

use clap::Args;
use encore_payment_gateway::WebhookSecrets;

use super::check::Check;

/// Where webhooks of the payment gateway arrive, and how they are signed.
#[derive(Args, Clone)]
pub struct GatewayWebhookArgs {
    /// The address on which webhooks of the payment gateway are taken. Default: none; payments are then asked for alone.
    #[arg(long, env = "ENCORE_GATEWAY_WEBHOOK_LISTEN")]
    pub gateway_webhook_listen: Option<String>,
    /// The signing secrets of the webhooks (`whsec_…`), comma-separated: the current one and those that are being replaced.
    #[arg(long, env = "ENCORE_GATEWAY_WEBHOOK_SECRETS", hide_env_values = true)]
    pub gateway_webhook_secrets: Option<String>,
    /// A file with the value of `ENCORE_GATEWAY_WEBHOOK_SECRETS`.
    #[arg(long, env = "ENCORE_GATEWAY_WEBHOOK_SECRETS_FILE")]
    pub gateway_webhook_secrets_file: Option<String>,
}

/// The checked arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayWebhookConfig {
    /// Where they arrive.
    pub listen: SocketAddr,
    /// How they are signed.
    pub secrets: WebhookSecrets,
}

impl GatewayWebhookArgs {
    /// Checks the arguments; none if there is no listener.
    pub(super) fn read(&self, check: &mut Check) -> Option<GatewayWebhookConfig> {
        let (value, file) = (self.gateway_webhook_secrets.as_deref(), self.gateway_webhook_secrets_file.as_deref());
        let Some(listen) = &self.gateway_webhook_listen else {
            if value.or(file).is_some() {
                check.0.push("ENCORE_GATEWAY_WEBHOOK_SECRETS: requires ENCORE_GATEWAY_WEBHOOK_LISTEN".to_owned());
            }
            return None;
        };
        let listen = check.read("ENCORE_GATEWAY_WEBHOOK_LISTEN", listen.parse());
        let secrets = check.required_secret("ENCORE_GATEWAY_WEBHOOK_SECRETS", value, file);
        let secrets =
            secrets.and_then(|text| check.read("ENCORE_GATEWAY_WEBHOOK_SECRETS", WebhookSecrets::parse(&text)));
        Some(GatewayWebhookConfig { listen: listen?, secrets: secrets? })
    }
}
