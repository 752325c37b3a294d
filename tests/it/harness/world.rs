//! The demo world as the tests use it.

use secureauth_standin::world::{Addresses, Biller, User, World};
use secureauth_standin::{IdpUser, SecureAuth, hash_password};
use serde_json::{Value, json};
use signpost_core::Random;

use super::{GATEWAY, LEGACY, PASSWORD, PORTAL};

/// The active billers. `cedar-county` has an issuer that is down.
pub(crate) const MIGRATED: [&str; 4] = ["riverside-water", "maple-electric", "clinic", "cedar-county"];

/// The demo world, a private biller (`clinic`) and two more users.
pub(super) fn billers_and_users(secureauth: &str, mail_port: u16) -> World {
    let mut world = World::new(Addresses {
        gateway: GATEWAY.to_owned(),
        secureauth: secureauth.to_owned(),
        legacy: LEGACY.to_owned(),
        portal: PORTAL.to_owned(),
        mail_port,
    });
    let riverside = world.biller_mut("riverside-water");
    riverside.hosts = vec!["pay.riverside.example".to_owned()];
    riverside.support = Some(json!({ "phone": "+1 555 010 0101" }));
    world.biller_mut("oakdale-city").hosts = vec!["pay.oakdale.example".to_owned()];
    world.billers.push(Biller { private: true, ..Biller::new("clinic", "The clinic", "active") });
    world.users.push(User::new("Maple.User", &["maple-electric"]));
    world.users.push(User::new("patient", &["clinic"]));
    world
}

pub(super) fn settings(world: &World, database: &str) -> Value {
    let mut settings = world.settings(database, "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
    settings["database"]["connections"] = json!(4);
    settings["legacy_paths"] = json!([
        { "path": "/old/login.aspx", "query": "biller=1", "biller": "riverside-water", "return_to": "pay" },
        { "path": "/old/login.aspx", "query": "biller=2", "biller": "oakdale-city" },
        { "path": "/old/login.aspx" },
    ]);
    settings["security_txt"] = json!({
        "contact": ["mailto:security@example-pay.example", "https://example-pay.example/security"],
        "expires": "2027-06-30T00:00:00Z",
        "policy": "https://example-pay.example/policy",
        "preferred_languages": ["en", "es"],
    });
    settings["secureauth"]["lease_seconds"] = json!(2);
    settings["secureauth"]["timeout_seconds"] = json!(1);
    settings
}

/// Every organization has the same users, also some that the directory does not know.
pub(super) fn secureauth(world: &World, random: &Random) -> SecureAuth {
    let mut secureauth = world.secureauth(&hash_password(PASSWORD, random));
    secureauth.organizations.retain(|organization| MIGRATED.contains(&organization.id.as_str()));
    for organization in &mut secureauth.organizations {
        let names = ["one-moved", "moved-and-legacy", "two-moved", "Maple.User", "patient", "stranger"];
        let user = |name: &str| IdpUser {
            username: name.to_owned(),
            name: format!("Demo {name}"),
            email: format!("{name}@mail.example"),
        };
        organization.users = names.map(user).into();
    }
    secureauth
}
