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
        (name = "Handoffs", description = "For portals and the legacy login: who is coming, and why."),
        (name = "Identity", description = "Who belongs to which biller, for systems that own that list. In its words a team is \
            a biller. Its shape is that of Poolside's Identity Management API; everything here is also at `/poolside/v1`, so that a \
            script for that API needs another base address and key only. Changes reach SecureAuth for billers that were \
            moved, in order, and are `pending` until then."),
        (name = "Passwords", description = "Passed on to SecureAuth, where the passwords are."),
        (name = "Simulations", description = "Where somebody would be taken, and why."),
        (name = "Support", description = "What happened, who did what, and how everything does."),
        (name = "API keys", description = "API keys: shown once, kept as a hash."),
        (name = "Kill switch", description = "Stopping what goes wrong, for every instance."),
    ),
)]
struct BaseDocument;

/// Status and description of an answer.
type CommonResponse = (&'static str, &'static str);
const RESPONSES_OF_ALL: [CommonResponse; 1] = [("503", "`service_unavailable`: not now; try again in a moment.")];
const RESPONSES_WITH_API_KEY: [CommonResponse; 2] = [
    (
        "401",
        "`api_key_missing`, `api_key_invalid`: an API key is needed, and it must not be mistyped, expired or revoked.",
    ),
    ("403", "`insufficient_scope`: the key does not have the scope."),
];
const RESPONSES_WITH_PATH_PARAMETER: [CommonResponse; 2] = [
    ("400", "`bad_request`: the address is not UTF-8, or has a NUL."),
    ("404", "`not_found`: there is none, or the key does not reach it."),
];
const RESPONSES_WITH_BODY: [CommonResponse; 3] = [
    ("400", "`malformed_request`: the body is not JSON, or not as described."),
    ("413", "`payload_too_large`: the body is too long."),
    ("415", "`unsupported_media_type`: `Content-Type: application/json` is needed."),
];
const RESPONSES_WITH_IDEMPOTENCY_KEY: [CommonResponse; 3] = [
    ("400", "`invalid_idempotency_key`: not 1 to 255 printable characters without spaces, commas and quotes."),
    ("409", "`in_progress`: the same request is being worked on."),
    ("422", "`idempotency_key_reused`: it came before, with another request."),
];

/// Routes with their descriptions.
///
/// # Panics
/// In debug builds: two schemas have one name, of which one would be shown for both.
pub(super) fn collect_routes<const N: usize>(all: [UtoipaMethodRouter<AppState>; N]) -> OpenApiRouter<AppState> {
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
    let routes = OpenApiRouter::with_openapi(BaseDocument::openapi()).merge(super::api_routes());
    let mut document = json!(routes.nest(paths::IDENTITY, identity::api_routes()).into_openapi());
    let key = "An API key: `sp_` and what follows. The scopes it needs are listed with each operation.";
    document["components"]["securitySchemes"] =
        json!({ "key": { "type": "http", "scheme": "bearer", "description": key } });
    let Some(paths) = document["paths"].as_object_mut() else { return document };
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            add_common_responses(path, operation);
        }
    }
    document
}

/// Adds to an operation what those of its kind have in common.
fn add_common_responses(path: &str, operation: &mut Value) {
    let is_idempotent =
        operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == "Idempotency-Key"));
    let common = [
        (path.contains('{'), &RESPONSES_WITH_PATH_PARAMETER[..]),
        (operation["requestBody"].is_object(), &RESPONSES_WITH_BODY[..]),
        (is_idempotent, &RESPONSES_WITH_IDEMPOTENCY_KEY[..]),
        (operation["security"].is_array(), &RESPONSES_WITH_API_KEY[..]),
        (true, &RESPONSES_OF_ALL[..]),
    ];
    // A body that may be left out is no null.
    if let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema")
        && let Some(kind) =
            schema["oneOf"].as_array().and_then(|kinds| kinds.iter().find(|kind| kind["type"] != "null"))
    {
        *schema = kind.clone();
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, description) in common.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, list)| list) {
        let answer = responses.entry(*status).or_insert_with(|| json!({ "description": "" }));
        let known = answer["description"].as_str().unwrap_or_default();
        // What an operation says of itself comes first, and stands for what is said of all.
        let reason = description.split(':').next().unwrap_or_default();
        if !known.contains(reason) {
            answer["description"] = [known, description].join("\n").trim().into();
        }
    }
    for (status, answer) in responses {
        if status.as_str() >= "400" {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            answer["content"] = json!({ "application/problem+json": { "schema": schema } });
        }
    }
}
