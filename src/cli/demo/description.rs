//! What the demo prints once it answers.

use std::fmt::Write;
use std::path::Path;

use secureauth_standin::world::{PASSWORD, Ports, STAFF_ROLES, World};
use serde_json::{Value, json};

/// The JSON of `demo --format json`.
pub(super) fn json(world: &World, ports: Ports, api_key: &str, settings: &Path) -> Value {
    let at = &world.addresses;
    let listed = world.users.iter().filter_map(|user| Some((user, user.expectation?)));
    let people: Vec<Value> = listed
        .map(|(user, (row, _))| {
            json!({ "username": user.username, "password": PASSWORD, "billers": user.billers, "row": row })
        })
        .collect();
    json!({
        "gateway": at.gateway,
        "secureauth": at.secureauth,
        "legacy": at.legacy,
        "portal": at.portal,
        "mail": format!("{}/mail", at.legacy),
        "console": ports.console_address(),
        "management": ports.management_address(),
        "staff": STAFF_ROLES.map(|role| json!({ "username": role, "password": PASSWORD, "role": role })),
        "api_key": api_key,
        "config": settings,
        "people": people,
    })
}

/// The text of `demo`.
pub(super) fn banner(world: &World, ports: Ports, api_key: &str, settings: &Path) -> String {
    let (at, settings) = (&world.addresses, settings.display());
    let gateway = &at.gateway;
    let mut out = format!(
        "\nSignpost is running. Open {gateway}/ in a browser.\n\n  \
         gateway        {gateway}\n  SecureAuth     {}\n  legacy portal  {}\n  biller portal  {}\n  \
         mail           {}/mail\n  console        {}\n  management     {}/metrics\n  API key        {api_key}\n  settings       {settings}\n\n\
         Every user has the password {PASSWORD}. Sign in with one of these usernames:\n\n",
        at.secureauth,
        at.legacy,
        at.portal,
        at.legacy,
        ports.console_address(),
        ports.management_address(),
    );
    for user in &world.users {
        if let Some((row, page)) = user.expectation {
            let _ = writeln!(out, "  {:<17} row {row}  {page}", user.username);
        }
    }
    let _ = writeln!(
        out,
        "\nOther entry points:\n  {gateway}/b/riverside-water\n  http://riverside-water.localhost:{}/\n  \
         {gateway}/customer/login.aspx?biller=riverside-water   (a deep link of the old site)\n\n\
         Staff sign in to the console as {}.\n\n\
         Every command works on this installation, for example:\n  \
         signpost enable pinehill-gas --watch --config {settings}\n\nPress Ctrl+C to stop.",
        ports.base,
        STAFF_ROLES.join(", "),
    );
    out
}
