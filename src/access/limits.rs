//! Rate limits of lookups, emails and simulations. Throttling does not reveal whether a username exists, and all spellings of a
//! username share one limit.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};

use crate::config;
use signpost_core::text::hash64;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    Address(IpAddr),
    /// A connection of a proxy that does not say for whom. Its requests never count against other customers.
    Connection(SocketAddr),
    /// The same at a Unix socket, by number.
    UnixConnection(u64),
}

impl Client {
    /// An IPv6 client owns at least a /64, so the limit applies to the /64.
    pub(super) fn network(self) -> Self {
        match self {
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V6(v6) => Self::Address(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
                v4 @ IpAddr::V4(_) => Self::Address(v4),
            },
            Self::Connection(_) | Self::UnixConnection(_) => self,
        }
    }

    fn is_loopback(self) -> bool {
        matches!(self, Self::Address(address) if address.to_canonical().is_loopback())
    }
}

/// Who asks for an email about a username.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requester {
    /// A device or network that signed in with the username before.
    Known,
    #[default]
    Stranger,
}

/// A request over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The limit allows the request after this time.
    pub retry_after: Duration,
}

/// Which limit refuses a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupRefusal {
    Network(Throttled),
    /// Of the username in this network: it does not apply if a user signed in with it from there before.
    Username(Throttled),
}

type Limiter<K> = DefaultKeyedRateLimiter<K>;

pub struct RateLimits {
    by_network: Limiter<Client>,
    by_username: Limiter<(Client, u64)>,
    mail_by_client: Limiter<Client>,
    mail_by_address: Limiter<(Requester, u64)>,
    simulations: Limiter<u64>,
    simulations_by_day: Limiter<u64>,
    decision_lookups: Limiter<u64>,
    exempt_loopback: bool,
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RateLimits")
    }
}

impl RateLimits {
    pub fn new(config: &config::Limits, mail: &config::Mail) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            by_network: RateLimiter::keyed(Quota::per_minute(at_least_one(config.lookups_per_address_per_minute))),
            by_username: RateLimiter::keyed(Quota::per_hour(at_least_one(config.lookups_per_username_per_hour))),
            mail_by_client: RateLimiter::keyed(Quota::per_hour(at_least_one(mail.per_client_per_hour))),
            mail_by_address: RateLimiter::keyed(Quota::per_hour(at_least_one(mail.per_address_per_hour))),
            simulations: RateLimiter::keyed(Quota::per_minute(at_least_one(config.simulations_per_minute))),
            simulations_by_day: RateLimiter::keyed(per_day(at_least_one(config.simulations_per_day))),
            decision_lookups: RateLimiter::keyed(Quota::per_minute(at_least_one(config.decision_lookups_per_minute))),
            exempt_loopback: config.exempt_loopback,
        }
    }

    /// Counts a lookup of this username by this client. The limit of a username applies to each network, so that no stranger can
    /// lock a customer out, and not to devices and networks that signed in with the username before.
    pub fn check_lookup(&self, client: Client, name: &str, has_signed_in: bool) -> Result<(), LookupRefusal> {
        if self.exempt_loopback && client.is_loopback() {
            return Ok(());
        }
        let network = client.network();
        check(&self.by_network, &network).map_err(LookupRefusal::Network)?;
        if has_signed_in {
            return Ok(());
        }
        check(&self.by_username, &(network, hash64(name.as_bytes()))).map_err(LookupRefusal::Username)
    }

    /// Counts a request for an email or a password reset to any recipient.
    pub fn check_mail_request(&self, client: Client) -> Result<(), Throttled> {
        if self.exempt_loopback && client.is_loopback() {
            return Ok(());
        }
        check(&self.mail_by_client, &client.network())
    }

    /// Counts an email to this address. Strangers share one limit, so that they can neither flood a mailbox nor use up what its
    /// owner may ask for.
    pub fn allow_mail_to(&self, address: &str, requester: Requester) -> bool {
        self.mail_by_address.check_key(&(requester, hash64(address.to_lowercase().as_bytes()))).is_ok()
    }

    /// Counts a simulation. The limit matters because simulations reveal which usernames exist.
    pub fn check_simulation(&self, who: &str) -> Result<(), Throttled> {
        let who = hash64(who.as_bytes());
        check(&self.simulations, &who)?;
        check(&self.simulations_by_day, &who)
    }

    pub fn check_decision_lookup(&self, who: &str) -> Result<(), Throttled> {
        check(&self.decision_lookups, &hash64(who.as_bytes()))
    }

    /// Drops the counters of idle clients and usernames, so that memory stays bounded.
    pub fn evict_idle(&self) {
        self.by_network.retain_recent();
        self.by_username.retain_recent();
        self.mail_by_client.retain_recent();
        self.mail_by_address.retain_recent();
        self.simulations.retain_recent();
        self.simulations_by_day.retain_recent();
        self.decision_lookups.retain_recent();
    }
}

/// Counts one request against a limit.
pub(super) fn check<K: Clone + Eq + std::hash::Hash>(limiter: &Limiter<K>, key: &K) -> Result<(), Throttled> {
    let now = limiter.clock().now();
    limiter.check_key(key).map_err(|not_until| Throttled { retry_after: not_until.wait_time_from(now) })
}

/// `count` at once, refilled within a day.
pub(super) fn per_day(count: NonZeroU32) -> Quota {
    Quota::with_period(DAY / count.get()).unwrap_or(Quota::per_hour(count)).allow_burst(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_network: u32) -> RateLimits {
        let look_ups = config::Limits {
            lookups_per_address_per_minute: per_network,
            lookups_per_username_per_hour: 2,
            exempt_loopback: true,
            ..config::Limits::default()
        };
        let mail = config::Mail { per_address_per_hour: 2, per_client_per_hour: 3, ..config::Mail::default() };
        RateLimits::new(&look_ups, &mail)
    }

    #[test]
    fn lookups_are_limited_per_network_and_per_network_and_username() {
        let limits = limits(3);
        let client = |n: u16| Client::Address(IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0, 0, n)));
        let allowed = |client, name: &str| limits.check_lookup(client, name, false).is_ok();
        assert!((0..3).all(|n| allowed(client(n), &format!("name{n}"))), "three from one network");
        assert!(!allowed(client(4), "name4"), "the fourth, from another address of that network");
        let limits = self::limits(100);
        let allowed = |client, name: &str| limits.check_lookup(client, name, false).is_ok();
        let elsewhere = |n: u16| Client::Address(IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, 100 + n, 0, 0, 0, 1)));
        assert!((0..2).all(|_| allowed(elsewhere(1), "same")));
        let LookupRefusal::Username(refused) = limits.check_lookup(elsewhere(1), "same", false).unwrap_err() else {
            panic!("the limit of the username");
        };
        assert!(
            (Duration::from_secs(1700)..=Duration::from_secs(1800)).contains(&refused.retry_after),
            "two in an hour: {refused:?}"
        );
        assert!(allowed(elsewhere(2), "same"), "no stranger locks the username out elsewhere");
        assert!(limits.check_lookup(elsewhere(1), "same", true).is_ok(), "a device or network that signed in before");
        assert!(
            (0..20).all(|_| allowed(Client::Address(IpAddr::from([127, 0, 0, 1])), "same")),
            "this machine is exempt"
        );
        let home = elsewhere(7);
        assert!((0..2).all(|_| allowed(home, "mine")) && !allowed(home, "mine"));
        let connection = |port| Client::Connection(SocketAddr::from(([10, 0, 0, 1], port)));
        assert!((0..9).all(|port| allowed(connection(port), "any")), "no shared limit for a proxy that says nothing");
    }

    #[test]
    fn simulations_are_limited_per_minute_and_per_day() {
        let allowed = |per_minute, per_day| {
            let settings = config::Limits {
                simulations_per_minute: per_minute,
                simulations_per_day: per_day,
                ..config::Limits::default()
            };
            let limits = RateLimits::new(&settings, &config::Mail::default());
            let count = (0..20).filter(|_| limits.check_simulation("key").is_ok()).count();
            assert!(limits.check_simulation("another key").is_ok());
            count
        };
        assert_eq!((allowed(3, 300), allowed(60, 5)), (3, 5));
    }

    #[test]
    fn mails_are_limited_per_client_and_per_recipient() {
        let limits = limits(3);
        let client = Client::Address(IpAddr::from([203, 0, 113, 9]));
        assert!((0..3).all(|_| limits.check_mail_request(client).is_ok()));
        assert!(limits.check_mail_request(client).is_err(), "the fourth in an hour");
        assert!(limits.check_mail_request(Client::Address(IpAddr::from([203, 0, 113, 10]))).is_ok());
        let allowed = |address, requester| limits.allow_mail_to(address, requester);
        let stranger = Requester::Stranger;
        assert!(allowed("ana@mail.example", stranger) && allowed("ANA@mail.example", stranger));
        assert!(!allowed("Ana@Mail.example", stranger), "another spelling of it");
        assert!(allowed("ana@mail.example", Requester::Known), "strangers do not use up the owner's limit");
    }
}
