//! Password resets. The routing decision says where the password is kept; the identity provider there sends the mail.
//!
//! Legacy passwords need nothing here: the reset page sends every user to the legacy reset.

use super::{Mail, QueuedTask, TaskError, messages};
use crate::access::Requester;
use crate::audit::{self, Metric};
use crate::directory::{Biller, DirectoryError, UserContact};
use crate::routing::{Overrides, RoutingRequest, RoutingResult, biller_login_url};
use signpost_core::decision::{Directory as DirectoryFacts, EntryPoint, Membership, Via};
use signpost_core::{Locale, Slug, Username, UsernameInput};

/// What a routing decision means for a reset.
enum ResetPlan<'r> {
    /// The user is unknown or legacy, or sign-in is paused.
    Nothing,
    /// This biller's identity provider keeps the password.
    AtBiller(&'r Slug),
    /// The user has several active billers and must choose one.
    Ambiguous,
    /// The directory is unavailable.
    Unknown,
}

impl Mail {
    pub(super) async fn reset_password(
        &self,
        input: &str,
        slug: Option<&Slug>,
        requester: Requester,
        locale: Locale,
    ) -> Result<Vec<QueuedTask>, TaskError> {
        let input = UsernameInput::parse(input).map_err(|_| TaskError::Permanent("invalid username".to_owned()))?;
        let entry =
            slug.map_or(EntryPoint::Shared, |slug| EntryPoint::Named { slug: slug.clone(), via: Via::VanityPath });
        let routing_request = RoutingRequest { entry, name: Some(input.clone()), remembered: Vec::new() };
        let routing_result = self.routing.route_with_overrides(&routing_request, &Overrides::default()).await;
        match plan(&routing_result) {
            ResetPlan::Nothing => Ok(Vec::new()),
            ResetPlan::Unknown => Err(TaskError::Retry("the directory cannot be read".to_owned())),
            ResetPlan::Ambiguous => {
                let emails = self.links_for_users(&input, locale).await?;
                Ok(self.within_limits(emails.unwrap_or_default(), requester))
            }
            ResetPlan::AtBiller(slug) => {
                let biller = routing_result.billers.by_slug(slug);
                let (Some(biller), Some(username)) = (biller, input.username()) else { return Ok(Vec::new()) };
                self.reset_at(biller, username, requester, locale).await
            }
        }
    }

    async fn reset_at(
        &self,
        biller: &Biller,
        username: &Username,
        requester: Requester,
        locale: Locale,
    ) -> Result<Vec<QueuedTask>, TaskError> {
        let account = self.directory.contact_at(&biller.id, username).await?;
        let Some(account) = account.filter(|account| !account.email.is_empty()) else {
            tracing::info!(biller = %biller.slug, "a reset is skipped: the user has no mail address");
            return Ok(Vec::new());
        };
        if !self.provisioning.can_reset_passwords(biller).await.map_err(DirectoryError::from)? {
            // The biller signs in by SSO, or Signpost has no access to its provider: users reset the password there.
            let address = biller_login_url(&self.config, biller);
            let email = messages::reset_elsewhere(&self.config, &account.email, &biller.name, &address, locale);
            return Ok(self.within_limits(vec![email], requester));
        }
        if !self.limits.allow_mail_to(&account.email, requester) {
            tracing::info!("a reset is skipped: the address has reached its hourly limit");
            return Ok(Vec::new());
        }
        Ok(vec![QueuedTask::SecureauthReset(account)])
    }

    pub(super) async fn secureauth_reset(&self, account: &UserContact) -> Result<(), TaskError> {
        let billers = self.directory.billers().await?;
        let gone = || TaskError::Permanent("the biller does not exist".to_owned());
        let biller = billers.by_id(&account.biller).ok_or_else(gone)?;
        self.provisioning.request_reset_for(biller, account).await?;
        audit::increment(&self.queue.db, &biller.slug, Metric::PasswordReset, self.clock.now()).await;
        Ok(())
    }
}

/// Row 0 pauses sign-in or sends it elsewhere. Otherwise the user's active billers decide, or those of the biller that the
/// entry point names. With several of them, nothing is reset until the user has chosen.
fn plan(routing_result: &RoutingResult) -> ResetPlan<'_> {
    let facts = &routing_result.facts;
    if facts.directory == DirectoryFacts::Unavailable {
        return ResetPlan::Unknown;
    }
    if routing_result.verdict.row == 0 {
        return ResetPlan::Nothing;
    }
    let active: Vec<&Membership> = facts.memberships().iter().filter(|m| m.is_ciam(facts.now)).collect();
    match active.as_slice() {
        [] => ResetPlan::Nothing,
        [only] => ResetPlan::AtBiller(&only.biller.slug),
        _ => ResetPlan::Ambiguous,
    }
}
