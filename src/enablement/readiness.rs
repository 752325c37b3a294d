//! Whether a biller is ready to sign its people in by itself: a card with a line for each thing, and what to do about it.
//! Activation looks at it and holds itself while a line is red.

use std::time::Duration;

use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::ledger::{Job, Stop};
use super::things::Ids;
use super::{EnableError, Enablement, users};
use crate::db::{Db, DbError};
use crate::directory::{Biller, OidcSettings};
use crate::secureauth::{HttpError, ProviderError, Registration};
use crate::values;
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Slug};

const WITHOUT_MAIL: &str = "SELECT count(*) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted' AND u.email = ''";

/// A certificate that ends sooner is worth a word.
const RENEW_WITHIN: Duration = Duration::from_secs(14 * 24 * 3600);
/// No name takes longer to be looked up.
const LOOK_UP: Duration = Duration::from_secs(5);

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Well.
    Green,
    /// People can sign in; somebody should look at it.
    Amber,
    /// People could not sign in, or would be led astray.
    Red,
}

impl Level {
    /// The level as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// `issuer`, `keys`, `redirect_uri`, `users`, `users_without_mail`, `contrast` or `vanity_host`.
    pub name: &'static str,
    /// How it stands.
    pub level: Level,
    /// How it is, and what to do about it, in one sentence.
    pub advice: String,
}

/// A biller's card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// The biller.
    pub biller: Slug,
    /// The worst of its lines.
    pub level: Level,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Enablement {
    /// Looks at everything that a biller's people need for signing in.
    ///
    /// # Errors
    /// The database failed.
    pub async fn readiness(&self, biller: &Biller) -> Result<Readiness, DbError> {
        self.card(biller, None).await
    }

    async fn card(&self, biller: &Biller, job: Option<&Job>) -> Result<Readiness, DbError> {
        let redirect_uri = self.public_url.join(&format!("/callback/{}", biller.slug));
        let registration = redirect_uri.ok().and_then(|uri| biller.registration(&self.keys, uri));
        let mut lines = match registration {
            Some(registration) => self.provider_lines(biller, &registration).await,
            None if biller.state == CiamState::Legacy && biller.settings.oidc.is_none() => {
                let advice = format!("It has no sign-in of its own yet: `signpost enable {}` makes one.", biller.slug);
                vec![line("issuer", Level::Amber, advice)]
            }
            None => vec![line("issuer", Level::Red, advice("no_registration").to_owned())],
        };
        lines.push(self.users_line(biller, job).await?);
        lines.push(without_mail_line(&self.db, &biller.id).await?);
        lines.push(contrast_line(biller));
        if biller.hosts.is_empty() {
            let advice = "It has no host of its own, and needs none: people keep its path on ours.".to_owned();
            lines.push(line("vanity_host", Level::Green, advice));
        }
        for host in &biller.hosts {
            lines.push(self.host_line(&biller.slug, host).await);
        }
        let level = lines.iter().map(|line| line.level).max().unwrap_or(Level::Green);
        Ok(Readiness { biller: biller.slug.clone(), level, lines })
    }

    /// Holds a job before its last step while the biller, as it would be, is not ready. The job goes on later and looks again.
    pub(super) async fn hold_unless_ready(&self, job: &Job, biller: &Biller, oidc: &OidcSettings) -> Result<(), Stop> {
        let mut candidate = biller.clone();
        candidate.settings.oidc = Some(oidc.clone());
        let lines = self.card(&candidate, Some(job)).await?.lines;
        let red: Vec<&str> = lines.iter().filter(|l| l.level == Level::Red).map(|l| l.advice.as_str()).collect();
        if red.is_empty() {
            return Ok(());
        }
        let message = format!("Not activated yet. {}", red.join(" "));
        self.users_done(job, (&job.users_after, job.done), &message).await?;
        Err(Stop::Later(EnableError::NotReady(message)))
    }

    async fn provider_lines(&self, biller: &Biller, registration: &Registration) -> Vec<Line> {
        if let Err(error) = self.providers.probe_discovery(registration).await {
            return vec![failed("issuer", &registration.issuer, &error)];
        }
        let mut lines = vec![line("issuer", Level::Green, format!("{} answers.", registration.issuer))];
        if let Err(error) = self.providers.probe(registration).await {
            lines.push(failed("keys", "The issuer's keys", &error));
            return lines;
        }
        lines.push(line("keys", Level::Green, "The issuer's keys are there and can be used.".to_owned()));
        let uri = &registration.redirect_uri;
        lines.push(match self.providers.takes_redirect_uri(registration).await {
            Ok(Some(true)) => line("redirect_uri", Level::Green, format!("The issuer takes {uri}.")),
            // A deactivated organization refuses everything.
            Ok(Some(false)) if biller.state == CiamState::Suspended => {
                let advice =
                    format!("It is switched off, and so nobody signs in there: `signpost resume {}`.", biller.slug);
                line("redirect_uri", Level::Amber, advice)
            }
            Ok(Some(false)) => {
                let advice =
                    format!("The issuer refuses {uri}: register it there for the client {}.", registration.client_id);
                line("redirect_uri", Level::Red, advice)
            }
            Ok(None) => {
                let advice = format!("The issuer does not tell whether it takes {uri}: try a sign-in.");
                line("redirect_uri", Level::Amber, advice)
            }
            Err(error) => failed("redirect_uri", "The issuer's answer to a sign-in", &error),
        });
        lines
    }

    /// As many users at SecureAuth as here, where they are kept there by us.
    async fn users_line(&self, biller: &Biller, job: Option<&Job>) -> Result<Line, DbError> {
        let home = match job {
            Some(job) => Some(Ids::of(&biller.slug, job).pool),
            None => self.home(&biller.id).await?.map(|home| home.pool),
        };
        let (Some(management), Some(pool)) = (self.management.as_ref(), home) else {
            let advice = "Its users are not kept at SecureAuth by Signpost: there is nothing to compare.".to_owned();
            return Ok(line("users", Level::Green, advice));
        };
        let here = users::count(&self.db, &biller.id).await?;
        Ok(match management.pool(&pool).await.map(|pool| pool.map(|pool| pool.number_of_users)) {
            Ok(Some(Some(there))) if there == here => {
                line("users", Level::Green, format!("{here} user(s) here and at SecureAuth."))
            }
            Ok(Some(Some(there))) => {
                let advice = format!(
                    "{here} user(s) here, but {there} at SecureAuth: `signpost sync {}` brings the pool {pool} in line.",
                    biller.slug
                );
                line("users", Level::Red, advice)
            }
            Ok(Some(None)) => {
                line("users", Level::Amber, "SecureAuth does not tell how many users it has: look there.".to_owned())
            }
            Ok(None) => line("users", Level::Red, format!("The pool {pool} is gone: enable the biller anew.")),
            Err(error) => line("users", Level::Amber, format!("The users cannot be compared now: {error}; try again.")),
        })
    }

    async fn host_line(&self, slug: &Slug, host: &str) -> Line {
        let (level, advice) = self.look_at_host(slug, host).await;
        line("vanity_host", level, format!("{host} {advice}"))
    }

    async fn look_at_host(&self, slug: &Slug, host: &str) -> (Level, String) {
        let name = host.split(':').next().unwrap_or(host);
        // Names under localhost are this machine's without being asked for (RFC 6761, section 6.3).
        if !name.ends_with(".localhost") {
            let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((name, 443))).await;
            if !found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some())) {
                let path = self.public_url.join(&format!("/b/{slug}")).map_or_else(|_| String::new(), String::from);
                let advice = format!("is not in the DNS yet: point it at this service. Until then only {path} works.");
                return (Level::Amber, advice);
            }
        }
        if self.public_url.scheme() != "https" {
            return (Level::Amber, "is not looked at by TLS while server.public_url is not https.".to_owned());
        }
        let Ok(url) = Url::parse(&format!("https://{host}/")) else { return (Level::Red, "is no host.".to_owned()) };
        match self.providers.http().certificate_end(&url).await {
            Ok(Some(end)) if end <= self.clock.now().plus(RENEW_WITHIN) => {
                (Level::Amber, format!("has a certificate that ends on {end}: renew it."))
            }
            Ok(Some(end)) => (Level::Green, format!("has a certificate until {end}.")),
            Ok(None) => (Level::Amber, "has a certificate that cannot be read: look at it.".to_owned()),
            Err(HttpError::Refused("private_address")) => {
                (Level::Amber, "is inside a private network, seen from here: look at it from outside.".to_owned())
            }
            Err(error) => {
                (Level::Red, format!("cannot be reached by TLS: {error}; mend its certificate or its proxy."))
            }
        }
    }
}

async fn without_mail_line(db: &Db, biller: &BillerId) -> Result<Line, DbError> {
    let count = db.one(WITHOUT_MAIL, values![biller.as_str()]).await?.map_or(Ok(0), |row| row.int(0))?;
    Ok(if count == 0 {
        line("users_without_mail", Level::Green, "Every user has a mail address.".to_owned())
    } else {
        let advice = format!("{count} user(s) have no mail address and cannot reset a password by themselves: add it.");
        line("users_without_mail", Level::Amber, advice)
    })
}

/// Colours are checked when they are saved; here as the pages are now.
fn contrast_line(biller: &Biller) -> Line {
    let Some(colours) = biller.settings.branding.colours else {
        return line(
            "contrast",
            Level::Green,
            "It has no colours of its own: its pages are in the usual ones.".to_owned(),
        );
    };
    let problems = colours.problems();
    if problems.is_empty() {
        let (light, dark) = colours.least_contrast();
        let advice = format!(
            "Its colours can be read: text has at least {light:.1}:1 on light pages, {dark:.1}:1 on dark ones."
        );
        return line("contrast", Level::Green, advice);
    }
    let problems: Vec<String> = problems.into_iter().map(|(field, text)| format!("{field}: {text}.")).collect();
    line("contrast", Level::Amber, problems.join(" "))
}

fn line(name: &'static str, level: Level, advice: String) -> Line {
    Line { name, level, advice }
}

fn failed(name: &'static str, what: &str, error: &ProviderError) -> Line {
    line(name, Level::Red, format!("{what} cannot be used ({}). {}", error.reason(), advice(error.reason())))
}

/// What to do about trouble with a provider, by its reason.
pub fn advice(reason: &str) -> &'static str {
    match reason {
        "server_error" => "It answers with an error of its own: tell its operators, if it lasts.",
        "connect" | "timeout" => "Check that the issuer's address is right and can be reached from here.",
        "discovery_issuer_mismatch" => "Write the issuer exactly as its discovery document does.",
        "discovery_foreign_endpoint" => "Name the host of its endpoints in oidc.extra_hosts, if it is theirs.",
        "discovery_algorithms" => "Set oidc.id_token_algs to what the provider signs with.",
        "private_address" => "The issuer's address is inside a private network, which is refused.",
        "no_registration" => {
            "Import the biller again: it has no registration, or its secret was sealed under a key that is gone."
        }
        "weak_key" | "private_key_published" => "The provider's keys are not safe; tell its operators.",
        "invalid_client" => "Import the biller again with the client id and secret that the provider knows.",
        _ => "Look at what its discovery address answers.",
    }
}
