//! `…/users/{user}/addresses/{add, update or remove}`

use axum::http::Method;

use super::answer::{Answer, Outcome, Problem, to_json};
use super::objects::{Address, matches, new_id, text};
use super::routes::Call;
use super::users::{belonging, check_address, read};

/// Adds an address; one that is another user's verified address is refused.
pub fn add(call: &Call<'_>, pool: &str, user: &str) -> Outcome {
    let mut given = address(call)?;
    if given.status.is_empty() {
        "active".clone_into(&mut given.status);
    }
    check_address(&given)?;
    let mut objects = call.standin.0.api.objects();
    matches(call.if_match, objects.member(pool, user)?.version)?;
    let taken = |id: &String, other: &super::objects::Member| {
        other.has_address(&given.address, true) || (id == user && other.has_address(&given.address, false))
    };
    if objects.pool(pool)?.users.iter().any(|(id, other)| taken(id, other)) {
        return Err(Problem::conflict("the address belongs to a user already"));
    }
    let entry = Address {
        id: new_id(&call.standin.0.tools.random),
        address_lc: given.address.to_lowercase(),
        created_at: call.now(),
        updated_at: call.now(),
        ..given
    };
    let answer = belonging(to_json(&entry), call.tenant(), pool, user);
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    member.addresses.push(entry);
    member.version = version;
    Answer::one(answer, version)
}

/// Changes the status of an address and whether it is verified.
pub fn update(call: &Call<'_>, pool: &str, user: &str) -> Outcome {
    let given = address(call)?;
    if !matches!(given.status.as_str(), "active" | "inactive") {
        return Err(Problem::invalid("status is not one of active, inactive"));
    }
    let mut objects = call.standin.0.api.objects();
    let (version, lower) = (objects.version(), given.address.to_lowercase());
    let member = objects.member_mut(pool, user)?;
    matches(call.if_match, member.version)?;
    let entry = member.addresses.iter_mut().find(|entry| entry.address_lc == lower);
    let entry = entry.ok_or_else(|| Problem::unknown("the address"))?;
    (entry.status, entry.verified, entry.updated_at) = (given.status, given.verified, call.now());
    let answer = belonging(to_json(entry), call.tenant(), pool, user);
    member.version = version;
    Answer::one(answer, version)
}

/// Takes an address away.
pub fn remove(call: &Call<'_>, pool: &str, user: &str) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let body = call.json()?;
    let lower = text(&body, "address").ok_or_else(|| Problem::malformed("address is missing"))?.to_lowercase();
    let mut objects = call.standin.0.api.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    matches(call.if_match, member.version)?;
    if !member.addresses.iter().any(|entry| entry.address_lc == lower) {
        return Err(Problem::unknown("the address"));
    }
    member.addresses.retain(|entry| entry.address_lc != lower);
    member.version = version;
    Answer::nothing()
}

/// The body, with all that the vendor requires.
fn address(call: &Call<'_>) -> Result<Address, Problem> {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let body = call.json()?;
    if text(&body, "address").is_none() || !body.contains_key("verified") {
        return Err(Problem::malformed("address or verified is missing"));
    }
    read(serde_json::Value::Object(body))
}
