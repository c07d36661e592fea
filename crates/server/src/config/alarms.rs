//! Where alarms are sent.

use clap::Args;
use encore_events::AlarmWebhook;

use super::check::{Check, Recorded};

/// Where alarms are sent.
#[derive(Args, Clone)]
pub struct AlarmArgs {
    /// The URL of an incoming webhook in the format of Slack, to which alarms are sent. It is a secret. On the command line other users of
    /// the machine can read it: prefer the variable or the file. Default: alarms are logged only.
    #[arg(long, env = "ENCORE_ALARM_WEBHOOK", hide_env_values = true)]
    pub alarm_webhook: Option<String>,
    /// A file with the value of `ENCORE_ALARM_WEBHOOK`.
    #[arg(long, env = "ENCORE_ALARM_WEBHOOK_FILE")]
    pub alarm_webhook_file: Option<String>,
}

impl AlarmArgs {
    /// The webhook, if there is one; an error is recorded.
    pub(super) fn read(&self, check: &mut Check) -> Result<Option<AlarmWebhook>, Recorded> {
        const NAME: &str = "ENCORE_ALARM_WEBHOOK";
        let url = check.secret(NAME, self.alarm_webhook.as_deref(), self.alarm_webhook_file.as_deref())?;
        let Some(url) = url else { return Ok(None) };
        check.read(NAME, AlarmWebhook::new(&url)).map(Some).ok_or(Recorded)
    }
}
