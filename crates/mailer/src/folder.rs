use std::path::{Path, PathBuf};

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::mail::Mail;
use encore_domain::ports::Mailer;
use lettre::{AsyncFileTransport, AsyncTransport, Tokio1Executor};
use tokio::fs::create_dir_all;

use crate::message::{Sender, message};

/// [`Mailer`] that writes `.eml` files into a folder.
pub struct FolderMailer {
    folder: PathBuf,
    files: AsyncFileTransport<Tokio1Executor>,
    from: Sender,
}

impl FolderMailer {
    /// Writes into this folder, which is made with the first mail.
    pub fn new(folder: impl AsRef<Path>, from: Sender) -> Self {
        let folder = folder.as_ref().to_owned();
        Self { files: AsyncFileTransport::new(&folder), folder, from }
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable> {
        let message = message(&self.from, mail)?;
        create_dir_all(&self.folder).await.map_err(|error| Unavailable::new("mail", error))?;
        self.files.send(message).await.map(drop).map_err(|error| Unavailable::new("mail", error))
    }
}
