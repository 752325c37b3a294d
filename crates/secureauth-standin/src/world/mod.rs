//! The demo world: its billers and users, the settings of a gateway in front of them, and the stand-ins around it.
//!
//! People and checks refer to its slugs, usernames, passwords and routing table rows, so these are fixed. `signpost demo`
//! runs [`World::demo`]; the integration tests extend [`World::new`] with billers and users of their own. Everything goes to
//! the gateway as text: a settings file, a biller file, user files.

mod billers;
mod files;
mod settings;
mod standins;
mod users;

pub use self::billers::{Biller, ISSUER_DOWN};
pub use self::settings::to_toml;
pub use self::standins::{STAFF, STAFF_ROLES, assign_roles, staff};
pub use self::users::User;

/// The password of every user.
pub const PASSWORD: &str = "demo-password";
/// The tenant at SecureAuth.
pub const TENANT: &str = "demo";
/// Users of Pinehill Gas in [`World::demo`], besides those in the table of users.
const PINEHILL_USERS: usize = 2500;

/// Where the parts of the world listen.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub gateway: String,
    pub secureauth: String,
    pub legacy: String,
    pub portal: String,
    /// The SMTP server's port on 127.0.0.1.
    pub mail_port: u16,
}

/// The consecutive ports of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The gateway's port.
    pub base: u16,
}

impl Ports {
    pub const fn secureauth(self) -> u16 {
        self.base + 1
    }

    pub const fn legacy(self) -> u16 {
        self.base + 2
    }

    pub const fn portal(self) -> u16 {
        self.base + 3
    }

    pub const fn console(self) -> u16 {
        self.base + 4
    }

    pub const fn mail(self) -> u16 {
        self.base + 5
    }

    pub const fn management(self) -> u16 {
        self.base + 6
    }

    /// The gateway is `localhost` and the stand-ins are `127.0.0.1`, so that a browser treats them as different sites.
    pub fn addresses(self) -> Addresses {
        let standin = |port: u16| format!("http://127.0.0.1:{port}");
        Addresses {
            gateway: format!("http://localhost:{}", self.base),
            secureauth: standin(self.secureauth()),
            legacy: standin(self.legacy()),
            portal: standin(self.portal()),
            mail_port: self.mail(),
        }
    }

    pub fn console_address(self) -> String {
        format!("http://localhost:{}", self.console())
    }

    pub fn management_address(self) -> String {
        format!("http://127.0.0.1:{}", self.management())
    }
}

/// Billers and users at their addresses.
#[derive(Clone, Debug)]
pub struct World {
    pub addresses: Addresses,
    pub billers: Vec<Biller>,
    pub users: Vec<User>,
}

impl World {
    /// The billers and users of the routing table, without support contacts, branding and hosts.
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, billers: billers::routing_table(), users: users::routing_table() }
    }

    /// The world of `signpost demo`.
    pub fn demo(ports: Ports) -> Self {
        let mut world = Self::new(ports.addresses());
        world.billers.insert(2, Biller::new("harbor-insurance", "Harbor Insurance", "active"));
        for (biller, number) in world.billers.iter_mut().zip([1, 2, 3, 4, 5, 6, 7]) {
            biller.support = Some(billers::support(&biller.slug, &format!("+1 555 010 010{number}")));
            biller.hosts = vec![format!("{}.localhost:{}", biller.slug, ports.base)];
        }
        world.biller_mut("riverside-water").branding = Some(billers::branding());
        world.users.push(users::shared_name());
        world.users.extend((1..=PINEHILL_USERS).map(users::pinehill));
        world
    }

    pub fn biller(&self, slug: &str) -> &Biller {
        let found = self.billers.iter().find(|biller| biller.slug == slug);
        found.unwrap_or_else(|| panic!("{slug} is no biller of this world"))
    }

    pub fn biller_mut(&mut self, slug: &str) -> &mut Biller {
        let found = self.billers.iter_mut().find(|biller| biller.slug == slug);
        found.unwrap_or_else(|| panic!("{slug} is no biller of this world"))
    }

    /// The issuer of an organization.
    pub fn issuer(&self, organization: &str) -> String {
        format!("{}/{TENANT}/{organization}", self.addresses.secureauth)
    }
}

pub fn client_id(organization: &str) -> String {
    format!("signpost-{organization}")
}

/// A fixed secret: the demo listens on loopback only.
pub fn client_secret(organization: &str) -> String {
    format!("demo-client-secret-of-{organization}")
}

/// The secret of a service client of the management API.
pub fn service_secret(client: &str) -> String {
    format!("demo secret of {client}")
}
