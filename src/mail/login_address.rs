//! The address at which a moved biller's people sign in, mailed to its contact when an operator or the CRM asks for it.

use super::{Mail, QueuedTask, address, messages};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::DbError;
use crate::directory::Biller;
use crate::routing::biller_login_url;
use signpost_core::Locale;
use signpost_core::decision::CiamState;
use signpost_core::text::mask;

/// Why no mail goes out.
#[derive(Debug, thiserror::Error)]
pub enum LoginAddressError {
    /// There is no mail server.
    #[error("no mail server is set: see [mail] of the settings")]
    MailDisabled,
    /// The biller is not on.
    #[error("{slug} has no login address of its own yet: its CIAM is {state}")]
    NotActive {
        /// The biller.
        slug: String,
        /// Where its move stands.
        state: &'static str,
    },
    /// Nobody to write to, or under an address that we write to.
    #[error("{0} has no contact: set its contact_email, or an email address of its support")]
    NoContact(String),
    /// The database failed; nothing is sent.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Mail {
    /// Queues a mail with a biller's login address to its contact; answers to whom, masked.
    ///
    /// # Errors
    /// See [`LoginAddressError`].
    pub async fn send_login_address(
        &self,
        biller: &Biller,
        locale: Locale,
        actor: &ActorContext,
    ) -> Result<String, LoginAddressError> {
        if !self.is_enabled() {
            return Err(LoginAddressError::MailDisabled);
        }
        if biller.state != CiamState::Active {
            return Err(LoginAddressError::NotActive { slug: biller.slug.to_string(), state: biller.state.as_str() });
        }
        let settings = &biller.settings;
        let contact = settings.contact_email.as_deref().or(settings.support.email.as_deref());
        let to = contact
            .and_then(address::parse_plain)
            .ok_or_else(|| LoginAddressError::NoContact(biller.slug.to_string()))?;
        let address = biller_login_url(&self.config, biller);
        let email = messages::login_address(&self.config, to.as_ref(), &biller.name, &address, locale);
        let event = AuditEvent::new(Action::LoginAddressSent).at(&biller.slug).with("to", mask(to.as_ref()));
        self.queue.enqueue_audited(&QueuedTask::Email(email), actor, event).await?;
        Ok(mask(to.as_ref()))
    }
}
