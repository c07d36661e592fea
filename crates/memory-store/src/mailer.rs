use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::mail::Mail;
use encore_domain::ports::Mailer;

use crate::lock::lock;

/// How many mails are kept: more than a test sends.
const KEPT_MAX: usize = 1_000;

/// [`Mailer`] in process: it keeps the latest mails. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryMailer(Arc<Mutex<VecDeque<Mail>>>);

impl MemoryMailer {
    /// The mails so far.
    pub fn sent(&self) -> Vec<Mail> {
        lock(&self.0).iter().cloned().collect()
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable> {
        let mut mails = lock(&self.0);
        mails.push_back(mail.clone());
        if mails.len() > KEPT_MAX {
            mails.pop_front();
        }
        Ok(())
    }
}
