//! Sign-in links: the usernames that belong to an address or a username, and where they sign in.

use std::collections::BTreeMap;

use super::messages::{self, SignInPage};
use super::{Email, Mail, QueuedTask, TaskError, address};
use crate::access::Requester;
use crate::directory::Billers;
use crate::routing::biller_login_url;
use signpost_core::{Locale, Username, UsernameInput};

/// Several users may have the same username, each with a different address.
const MAX_ADDRESSES: usize = 5;

impl Mail {
    /// Returns one mail for each address that belongs to the input. An unknown address gets a mail that says so.
    pub(super) async fn sign_in_links(
        &self,
        input: &str,
        requester: Requester,
        locale: Locale,
    ) -> Result<Vec<QueuedTask>, TaskError> {
        let input = UsernameInput::parse(input).map_err(|_| TaskError::Permanent("invalid username".to_owned()))?;
        let mut emails = self.links_for_users(&input, locale).await?;
        if emails.is_none()
            && let Some(to) = address::parse_plain(input.raw())
        {
            emails = Some(vec![messages::no_account(&self.config, to.as_ref(), locale)]);
        }
        Ok(self.within_limits(emails.unwrap_or_default(), requester))
    }

    /// Returns `None` if no user matches the input.
    pub(super) async fn links_for_users(
        &self,
        input: &UsernameInput,
        locale: Locale,
    ) -> Result<Option<Vec<Email>>, TaskError> {
        let mut addresses = self.directory.emails_by_username(input.username().map_or("", Username::as_str)).await?;
        addresses.push(input.raw().to_lowercase());
        addresses.sort();
        addresses.dedup();
        let billers = self.directory.billers().await?;
        let mut emails = Vec::new();
        for address in addresses.iter().take(MAX_ADDRESSES) {
            let Some((to, pages)) = self.pages_for_email(&billers, address).await? else { continue };
            emails.push(messages::sign_in_links(&self.config, &to, &pages, locale));
        }
        Ok((!emails.is_empty()).then_some(emails))
    }

    /// Where the users of a mail address sign in, and the address as the directory spells it.
    async fn pages_for_email(
        &self,
        billers: &Billers,
        address: &str,
    ) -> Result<Option<(String, Vec<SignInPage>)>, TaskError> {
        let mut to = None;
        let mut pages: BTreeMap<_, SignInPage> = BTreeMap::new();
        for account in self.directory.contacts_by_email(address).await? {
            let Some(biller) = billers.by_id(&account.biller) else { continue };
            to.get_or_insert(account.email);
            let page = pages.entry((biller.name.clone(), biller.slug.to_string())).or_insert_with(|| SignInPage {
                biller: biller.name.clone(),
                url: biller_login_url(&self.config, biller),
                usernames: Vec::new(),
            });
            page.usernames.push(account.username);
        }
        Ok(to.map(|to| (to, pages.into_values().collect())))
    }

    /// Drops mails whose address has reached its hourly limit.
    pub(super) fn within_limits(&self, emails: Vec<Email>, requester: Requester) -> Vec<QueuedTask> {
        let allowed = emails.into_iter().filter(|email| {
            let allowed = self.limits.allow_mail_to(&email.to, requester);
            if !allowed {
                tracing::info!("a mail is skipped: the address has reached its hourly limit");
            }
            allowed
        });
        allowed.map(QueuedTask::Email).collect()
    }
}
