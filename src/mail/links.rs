//! "Email me my username and sign-in links": who has this address or username, and where they sign in.

use std::collections::BTreeMap;

use super::letters::{self, Place};
use super::work::Trouble;
use super::{Errand, Letter, Mail, address};
use crate::directory::Billers;
use crate::routing::stable_address;
use signpost_core::{Locale, TypedName, Username};

/// Addresses that one username leads to, at most: the same name may be several people.
const MOST_PEOPLE: usize = 5;

impl Mail {
    /// One mail to each address that belongs to what was typed; an address that nobody has gets a polite note.
    pub(super) async fn links(&self, typed: &str, locale: Locale) -> Result<Vec<Errand>, Trouble> {
        let typed = TypedName::parse(typed).map_err(|_| Trouble::Never("not a name".to_owned()))?;
        let mut letters = self.links_to_people(&typed, locale).await?;
        if letters.is_none()
            && let Some(to) = address::plain(typed.typed())
        {
            letters = Some(vec![letters::no_account(&self.config, to.as_ref(), locale)]);
        }
        Ok(self.within_limits(letters.unwrap_or_default()))
    }

    /// None when nobody is known by what was typed.
    pub(super) async fn links_to_people(
        &self,
        typed: &TypedName,
        locale: Locale,
    ) -> Result<Option<Vec<Letter>>, Trouble> {
        let mut addresses = self.directory.addresses_of(typed.username().map_or("", Username::as_str)).await?;
        addresses.push(typed.typed().to_lowercase());
        addresses.sort();
        addresses.dedup();
        let billers = self.directory.billers().await?;
        let mut letters = Vec::new();
        for address in addresses.iter().take(MOST_PEOPLE) {
            let Some((to, places)) = self.places(&billers, address).await? else { continue };
            letters.push(letters::links(&self.config, &to, &places, locale));
        }
        Ok((!letters.is_empty()).then_some(letters))
    }

    /// Where the people with a mail address sign in, and by which usernames; with the address as it was given to us.
    async fn places(&self, billers: &Billers, address: &str) -> Result<Option<(String, Vec<Place>)>, Trouble> {
        let mut to = None;
        let mut places: BTreeMap<_, Place> = BTreeMap::new();
        for account in self.directory.accounts_of(address).await? {
            let Some(biller) = billers.by_id(&account.biller) else { continue };
            to.get_or_insert(account.email);
            let place = places.entry((biller.name.clone(), biller.slug.to_string())).or_insert_with(|| Place {
                biller: biller.name.clone(),
                address: stable_address(&self.config, biller),
                usernames: Vec::new(),
            });
            place.usernames.push(account.username);
        }
        Ok(to.map(|to| (to, places.into_values().collect())))
    }

    /// Only those whose address has not had its share of this hour.
    pub(super) fn within_limits(&self, letters: Vec<Letter>) -> Vec<Errand> {
        let allowed = letters.into_iter().filter(|letter| {
            let allowed = self.limits.allow_mail_to(&letter.to);
            if !allowed {
                tracing::info!("a mail is left out: its address has had its share of this hour");
            }
            allowed
        });
        allowed.map(Errand::Letter).collect()
    }
}
