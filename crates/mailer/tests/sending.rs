//! The contract of `Mailer` on a folder and on an SMTP server that the test plays.
#![expect(clippy::expect_used, reason = "tests")]

use std::fs;

use encore_domain::identity::Email;
use encore_domain::mail::Mail;
use encore_domain::ports::Mailer;
use encore_mailer::{FolderMailer, NotASender, NotAnSmtpUrl, Sender, SmtpMailer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn sender() -> Sender {
    Sender::parse("Encore <no-reply@example.com>").expect("a sender")
}

fn mail() -> Mail {
    let to = Email::parse("ada@example.com").expect("an address");
    Mail { to, subject: "Set a new password".into(), text: "Zoë\r\n\r\nhttps://example.com/#secret\r\n".into() }
}

#[tokio::test]
async fn a_folder_gets_a_file_for_each_mail() {
    let folder = std::env::temp_dir().join(format!("encore-mailer-{}", std::process::id()));
    let mailer = FolderMailer::new(&folder, sender());
    for _ in 0..2 {
        mailer.send(&mail()).await.expect("it is written");
    }
    let files: Vec<_> = fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).expect("text")).collect();
    fs::remove_dir_all(&folder).expect("the folder is removed");
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.extension().is_some_and(|extension| extension == "eml")), "{files:?}");
    for text in texts {
        for part in ["From: Encore <no-reply@example.com>", "To: ada@example.com", "https://example.com/#secret"] {
            assert!(text.contains(part), "{part}");
        }
    }
}

/// Plays an SMTP server for one mail, whose recipient it answers like this. Returns what the client sent.
async fn serve_one(stream: TcpStream, to_recipient: &str) -> String {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut sent = String::new();
    let mut in_data = false;
    writer.write_all(b"220 test\r\n").await.expect("written");
    while let Ok(Some(line)) = lines.next_line().await {
        sent.push_str(&line);
        sent.push('\n');
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "." if in_data => {
                in_data = false;
                "250 accepted"
            }
            _ if in_data => continue,
            "EHLO" => "250-test\r\n250 8BITMIME",
            "RCPT" => to_recipient,
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.expect("written");
        if answer.starts_with("250 accepted") || answer.starts_with("221") || answer.starts_with('5') {
            break;
        }
    }
    sent
}

async fn send_to_server(to_recipient: &'static str) -> (Result<(), encore_domain::error::Unavailable>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("smtp://{}", listener.local_addr().expect("bound"));
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        serve_one(stream, to_recipient).await
    });
    let sent = SmtpMailer::new(&url, sender()).expect("a URL").send(&mail()).await;
    (sent, server.await.expect("the server does not panic"))
}

#[tokio::test]
async fn an_smtp_server_gets_the_mail() {
    let (sent, transcript) = send_to_server("250 ok").await;
    sent.expect("it is accepted");
    for part in ["MAIL FROM:<no-reply@example.com>", "RCPT TO:<ada@example.com>", "https://example.com/#secret"] {
        assert!(transcript.contains(part), "{part} in {transcript}");
    }
}

#[tokio::test]
async fn an_error_says_nothing_of_the_mail() {
    let (sent, _) = send_to_server("550 no such mailbox ada@example.com").await;
    let error = sent.expect_err("it is refused");
    let printed = format!("{error} {error:?}");
    assert!(printed.contains("550") && !printed.contains("ada"), "{printed}");
}

#[test]
fn configuration_is_checked() {
    assert!(Sender::parse("no-reply@example.com").is_ok());
    assert_eq!(Sender::parse("nobody"), Err(NotASender));
    for url in ["", "host", "http://host"] {
        assert_eq!(SmtpMailer::new(url, sender()).err(), Some(NotAnSmtpUrl), "{url:?}");
    }
}
