//! The OpenAPI 3.1 document: the descriptions of all operations, and the responses that many of them share.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::problem::Problem;
use super::{identity, operations};
use crate::web::paths;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Signpost",
        description = "The Signpost API accepts and returns JSON.\n\nAuthenticate with an API key in the header `Authorization: Bearer \
            <key>`; keys in URLs are ignored. A key has scopes, can be limited to some billers, can expire, and can be revoked. Create the \
            first one with `signpost keys create`. A resource that the key has no access to is answered like one that does not \
            exist.\n\nErrors are problem documents (RFC 9457). `type` contains an error code that does not change from version to \
            version, `detail` explains the error, and `errors` lists the invalid fields of the body. Besides the responses listed here, any \
            request can get 405, 408, 421 (unknown host), 431 or 503.\n\nA POST request with an `Idempotency-Key` takes effect once, \
            however often it is repeated within 24 hours.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "Billers", description = "Create and update billers. The fields are those of a billers file."),
        (name = "CIAM", description = "Migrate billers to SecureAuth, and follow the jobs that do it."),
        (name = "Handoffs", description = "Tell portals and the legacy login who is signing in."),
        (name = "Identity", description = "Manage users and the billers they belong to, for the systems that own that data. This API \
            calls a biller a team. It has the shape of Poolside's Identity Management API and is also mounted at `/poolside/v1`, so that \
            scripts for that API need another base URL and API key only. For migrated billers, changes reach SecureAuth in order; until \
            then they are `pending`."),
        (name = "Passwords", description = "Change and reset passwords at SecureAuth, which stores them."),
        (name = "Simulations", description = "Simulate routing decisions, and preview the impact of changes."),
        (name = "Support", description = "Look up decisions, audit events and service health."),
        (name = "API keys", description = "Create, list and revoke API keys."),
        (name = "Kill switch", description = "Send customers to the legacy login, or show the maintenance page, on all instances."),
    ),
)]
struct BaseDocument;

/// Status and description of a response.
type CommonResponse = (&'static str, &'static str);
const RESPONSES_OF_ALL: [CommonResponse; 1] =
    [("503", "`service_unavailable`: the service is temporarily unavailable.")];
const RESPONSES_WITH_API_KEY: [CommonResponse; 2] = [
    ("401", "`api_key_missing`, `api_key_invalid`: the API key is missing, malformed, unknown, expired or revoked."),
    ("403", "`insufficient_scope`: the API key does not have the scope."),
];
const RESPONSES_WITH_PATH_PARAMETER: [CommonResponse; 2] = [
    ("400", "`bad_request`: the URL is not UTF-8, or contains a NUL character."),
    ("404", "`not_found`: the resource does not exist, or the API key has no access to it."),
];
const RESPONSES_WITH_BODY: [CommonResponse; 3] = [
    ("400", "`malformed_request`: the body is not valid JSON, or does not match the schema."),
    ("413", "`payload_too_large`: the body is too large."),
    ("415", "`unsupported_media_type`: `Content-Type` is not `application/json`."),
];
const RESPONSES_WITH_IDEMPOTENCY_KEY: [CommonResponse; 3] = [
    (
        "400",
        "`invalid_idempotency_key`: not 1 to 255 printable ASCII characters without spaces, commas, quotes and backslashes.",
    ),
    ("409", "`in_progress`: a request with this `Idempotency-Key` is in progress."),
    ("422", "`idempotency_key_reused`: the `Idempotency-Key` was used for a different request."),
];

fn document() -> Value {
    let routes = OpenApiRouter::with_openapi(BaseDocument::openapi()).merge(operations::standard_routes());
    let routes = routes.merge(operations::customer_routes()).merge(operations::slow_routes());
    let routes = routes.nest(paths::IDENTITY, identity::described_routes());
    let mut document = json!(routes.into_openapi());
    let key = "An API key, which begins with `sp_`. Each operation lists the scope that the key needs.";
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

/// Adds the responses that an operation shares with others.
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
    // An optional body may be absent, and must not be null.
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
        // An operation's own text comes first, and replaces the shared one for the same code.
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
