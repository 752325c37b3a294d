//! The settings file of the gateway.

use serde_json::{Value, json};

use super::{Ports, STAFF, TENANT, World, client_id, client_secret, service_secret};

impl World {
    /// The settings that the demo and the tests share. `database` is a URL, `key` the secret key.
    pub fn settings(&self, database: &str, key: &str) -> Value {
        let at = &self.addresses;
        json!({
            "server": { "public_url": at.gateway, "management_listen": "127.0.0.1:0" },
            "database": { "url": database },
            "secrets": { "keys": [key] },
            "legacy": { "login_url": format!("{}/login", at.legacy), "reset_url": format!("{}/reset", at.legacy) },
            "portal": { "handoff_url": format!("{}/handoff", at.portal) },
            "return_to": { "paths": ["/bills"], "ids": { "pay": "/bills/pay" } },
            "limits": { "exempt_loopback": true },
            "oidc": { "allow_loopback_issuers": true },
            "secureauth": {
                "base_url": at.secureauth,
                "tenant": TENANT,
                "system_client_id": "signpost-system",
                "system_client_secret": service_secret("signpost-system"),
                "admin_client_id": "signpost-admin",
                "admin_client_secret": service_secret("signpost-admin"),
            },
            "mail": {
                "server": "127.0.0.1",
                "port": at.mail_port,
                "tls": "none",
                "from": "Example Pay <no-reply@example-pay.example>",
            },
        })
    }

    /// The settings file of the demo (TOML).
    pub fn demo_settings(&self, ports: Ports, database: &str, key: &str, log: &str) -> String {
        let mut settings = self.settings(database, key);
        settings["server"]["listen"] = json!(format!("127.0.0.1:{}", ports.base));
        settings["server"]["management_listen"] = json!(format!("127.0.0.1:{}", ports.management()));
        settings["server"]["drain_seconds"] = json!(2);
        let deep_link = |biller: &str| json!({ "path": "/customer/login.aspx", "query": format!("biller={biller}"), "biller": biller });
        let mut riverside = deep_link("riverside-water");
        riverside["return_to"] = json!("bills");
        settings["legacy_paths"] = json!([
            riverside,
            deep_link("oakdale-city"),
            { "path": "/customer/login.aspx" },
            { "path": "/paybill", "return_to": "pay" },
        ]);
        settings["return_to"]["ids"]["bills"] = json!("/bills");
        settings["mail"]["per_address_per_hour"] = json!(60);
        settings["help"] = json!({
            "company": "Example Pay",
            "phone": "+1 555 010 0100",
            "email": "help@example-pay.example",
            "hours": { "en": "Monday to Friday, 8 am to 6 pm", "es": "De lunes a viernes, de 8 a. m. a 6 p. m." },
        });
        settings["console"] = json!({
            "listen": format!("127.0.0.1:{}", ports.console()),
            "public_url": ports.console_address(),
            "issuer": self.issuer(STAFF),
            "client_id": client_id(STAFF),
            "client_secret": client_secret(STAFF),
        });
        settings["log"] = json!({ "filter": log });
        to_toml(&settings)
    }
}

/// Settings as TOML.
#[expect(clippy::expect_used, reason = "the settings above are tables without nulls")]
pub fn to_toml(settings: &Value) -> String {
    toml::to_string(settings).expect("settings are TOML")
}
