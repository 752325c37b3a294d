//! SMTP, by lettre: its types know no header that holds a line break.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::Letter;
use super::work::Trouble;
use crate::config::{self, MailTls};

/// A command of the exchange may take so long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The recipient cannot get it (RFC 5321, section 4.2.3); any other refusal may be mended by an operator.
const NEVER: [u16; 5] = [550, 551, 552, 553, 556];

/// The way out.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Transport {
    /// By the settings; none when they name no server.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn new(settings: &config::Mail) -> Result<Option<Self>, String> {
        let Some(server) = &settings.server else { return Ok(None) };
        let from: Mailbox = settings.from.parse().map_err(|_| "mail.from: not a mail address".to_owned())?;
        let tls = || TlsParameters::new(server.clone()).map_err(|error| format!("mail.tls: {error}"));
        let (tls, usual_port) = match settings.tls {
            MailTls::Tls => (Tls::Wrapper(tls()?), 465),
            MailTls::Starttls => (Tls::Required(tls()?), 587),
            MailTls::None => (Tls::None, 25),
        };
        let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
            .port(settings.port.unwrap_or(usual_port))
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
            let password = password.reveal()?.expose_secret().to_owned();
            smtp = smtp.credentials(Credentials::new(username.clone(), password));
        }
        Ok(Some(Self { smtp: smtp.build(), from }))
    }

    /// Sends a letter. The id makes the Message-ID, so that a mail that had to be sent again is known as the same.
    pub async fn send(&self, id: &str, letter: &Letter) -> Result<(), Trouble> {
        let message = self.message(id, letter)?;
        match self.smtp.send(message).await {
            Ok(_) => Ok(()),
            // The server's own words may repeat the address.
            Err(error) => Err(match error.status().map(u16::from) {
                Some(code) if NEVER.contains(&code) => Trouble::Never(format!("smtp {code}")),
                Some(code) => Trouble::Later(format!("smtp {code}")),
                None if error.is_timeout() => Trouble::Later("smtp timeout".to_owned()),
                None if error.is_tls() => Trouble::Later("smtp tls".to_owned()),
                None => Trouble::Later("smtp connection".to_owned()),
            }),
        }
    }

    /// Whether the server answers and takes our credentials.
    pub async fn test(&self) -> bool {
        self.smtp.test_connection().await.unwrap_or(false)
    }

    fn message(&self, id: &str, letter: &Letter) -> Result<Message, Trouble> {
        let never = |what: &str| Trouble::Never(what.to_owned());
        let to: Address = super::address::plain(&letter.to).ok_or_else(|| never("odd address"))?;
        // No machine answers a machine (RFC 3834).
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.as_str())
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|_| never("cannot be written"))
    }
}
