//! The keys of tokens, in a file that may be replaced while the server runs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use encore_credentials::Keyring;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often the file is read. A key that signs later must be there for longer before its time.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// A keyring, kept up to date with its file.
pub struct ReloadedTokenKeys {
    file: PathBuf,
    keyring: Keyring,
    /// What the file contained when its keys were taken. None before the first time.
    used: Option<String>,
    /// Why the file cannot be used now, which was logged.
    failure: Option<String>,
}

impl ReloadedTokenKeys {
    /// The keyring was parsed from the file at the start.
    pub fn new(file: PathBuf, keyring: Keyring) -> Self {
        Self { file, keyring, used: None, failure: None }
    }

    /// Reads the file again. If it has changed and its keys are valid, they are taken. While it cannot be used, the keys before stay; the
    /// log says so once.
    pub fn reload(&mut self) {
        match self.changed() {
            Ok(None) => self.failure = None,
            Ok(Some((content, keys))) => {
                if self.used.is_some() {
                    info!(keys = ?keys, "the token keys were replaced");
                }
                self.keyring.replace(&keys);
                (self.used, self.failure) = (Some(content), None);
            }
            Err(why) if self.failure.as_ref() == Some(&why) => {}
            Err(why) => {
                error!(
                    alarm = "token_keys_unusable",
                    file = %self.file.display(),
                    why,
                    "the file of the token keys cannot be used; the keys before stay in use"
                );
                self.failure = Some(why);
            }
        }
    }

    fn changed(&self) -> Result<Option<(String, Keyring)>, String> {
        let content = fs::read_to_string(&self.file).map_err(|error| error.to_string())?;
        if self.used.as_ref() == Some(&content) {
            return Ok(None);
        }
        let keys = Keyring::parse(&content).map_err(|error| error.to_string())?;
        Ok(Some((content, keys)))
    }

    /// Reads the file again and again, until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            self.reload();
            if stop.run_until_cancelled(sleep(RELOAD_EVERY)).await.is_none() {
                return;
            }
        }
    }
}
