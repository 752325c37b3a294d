//! Stand-in of a mail server: receives mails over SMTP (RFC 5321) and stores them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::store::lock;

const MAX_MAILS: usize = 1000;
const MAX_LINE_LENGTH: u64 = 4096;
const MAX_MAIL_SIZE: usize = 1024 * 1024;
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Fault injection for the mail server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultMode {
    #[default]
    None,
    /// Rejects every recipient with this code.
    RejectRecipients(u16),
    /// Accepts a mail but never replies.
    Hang,
}

#[derive(Clone, Debug, Default)]
pub struct ReceivedMail {
    /// Counted from 1.
    pub number: usize,
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`.
    pub to: Vec<String>,
    /// Headers and body.
    pub raw: Vec<u8>,
}

impl ReceivedMail {
    /// The subject, decoded.
    pub fn subject(&self) -> String {
        self.parsed(|mail| mail.subject().map(str::to_owned))
    }

    /// The plain text, decoded.
    pub fn text(&self) -> String {
        self.parsed(|mail| mail.body_text(0).map(std::borrow::Cow::into_owned))
    }

    /// The HTML, decoded.
    pub fn html(&self) -> String {
        self.parsed(|mail| mail.body_html(0).map(std::borrow::Cow::into_owned))
    }

    fn parsed(&self, part: impl FnOnce(&mail_parser::Message<'_>) -> Option<String>) -> String {
        MessageParser::default().parse(&self.raw).as_ref().and_then(part).unwrap_or_default()
    }
}

/// The received mails. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Mailbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    mails: Mutex<VecDeque<ReceivedMail>>,
    fault_mode: Mutex<FaultMode>,
    count: watch::Sender<usize>,
}

impl Mailbox {
    /// The newest mails, the oldest of them first.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        lock(&self.0.mails).iter().cloned().collect()
    }

    pub fn mail(&self, number: usize) -> Option<ReceivedMail> {
        lock(&self.0.mails).iter().find(|mail| mail.number == number).cloned()
    }

    /// Applies from the next command on.
    pub fn set_fault_mode(&self, fault_mode: FaultMode) {
        *lock(&self.0.fault_mode) = fault_mode;
    }

    /// Waits until the server has received this many mails in all.
    pub async fn wait_for_mails(&self, count: usize) {
        // The sender lives as long as `self`.
        let _ = self.0.count.subscribe().wait_for(|so_far| *so_far >= count).await;
    }

    fn store(&self, mut mail: ReceivedMail) {
        let mut mails = lock(&self.0.mails);
        self.0.count.send_modify(|count| {
            *count += 1;
            mail.number = *count;
        });
        mails.push_back(mail);
        if mails.len() > MAX_MAILS {
            mails.pop_front();
        }
    }

    fn fault_mode(&self) -> FaultMode {
        *lock(&self.0.fault_mode)
    }
}

/// Serves until the listener fails.
pub async fn serve_mail(listener: TcpListener, mailbox: Mailbox) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mailbox = mailbox.clone();
        // A failed session does not affect others.
        tokio::spawn(tokio::time::timeout(SESSION_TIMEOUT, async move { serve_session(stream, &mailbox).await }));
    }
}

async fn serve_session(mut stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut mail = ReceivedMail::default();
    write.write_all(b"220 mail.standin.example ESMTP\r\n").await?;
    while let Some(line) = read_line(&mut read).await? {
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match (verb.as_str(), mailbox.fault_mode()) {
            ("EHLO", _) => "250-mail.standin.example\r\n250-8BITMIME\r\n250 SIZE 1048576".to_owned(),
            ("HELO" | "NOOP", _) => "250 OK".to_owned(),
            ("RSET", _) => {
                mail = ReceivedMail::default();
                "250 OK".to_owned()
            }
            ("MAIL", _) => {
                mail = ReceivedMail { from: address(&command), ..ReceivedMail::default() };
                "250 OK".to_owned()
            }
            ("RCPT", FaultMode::RejectRecipients(code)) => format!("{code} {} is rejected", address(&command)),
            ("RCPT", _) => {
                mail.to.push(address(&command));
                "250 OK".to_owned()
            }
            ("DATA", _) if mail.to.is_empty() => "503 RCPT first".to_owned(),
            ("DATA", _) => {
                write.write_all(b"354 go on\r\n").await?;
                mail.raw = read_data(&mut read).await?;
                mailbox.store(std::mem::take(&mut mail));
                if mailbox.fault_mode() == FaultMode::Hang {
                    std::future::pending::<()>().await;
                }
                "250 OK".to_owned()
            }
            ("QUIT", _) => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not known here".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn read_line(read: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let count = read.take(MAX_LINE_LENGTH).read_until(b'\n', &mut line).await?;
    Ok((count > 0).then_some(line))
}

/// Reads up to the line with a single dot and undoes dot-stuffing (RFC 5321, section 4.5.2).
async fn read_data(read: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    while let Some(line) = read_line(read).await? {
        if line == b".\r\n" {
            return Ok(raw);
        }
        raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        if raw.len() > MAX_MAIL_SIZE {
            return Err(std::io::Error::other("the mail is too long"));
        }
    }
    Err(std::io::Error::other("the mail has no end"))
}

fn address(command: &str) -> String {
    let inside = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(inside, _)| inside.to_owned())
}
