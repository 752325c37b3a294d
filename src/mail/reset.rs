//! A forgotten password: where it lives is for the decision to say, and whoever keeps it sends the mail.
//!
//! Legacy passwords need nothing here: the page itself leads everybody to the legacy reset.

use super::letters;
use super::work::Trouble;
use super::{Errand, Mail};
use crate::audit::{self, Score};
use crate::directory::{Account, Biller, DirectoryError};
use crate::routing::{Arrival, Overrides, Routed, stable_address};
use signpost_core::decision::{Directory as DirectoryFacts, Entry, Membership, Via};
use signpost_core::{Locale, Slug, TypedName, Username};

/// What a decision means for a password.
enum Plan<'r> {
    /// Nothing that we could do: unknown, legacy, or signing in is paused.
    Nothing,
    /// It is the identity provider of this biller that keeps it.
    At(&'r Slug),
    /// Only the person can say which biller is meant.
    AskWhich,
    /// Nobody can say now.
    Unknown,
}

impl Mail {
    pub(super) async fn reset(&self, typed: &str, slug: Option<&Slug>, locale: Locale) -> Result<Vec<Errand>, Trouble> {
        let typed = TypedName::parse(typed).map_err(|_| Trouble::Never("not a name".to_owned()))?;
        let entry = slug.map_or(Entry::Shared, |slug| Entry::Named { slug: slug.clone(), via: Via::VanityPath });
        let arrival = Arrival { entry, name: Some(typed.clone()), remembered: Vec::new() };
        let routed = self.routing.simulate(&arrival, &Overrides::default()).await;
        match plan(&routed) {
            Plan::Nothing => Ok(Vec::new()),
            Plan::Unknown => Err(Trouble::Later("the directory cannot be read".to_owned())),
            Plan::AskWhich => {
                let letters = self.links_to_people(&typed, locale).await?;
                Ok(self.within_limits(letters.unwrap_or_default()))
            }
            Plan::At(slug) => {
                let biller = routed.billers.by_slug(slug);
                let (Some(biller), Some(username)) = (biller, typed.username()) else { return Ok(Vec::new()) };
                self.reset_at(biller, username, locale).await
            }
        }
    }

    async fn reset_at(&self, biller: &Biller, username: &Username, locale: Locale) -> Result<Vec<Errand>, Trouble> {
        let account = self.directory.account_at(&biller.id, username).await?;
        let Some(account) = account.filter(|account| !account.email.is_empty()) else {
            tracing::info!(biller = %biller.slug, "a reset was asked for somebody without a mail address");
            return Ok(Vec::new());
        };
        if !self.enablement.resets_passwords(biller).await.map_err(DirectoryError::from)? {
            // By SSO, or at a provider that we cannot ask: its own page is where a password is changed.
            let address = stable_address(&self.config, biller);
            let letter = letters::elsewhere(&self.config, &account.email, &biller.name, &address, locale);
            return Ok(self.within_limits(vec![letter]));
        }
        if !self.limits.allow_mail_to(&account.email) {
            tracing::info!("a reset is left out: its address has had its share of this hour");
            return Ok(Vec::new());
        }
        Ok(vec![Errand::SecureauthReset(account)])
    }

    pub(super) async fn secureauth_reset(&self, account: &Account) -> Result<(), Trouble> {
        let billers = self.directory.billers().await?;
        let gone = || Trouble::Never("the biller is gone".to_owned());
        let biller = billers.by_id(&account.biller).ok_or_else(gone)?;
        self.enablement.request_reset_for(biller, account).await?;
        audit::score(&self.queue.db, &biller.slug, Score::Reset, self.clock.now()).await;
        Ok(())
    }
}

/// Row 0 pauses signing in or sends it elsewhere. Else it is the moved billers of the person that count, those of the named
/// biller where the address names one; with several of them nothing is reset until the person has chosen.
fn plan(routed: &Routed) -> Plan<'_> {
    let facts = &routed.facts;
    if facts.directory == DirectoryFacts::Unavailable {
        return Plan::Unknown;
    }
    if routed.verdict.row == 0 {
        return Plan::Nothing;
    }
    let moved: Vec<&Membership> = facts.memberships().iter().filter(|m| m.is_ciam(facts.now)).collect();
    match moved.as_slice() {
        [] => Plan::Nothing,
        [only] => Plan::At(&only.biller.slug),
        _ => Plan::AskWhich,
    }
}
