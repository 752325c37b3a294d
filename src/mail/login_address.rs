//! Mails a biller's login address to its contact, at the request of an operator or the CRM.

use super::{Mail, QueuedTask, address, messages};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::DbError;
use crate::directory::Biller;
use crate::routing::biller_login_url;
use signpost_core::Locale;
use signpost_core::decision::CiamState;
use signpost_core::text::mask;

#[derive(Debug, thiserror::Error)]
pub enum LoginAddressError {
    #[error("no mail server is configured: set [mail] in the settings")]
    MailDisabled,
    #[error("{slug} has no login address of its own yet: its CIAM state is {state}")]
    NotActive { slug: String, state: &'static str },
    /// It has no contact, or the contact's address is not plain.
    #[error("{0} has no contact: set contact_email or support.email")]
    NoContact(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Mail {
    /// Queues the mail. Returns the recipient's address, masked.
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
