//! The files that an operator imports: billers and users.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Biller, World, client_id, client_secret};
use crate::IdpUser;

impl World {
    /// The biller file (JSON).
    pub fn billers_file(&self) -> String {
        let billers: Vec<Value> = self.billers.iter().map(|biller| self.biller_row(biller)).collect();
        json!({ "billers": billers }).to_string()
    }

    fn biller_row(&self, biller: &Biller) -> Value {
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| row.insert(name.to_owned(), value);
        set("slug", json!(biller.slug));
        set("name", json!(biller.name));
        set("state", json!(biller.state));
        set("passwords", json!(biller.passwords));
        set("private", json!(biller.private));
        set("hosts", json!(biller.hosts));
        for (name, table) in [("support", &biller.support), ("branding", &biller.branding)] {
            if let Some(table) = table {
                set(name, table.clone());
            }
        }
        if biller.organization.is_some() {
            let oidc = json!({
                "issuer": self.issuer(&biller.slug),
                "client_id": client_id(&biller.slug),
                "client_secret": client_secret(&biller.slug),
            });
            set("oidc", oidc);
        }
        Value::Object(row)
    }

    /// The user file of a biller (CSV).
    pub fn users_file(&self, biller: &str, password_hash: &str) -> String {
        let mut file = String::from("username,email,first_name,last_name,status,password_hash\n");
        for user in self.users_of(biller) {
            let (first, last) = user.name.split_once(' ').unwrap_or((&user.name, ""));
            let _ = writeln!(file, "{},{},{first},{last},active,\"{password_hash}\"", user.username, user.email);
        }
        file
    }

    pub fn users_of(&self, biller: &str) -> Vec<IdpUser> {
        let members = self.users.iter().filter(|user| user.billers.contains(&biller));
        members.map(|user| user.at(biller)).collect()
    }
}
