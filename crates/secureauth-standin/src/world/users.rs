//! The users.

use crate::IdpUser;

/// A username and the billers where it exists.
#[derive(Clone, Debug)]
pub struct User {
    pub username: String,
    pub name: String,
    /// Slugs.
    pub billers: Vec<&'static str>,
    /// Row of the routing table, and the page that the user reaches. None for users who only add numbers.
    pub expectation: Option<(u8, &'static str)>,
    /// Whether each biller has another user of this name, with an address of its own.
    distinct: bool,
}

impl User {
    pub fn new(username: &str, billers: &[&'static str]) -> Self {
        Self {
            username: username.to_owned(),
            name: format!("Demo {username}"),
            billers: billers.to_vec(),
            expectation: None,
            distinct: false,
        }
    }

    fn expecting(self, row: u8, page: &'static str) -> Self {
        Self { expectation: Some((row, page)), ..self }
    }

    /// The user at a biller.
    pub(super) fn at(&self, biller: &str) -> IdpUser {
        let domain = if self.distinct { format!("{biller}.example") } else { "mail.example".to_owned() };
        IdpUser {
            username: self.username.clone(),
            name: self.name.clone(),
            email: format!("{}@{domain}", self.username),
        }
    }
}

pub(super) fn routing_table() -> Vec<User> {
    let user = |name, billers: &[&'static str], row, page| User::new(name, billers).expecting(row, page);
    vec![
        user("one-moved", &["riverside-water"], 2, "the bookmark notice, then Riverside Water's own sign-in"),
        user("one-legacy", &["oakdale-city"], 3, "the classic sign-in"),
        user(
            "moved-and-legacy",
            &["oakdale-city", "riverside-water"],
            4,
            "the classic sign-in, with a link to the recovery page",
        ),
        user("two-moved", &["riverside-water", "maple-electric"], 5, "the recovery page: which biller?"),
        user("two-legacy", &["oakdale-city", "pinehill-gas"], 6, "the classic sign-in, and an integrity alarm"),
        user("issuer-down", &["cedar-county"], 8, "the outage page of Cedar County"),
        user("switched-off", &["summit-telecom"], 3, "the classic sign-in, because Summit Telecom is suspended"),
    ]
}

pub(super) fn shared_name() -> User {
    let user = User::new("shared-name", &["riverside-water", "harbor-insurance"]);
    User { distinct: true, ..user.expecting(5, "the recovery page; two people have this name") }
}

pub(super) fn pinehill(number: usize) -> User {
    User { name: format!("Pine {number:04}"), ..User::new(&format!("pine{number:04}"), &["pinehill-gas"]) }
}
