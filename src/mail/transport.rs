//! SMTP through lettre, whose header types reject line breaks.

use crate::telemetry::root_cause;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{Email, TaskError};
use crate::config::{self, MailTls};

/// Limits each SMTP command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// The recipient cannot receive the mail (RFC 5321, section 4.2.3). An operator may be able to fix any other rejection.
const PERMANENT_CODES: [u16; 5] = [550, 551, 552, 553, 556];

#[derive(Clone, Debug)]
pub(super) struct Transport {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Transport {
    /// Returns `None` if the settings name no server.
    ///
    /// # Errors
    /// A message that names the setting and its problem.
    pub(super) fn new(settings: &config::Mail) -> Result<Option<Self>, String> {
        let Some(server) = &settings.server else { return Ok(None) };
        let from: Mailbox = settings.from.parse().map_err(|_| "mail.from: not a mail address".to_owned())?;
        let tls = || TlsParameters::new(server.clone()).map_err(|error| format!("mail.tls: {error}"));
        let (tls, default_port) = match settings.tls {
            MailTls::Tls => (Tls::Wrapper(tls()?), 465),
            MailTls::Starttls => (Tls::Required(tls()?), 587),
            MailTls::None => (Tls::None, 25),
        };
        let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
            .port(settings.port.unwrap_or(default_port))
            .tls(tls)
            .timeout(Some(COMMAND_TIMEOUT));
        if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
            let password = password.reveal()?.expose_secret().to_owned();
            smtp = smtp.credentials(Credentials::new(username.clone(), password));
        }
        Ok(Some(Self { smtp: smtp.build(), from }))
    }

    /// Sends a mail. The id becomes the Message-ID, so that mail programs recognize a mail that was sent twice.
    pub(super) async fn send(&self, id: &str, email: &Email) -> Result<(), TaskError> {
        let message = self.message(id, email)?;
        match self.smtp.send(message).await {
            Ok(_) => Ok(()),
            // The server's own message may repeat the address.
            Err(error) => Err(match error.status().map(u16::from) {
                Some(code) if PERMANENT_CODES.contains(&code) => TaskError::Permanent(format!("smtp {code}")),
                Some(code) => TaskError::Retry(format!("smtp {code}")),
                None if error.is_timeout() => TaskError::Retry("smtp timeout".to_owned()),
                None if error.is_tls() => TaskError::Retry(format!("smtp tls: {}", root_cause(&error))),
                None => TaskError::Retry(format!("smtp connection: {}", root_cause(&error))),
            }),
        }
    }

    /// Whether the server responds and accepts the credentials.
    pub(super) async fn check_connection(&self) -> bool {
        self.smtp.test_connection().await.unwrap_or(false)
    }

    fn message(&self, id: &str, email: &Email) -> Result<Message, TaskError> {
        let permanent = |what: &str| TaskError::Permanent(what.to_owned());
        let to: Address = super::address::parse_plain(&email.to).ok_or_else(|| permanent("invalid address"))?;
        // Stops automatic replies (RFC 3834).
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(email.subject.as_str())
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(email.text.clone(), email.html.clone()))
            .map_err(|_| permanent("invalid message"))
    }
}
