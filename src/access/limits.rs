//! Rate limits of lookups, emails and simulations. Throttling does not reveal whether a username exists, and all spellings of a
//! username share one limit.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config;
use signpost_core::text::hash64;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub struct RateLimits {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_username: DefaultKeyedRateLimiter<u64>,
    mail_by_client: DefaultKeyedRateLimiter<IpAddr>,
    mail_by_address: DefaultKeyedRateLimiter<u64>,
    simulations: DefaultKeyedRateLimiter<u64>,
    simulations_by_day: DefaultKeyedRateLimiter<u64>,
    decision_lookups: DefaultKeyedRateLimiter<u64>,
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
            by_address: RateLimiter::keyed(Quota::per_minute(at_least_one(config.lookups_per_address_per_minute))),
            by_username: RateLimiter::keyed(Quota::per_hour(at_least_one(config.lookups_per_username_per_hour))),
            mail_by_client: RateLimiter::keyed(Quota::per_hour(at_least_one(mail.per_client_per_hour))),
            mail_by_address: RateLimiter::keyed(Quota::per_hour(at_least_one(mail.per_address_per_hour))),
            simulations: RateLimiter::keyed(Quota::per_minute(at_least_one(config.simulations_per_minute))),
            simulations_by_day: RateLimiter::keyed(per_day(at_least_one(config.simulations_per_day))),
            decision_lookups: RateLimiter::keyed(Quota::per_minute(at_least_one(config.decision_lookups_per_minute))),
            exempt_loopback: config.exempt_loopback,
        }
    }

    /// Counts a lookup of this username by this client. Throttled clients do not count against the username, so that one client
    /// cannot lock a username out.
    pub fn allow_lookup(&self, client: IpAddr, name: &str) -> bool {
        let client = client.to_canonical();
        if self.exempt_loopback && client.is_loopback() {
            return true;
        }
        self.by_address.check_key(&network(client)).is_ok()
            && self.by_username.check_key(&hash64(name.as_bytes())).is_ok()
    }

    /// Counts a request for an email or a password reset to any recipient.
    pub fn allow_mail_request(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        (self.exempt_loopback && client.is_loopback()) || self.mail_by_client.check_key(&network(client)).is_ok()
    }

    /// Counts an email to this address, from any client.
    pub fn allow_mail_to(&self, address: &str) -> bool {
        self.mail_by_address.check_key(&hash64(address.to_lowercase().as_bytes())).is_ok()
    }

    /// Counts a simulation. The limit matters because simulations reveal which usernames exist.
    pub fn allow_simulation(&self, who: &str) -> bool {
        let who = hash64(who.as_bytes());
        self.simulations.check_key(&who).is_ok() && self.simulations_by_day.check_key(&who).is_ok()
    }

    pub fn allow_decision_lookup(&self, who: &str) -> bool {
        self.decision_lookups.check_key(&hash64(who.as_bytes())).is_ok()
    }

    /// Drops the counters of idle clients and usernames, so that memory stays bounded.
    pub fn evict_idle(&self) {
        self.by_address.retain_recent();
        self.by_username.retain_recent();
        self.mail_by_client.retain_recent();
        self.mail_by_address.retain_recent();
        self.simulations.retain_recent();
        self.simulations_by_day.retain_recent();
        self.decision_lookups.retain_recent();
    }
}

/// `count` at once, refilled within a day.
pub(super) fn per_day(count: NonZeroU32) -> Quota {
    Quota::with_period(DAY / count.get()).unwrap_or(Quota::per_hour(count)).allow_burst(count)
}

/// An IPv6 client owns at least a /64, so the limit applies to the /64.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RateLimits {
        let look_ups = config::Limits {
            lookups_per_address_per_minute: 3,
            lookups_per_username_per_hour: 2,
            exempt_loopback: true,
            ..config::Limits::default()
        };
        let mail = config::Mail { per_address_per_hour: 2, per_client_per_hour: 3, ..config::Mail::default() };
        RateLimits::new(&look_ups, &mail)
    }

    #[test]
    fn lookups_are_limited_per_network_and_per_username() {
        let limits = limits();
        let client = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0, 0, n));
        assert!((0..3).all(|n| limits.allow_lookup(client(n), &format!("name{n}"))), "three from one network");
        assert!(!limits.allow_lookup(client(4), "name4"), "the fourth, from another address of that network");
        let elsewhere = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, 100 + n, 0, 0, 0, 1));
        assert!((0..2).all(|n| limits.allow_lookup(elsewhere(n), "same")));
        assert!(!limits.allow_lookup(elsewhere(3), "same"), "one name from many networks");
        let refused = client(9);
        assert!((0..20).all(|_| !limits.allow_lookup(refused, "victim")));
        assert!(limits.allow_lookup(elsewhere(50), "victim"), "a throttled client cannot lock a username out");
        assert!((0..20).all(|_| limits.allow_lookup(IpAddr::from([127, 0, 0, 1]), "same")), "this machine is exempt");
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
            let count = (0..20).filter(|_| limits.allow_simulation("key")).count();
            assert!(limits.allow_simulation("another key"));
            count
        };
        assert_eq!((allowed(3, 300), allowed(60, 5)), (3, 5));
    }

    #[test]
    fn mails_are_limited_per_client_and_per_recipient() {
        let limits = limits();
        let client = IpAddr::from([203, 0, 113, 9]);
        assert!((0..3).all(|_| limits.allow_mail_request(client)));
        assert!(!limits.allow_mail_request(client), "the fourth in an hour");
        assert!(limits.allow_mail_request(IpAddr::from([203, 0, 113, 10])));
        assert!(limits.allow_mail_to("ana@mail.example") && limits.allow_mail_to("ANA@mail.example"));
        assert!(!limits.allow_mail_to("Ana@Mail.example"), "another spelling of it");
    }
}
