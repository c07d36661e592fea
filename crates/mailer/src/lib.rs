#![doc = include_str!("../README.md")]

mod folder;
mod message;
mod smtp;

pub use folder::FolderMailer;
pub use message::{NotASender, Sender};
pub use smtp::{NotAnSmtpUrl, SmtpMailer};
