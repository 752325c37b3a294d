//! The address at which a moved biller's people sign in, mailed to its contact when an operator or the CRM asks for it.

use super::{Errand, Mail, address, letters};
use crate::audit::{Act, Action, By};
use crate::db::DbError;
use crate::directory::Biller;
use crate::routing::stable_address;
use signpost_core::Locale;
use signpost_core::decision::CiamState;
use signpost_core::text::mask;

/// Why no mail goes out.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// There is no mail server.
    #[error("no mail server is set: see [mail] of the settings")]
    Off,
    /// The biller is not on.
    #[error("{slug} has no login address of its own yet: its CIAM is {state}")]
    NotMoved {
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
    /// See [`TellError`].
    pub async fn tell_login_address(&self, biller: &Biller, locale: Locale, by: &By) -> Result<String, TellError> {
        if !self.is_on() {
            return Err(TellError::Off);
        }
        if biller.state != CiamState::Active {
            return Err(TellError::NotMoved { slug: biller.slug.to_string(), state: biller.state.as_str() });
        }
        let settings = &biller.settings;
        let contact = settings.contact_email.as_deref().or(settings.support.email.as_deref());
        let to = contact.and_then(address::plain).ok_or_else(|| TellError::NoContact(biller.slug.to_string()))?;
        let address = stable_address(&self.config, biller);
        let letter = letters::login_address(&self.config, to.as_ref(), &biller.name, &address, locale);
        let act = Act::of(Action::LoginAddressMailed).at(&biller.slug).with("to", mask(to.as_ref()));
        self.queue.add_noted(&Errand::Letter(letter), by, act).await?;
        Ok(mask(to.as_ref()))
    }
}
