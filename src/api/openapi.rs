//! The description of the whole API (OpenAPI 3.1): collected from the routes, with what many operations have in common.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::identity;
use super::problem::Problem;
use crate::state::AppState;
use crate::web::paths;

/// The description.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Signpost",
        description = "What machines can ask for, all of it JSON.\n\nWhoever asks sends an API key as `Authorization: Bearer …`, \
            never in an address. A key has scopes, may be limited to some billers, may expire, and can be revoked: \
            `signpost keys create`. What a key does not reach is answered exactly as what is not there.\n\nErrors are problem \
            details (RFC 9457): `type` stays the same from version to version, `detail` says what to do, `errors` names the \
            parts of the body that are wrong. Besides what is listed, any address can answer 405, 408, 421 (another host), 431 \
            and 503.\n\nA POST with an `Idempotency-Key` counts once, however often it is sent within a day.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "Billers", description = "What the biller wizard does. The fields are those of a file of billers."),
        (name = "CIAM", description = "Moving billers to sign-ins of their own, and the jobs that do it."),
        (name = "Hand-offs", description = "For portals and the legacy login: who is coming, and why."),
        (name = "Identity", description = "Who belongs to which biller, for systems that own that list. In its words a team is \
            a biller. Its shape is that of Poolside's Identity Management API; everything here is also at `/poolside/v1`, so that a \
            script for that API needs another base address and key only. Changes reach SecureAuth for billers that were \
            moved, in order, and are `pending` until then."),
        (name = "Passwords", description = "Passed on to SecureAuth, where the passwords are."),
        (name = "Simulations", description = "Where somebody would be taken, and why."),
        (name = "Support", description = "What happened, who did what, and how everything does."),
        (name = "Keys", description = "API keys: shown once, kept as a hash."),
        (name = "Kill switch", description = "Stopping what goes wrong, for every instance."),
    ),
)]
struct Base;

/// Status and description of an answer.
type Common = (&'static str, &'static str);
const EVERYWHERE: [Common; 1] = [("503", "`unavailable`: not now; try again in a moment.")];
const WITH_KEY: [Common; 2] = [
    ("401", "`key_missing`, `key_invalid`: an API key is needed, and it must not be mistyped, expired or revoked."),
    ("403", "`scope_missing`: the key does not have the scope."),
];
const WITH_PATH: [Common; 2] = [
    ("400", "`bad_request`: the address is not UTF-8, or has a NUL."),
    ("404", "`not_found`: there is none, or the key does not reach it."),
];
const WITH_BODY: [Common; 3] = [
    ("400", "`not_readable`: the body is not JSON, or not as described."),
    ("413", "`too_long`: the body is too long."),
    ("415", "`media_type`: `Content-Type: application/json` is needed."),
];
const REPEATABLE: [Common; 3] = [
    ("400", "`idempotency_key`: not 1 to 255 printable characters without spaces, commas and quotes."),
    ("409", "`in_progress`: the same request is being worked on."),
    ("422", "`idempotency_key_reused`: it came before, with another request."),
];

/// Routes with their descriptions.
///
/// # Panics
/// In debug builds: two schemas have one name, of which one would be shown for both.
pub(super) fn collect<const N: usize>(all: [UtoipaMethodRouter<AppState>; N]) -> OpenApiRouter<AppState> {
    all.into_iter().fold(OpenApiRouter::default(), |router, routes| {
        let known = router.get_openapi().components.as_ref();
        for (name, schema) in &routes.0 {
            let other = known.and_then(|known| known.schemas.get(name)).filter(|other| *other != schema);
            debug_assert!(other.is_none(), "two schemas are called {name}");
        }
        router.routes(routes)
    })
}

fn document() -> Value {
    let routes = OpenApiRouter::with_openapi(Base::openapi()).merge(super::described());
    let mut document = json!(routes.nest(paths::IDENTITY, identity::described()).into_openapi());
    let key = "An API key: `sp_` and what follows. The scopes it needs are listed with each operation.";
    document["components"]["securitySchemes"] =
        json!({ "key": { "type": "http", "scheme": "bearer", "description": key } });
    let Some(paths) = document["paths"].as_object_mut() else { return document };
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete(path, operation);
        }
    }
    document
}

/// Adds to an operation what those of its kind have in common.
fn complete(path: &str, operation: &mut Value) {
    let repeatable =
        operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == "Idempotency-Key"));
    let common = [
        (path.contains('{'), &WITH_PATH[..]),
        (operation["requestBody"].is_object(), &WITH_BODY[..]),
        (repeatable, &REPEATABLE[..]),
        (operation["security"].is_array(), &WITH_KEY[..]),
        (true, &EVERYWHERE[..]),
    ];
    // A body that may be left out is no null.
    if let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema")
        && let Some(kind) =
            schema["oneOf"].as_array().and_then(|kinds| kinds.iter().find(|kind| kind["type"] != "null"))
    {
        *schema = kind.clone();
    }
    let Some(answers) = operation["responses"].as_object_mut() else { return };
    for (status, says) in common.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, list)| list) {
        let answer = answers.entry(*status).or_insert_with(|| json!({ "description": "" }));
        let known = answer["description"].as_str().unwrap_or_default();
        // What an operation says of itself comes first, and stands for what is said of all.
        let reason = says.split(':').next().unwrap_or_default();
        if !known.contains(reason) {
            answer["description"] = [known, says].join("\n").trim().into();
        }
    }
    for (status, answer) in answers {
        if status.as_str() >= "400" {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            answer["content"] = json!({ "application/problem+json": { "schema": schema } });
        }
    }
}
