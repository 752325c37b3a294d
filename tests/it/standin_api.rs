//! The management API of the SecureAuth stand-in over real HTTP. The tests of our client rely on this behaviour.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use secureauth_standin::{
    self, ApiClients, Deps, Fault, FaultRule, RetryAfter, SecureAuth, SecureAuthStandIn, ServiceClient,
};
use serde_json::{Value, json};
use signpost_core::text::sha256;
use signpost_core::{Clock, Random};

use crate::harness::{PASSWORD, now};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "http://localhost:8080/callback/acme";
const SYSTEM_POOLS: &str = "/api/identity/t/system/pools";
const IMPORT: &str = "/api/identity/system/t/configuration";

struct Api {
    standin: SecureAuthStandIn,
    base: String,
    http: reqwest::Client,
    clock: Clock,
    system: String,
    admin: String,
}

impl Api {
    #[expect(clippy::disallowed_methods, reason = "a client of the outside world")]
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (clock, random) = (Clock::manual(now()), Random::system());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = |id: &str| Some(ServiceClient { id: id.to_owned(), secret: format!("secret of {id}") });
        let world = SecureAuth {
            tenant: "t".to_owned(),
            password_hash: secureauth_standin::hash_password(PASSWORD, &random),
            organizations: Vec::new(),
            api: Some(ApiClients { system: service("system-client"), admin: service("admin-client") }),
        };
        let deps = Deps::new(clock.clone(), random).unwrap();
        let standin = secureauth_standin::secureauth_app(world, base.clone(), deps);
        tokio::spawn(secureauth_standin::serve(listener, standin.router(), std::future::pending()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let mut api = Self { standin, base, http, clock, system: String::new(), admin: String::new() };
        api.mint_tokens().await;
        api
    }

    async fn mint_tokens(&mut self) {
        self.system = self.token("system").await;
        self.admin = self.token("admin").await;
    }

    async fn token(&self, workspace: &str) -> String {
        let id = format!("{workspace}-client");
        let response = self.token_response(workspace, &id, &format!("secret of {id}")).await;
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    async fn token_response(&self, workspace: &str, id: &str, secret: &str) -> Response {
        let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        self.http.post(format!("{}/t/{workspace}/oauth2/token", self.base)).form(&fields).send().await.unwrap()
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let admin = path.starts_with("/api/admin") || path.contains("/t/admin");
        let token = if admin { &self.admin } else { &self.system };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    /// Status and body, null if there is none.
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    /// An organization, its pool, the connection, a client, and the claim that names the pool's user.
    async fn organization(&self) {
        let made = [
            ("/api/system/t/organizations", json!({ "id": "acme", "name": "Acme" })),
            (SYSTEM_POOLS, json!({ "id": "acme-pool", "tenant_id": "t", "name": "Acme", "workspace_id": "acme" })),
            (
                "/api/admin/t/servers/acme/idps/identity_pool",
                json!({ "identity_pool_id": "acme-pool", "name": "Acme" }),
            ),
            (
                "/api/admin/t/clients",
                json!({
                    "client_id": "gateway", "tenant_id": "t", "authorization_server_id": "acme",
                    "client_secret": "0123456789abcdef0123456789abcdef", "redirect_uris": [CALLBACK],
                }),
            ),
            (
                "/api/admin/t/claims",
                json!({
                    "authorization_server_id": "acme", "name": "pool_user", "type": "id_token",
                    "source_type": "authnCtx", "source_path": "identity_pool_user_id",
                }),
            ),
        ];
        for (path, body) in made {
            let (status, answer) = self.call("POST", path, body).await;
            assert_eq!(status, 201, "{path}: {answer}");
        }
    }

    async fn import(&self, dump: Value) -> u16 {
        self.call("PUT", IMPORT, dump).await.0
    }

    fn request_fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client_id", "gateway".into()),
            ("redirect_uri", CALLBACK.into()),
            ("response_type", "code".into()),
            ("scope", "openid profile".into()),
            ("nonce", "n".into()),
            ("code_challenge", sha256(VERIFIER.as_bytes())),
            ("code_challenge_method", "S256".into()),
        ]
    }

    /// Posts the hosted page's form.
    async fn submit(&self, more: &[(&'static str, &str)]) -> Response {
        let mut fields = self.request_fields();
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self.http.post(format!("{}/t/acme/oauth2/authorize", self.base)).form(&fields).send().await.unwrap()
    }

    /// Claims of the ID token that the answer of the hosted page leads to.
    async fn redeem(&self, answer: &Response) -> Value {
        let location = answer.headers()["location"].to_str().unwrap();
        let url = url::Url::parse(location).unwrap();
        let code = url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let request = self.http.post(format!("{}/t/acme/oauth2/token", self.base));
        let request = request.basic_auth("gateway", Some("0123456789abcdef0123456789abcdef")).form(&fields);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let claims = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    }
}

/// Users with a uid and an address; a password where a hash is given.
fn tenant_dump(numbers: std::ops::Range<usize>, hash: Option<&str>, state: &str) -> Value {
    let (mut users, mut identifiers, mut addresses, mut credentials) = (vec![], vec![], vec![], vec![]);
    let moment = "2026-11-22T08:00:00Z";
    for number in numbers {
        let of_user = |mut value: Value| {
            for (name, text) in [("tenant_id", "t"), ("user_pool_id", "acme-pool"), ("created_at", moment)] {
                value[name] = json!(text);
            }
            value["user_id"] = json!(format!("user-{number:05}"));
            value["updated_at"] = json!(moment);
            value
        };
        users.push(of_user(json!({
            "id": format!("user-{number:05}"), "status": "active", "payload": { "name": format!("Name {number}") },
        })));
        identifiers.push(of_user(json!({
            "id": format!("identifier-{number:05}"), "type": "uid",
            "identifier": format!("User{number}"), "identifier_lc": format!("user{number}"),
        })));
        addresses.push(of_user(json!({
            "id": format!("address-{number:05}"), "type": "email", "status": "active", "verified": true,
            "address": format!("user{number}@mail.example"), "address_lc": format!("user{number}@mail.example"),
        })));
        if let Some(hash) = hash {
            let method = if hash.starts_with("$2") { "bcrypt" } else { "argon2" };
            credentials.push(of_user(json!({
                "id": format!("credential-{number:05}"), "type": "password", "state": state,
                "payload": { "hashed_password": { "value": hash, "config": { "method": method } } },
            })));
        }
    }
    json!({
        "users": users, "user_identifiers": identifiers, "user_verifiable_addresses": addresses,
        "user_credentials": credentials,
    })
}

#[tokio::test]
async fn tokens_are_limited_to_one_workspace() {
    let mut api = Api::start().await;
    assert_eq!(api.token_response("system", "system-client", "wrong").await.status(), 401);
    let elsewhere = api.http.post(format!("{}/default/system/oauth2/token", api.base)).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404, "another tenant");
    assert_eq!(api.get("/api/system/t/organizations").await.0, 200);
    assert_eq!(api.get("/api/admin/t/organizations").await.0, 200);

    std::mem::swap(&mut api.system, &mut api.admin);
    let (status, body) = api.get("/api/system/t/organizations").await;
    assert_eq!((status, &body["error_code"]), (401, &json!("invalid_access_token")), "the other workspace's token");
    std::mem::swap(&mut api.system, &mut api.admin);

    api.standin.faults().expire_tokens();
    assert_eq!(api.get("/api/system/t/organizations").await.0, 401);
    api.mint_tokens().await;
    assert_eq!(api.get("/api/system/t/organizations").await.0, 200);
    api.clock.advance(Duration::from_secs(3601));
    assert_eq!(api.get("/api/system/t/organizations").await.0, 401);
    let last = api.standin.api_calls().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("GET", "/api/system/t/organizations"));
    assert_eq!(last.status, Some(401));
}

#[tokio::test]
async fn an_organization_is_an_issuer_until_deactivated_or_deleted() {
    let api = Api::start().await;
    let organizations = "/api/system/t/organizations";
    let (status, made) = api.call("POST", organizations, json!({ "id": "acme", "name": "Acme" })).await;
    assert_eq!((status, &made["issuer_url"]), (201, &json!(format!("{}/t/acme", api.base))));
    assert_eq!(api.call("POST", organizations, json!({ "id": "acme" })).await.0, 409);
    let discovery = || async { api.get("/t/acme/.well-known/openid-configuration").await.0 };
    assert_eq!(discovery().await, 200);

    let one = "/api/system/t/organizations/acme";
    let (status, put) = api.call("PUT", one, json!({ "name": "Acme Ltd", "deactivated": true })).await;
    assert_eq!((status, &put["deactivated"], &put["name"]), (200, &json!(true), &json!("Acme Ltd")));
    assert_eq!(discovery().await, 200);
    let refused = api.get("/t/acme/oauth2/authorize").await;
    assert_eq!(refused.0, 403);
    assert_eq!(api.get("/api/admin/t/organizations/acme").await.1["deactivated"], json!(true));
    api.call("PUT", one, json!({ "name": "Acme" })).await;
    assert_eq!(api.get("/t/acme/oauth2/authorize").await.0, 400, "the request is looked at again");

    let tag = api.request("GET", one).send().await.unwrap().headers()["etag"].clone();
    let stale = api.request("PUT", one).header("if-match", "\"v0\"").json(&json!({})).send().await.unwrap();
    assert_eq!(stale.status(), 412);
    let fresh = api.request("PUT", one).header("if-match", tag).json(&json!({ "name": "A" })).send().await.unwrap();
    assert_eq!(fresh.status(), 200);

    for number in 0..25 {
        api.call("POST", organizations, json!({ "id": format!("many-{number:02}"), "name": "One of MANY" })).await;
    }
    let page = api.get("/api/system/t/organizations?search_phrase=many").await.1;
    assert_eq!(page["organizations"].as_array().unwrap().len(), 20);
    let rest = api.get("/api/system/t/organizations?search_phrase=many&after_organization_id=many-19").await.1;
    assert_eq!(rest["organizations"].as_array().unwrap().len(), 5);

    assert_eq!(api.call("DELETE", one, Value::Null).await.0, 204);
    assert_eq!(api.get(one).await.0, 404);
    assert_eq!(discovery().await, 404);
}

#[tokio::test]
async fn pools_idps_clients_and_claims_are_created_and_deleted() {
    let api = Api::start().await;
    api.organization().await;
    let again = json!({ "id": "acme-pool", "name": "Acme" });
    assert_eq!(api.call("POST", SYSTEM_POOLS, again).await.0, 409);
    let (_, pools) = api.get("/api/identity/t/system/workspace/acme/pools").await;
    assert_eq!(pools["pools"][0]["number_of_users"], json!(0));

    let made = "/api/identity/t/admin/workspace/acme/pools?with_idp=true";
    assert_eq!(api.call("POST", made, json!({ "id": "second", "name": "Second" })).await.0, 201);
    let (_, idps) = api.get("/api/admin/t/servers/acme/idps").await;
    let idps = idps["idps"].as_array().unwrap().clone();
    assert_eq!(idps.len(), 2, "with_idp connects");
    let second = idps.iter().find(|idp| idp["identity_pool_id"] == "second").unwrap()["id"].as_str().unwrap();
    let one = format!("/api/admin/t/servers/acme/idps/identity_pool/{second}");
    assert_eq!(api.get(&one).await.0, 200);
    assert_eq!(api.call("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(api.call("DELETE", "/api/identity/t/system/pools/second", Value::Null).await.0, 204);

    let short = json!({ "tenant_id": "t", "authorization_server_id": "acme", "client_secret": "short" });
    assert_eq!(api.call("POST", "/api/admin/t/clients", short).await.0, 422);
    let (status, made) =
        api.call("POST", "/api/admin/t/clients", json!({ "tenant_id": "t", "authorization_server_id": "acme" })).await;
    assert_eq!(status, 201);
    assert!(made["client_secret"].as_str().unwrap().len() >= 32, "generated");
    let client = format!("/api/admin/t/clients/{}", made["client_id"].as_str().unwrap());
    let uris = json!({ "redirect_uris": ["https://a.example/callback"] });
    assert_eq!(api.call("PUT", &client, uris).await.1["client_secret"], made["client_secret"], "kept");
    assert_eq!(api.call("DELETE", &client, Value::Null).await.0, 204);

    let (_, claims) = api.get("/api/admin/t/servers/acme/claims").await;
    let claim = format!("/api/admin/t/claims/{}", claims["claims"][0]["id"].as_str().unwrap());
    assert_eq!(api.call("DELETE", &claim, Value::Null).await.0, 204);
    let snapshot = api.standin.snapshot();
    assert_eq!(snapshot["pools"], json!(["acme-pool"]));
    assert_eq!(snapshot["clients"], json!(["gateway"]));
    assert_eq!(snapshot["claims"], json!([]));
    assert_eq!(snapshot["users"], json!({ "acme-pool": [] }));
}

#[tokio::test]
async fn bulk_imported_users_sign_in_with_their_existing_passwords() {
    let api = Api::start().await;
    api.organization().await;
    let hash = secureauth_standin::hash_password("old secret", &Random::system());
    for start in [0, 100, 200] {
        assert_eq!(api.import(tenant_dump(start..(start + 100).min(250), Some(&hash), "valid")).await, 204);
    }
    assert_eq!(api.import(tenant_dump(0..101, None, "valid")).await, 422, "too many");
    assert_eq!(api.import(tenant_dump(0..100, Some(&hash), "valid")).await, 204, "again");
    let mut taken = tenant_dump(300..301, None, "valid");
    taken["user_identifiers"][0]["identifier"] = json!("user7");
    taken["user_identifiers"][0]["identifier_lc"] = json!("user7");
    assert_eq!(api.import(taken).await, 409, "user 7 has it");

    assert_eq!(api.get("/api/identity/t/system/pools/acme-pool").await.1["number_of_users"], json!(250));
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|id| format!("&after_user_id={id}")).unwrap_or_default();
        let (_, page) = api.get(&format!("{SYSTEM_POOLS}/acme-pool/users?limit=100{after}")).await;
        let users = page["users"].as_array().unwrap();
        if users.is_empty() {
            break;
        }
        seen.extend(users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(json!(seen), api.standin.snapshot()["users"]["acme-pool"]);

    let page = api.submit(&[("username", "user7"), ("password", "wrong")]).await;
    assert_eq!(page.status(), 200, "the page again");
    let claims = api.redeem(&api.submit(&[("username", "uSER7"), ("password", "old secret")]).await).await;
    assert_eq!(claims["preferred_username"], json!("User7"));
    assert_eq!((&claims["name"], &claims["email"]), (&json!("Name 7"), &json!("user7@mail.example")));
    assert_eq!(claims["pool_user"], json!("user-00007"), "the claim that was added");
    assert_ne!(claims["sub"], json!("user-00007"), "the subject is a hash");

    let user = format!("{SYSTEM_POOLS}/acme-pool/users/user-00007");
    assert_eq!(api.call("PUT", &user, json!({ "status": "inactive" })).await.0, 200);
    assert_eq!(api.submit(&[("username", "user7"), ("password", "old secret")]).await.status(), 200);

    // bcrypt of "U*U", from the test vectors of the original implementation.
    let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert_eq!(api.import(tenant_dump(400..401, Some(bcrypt), "valid")).await, 204);
    let signed_in = api.submit(&[("username", "user400"), ("password", "U*U")]).await;
    assert_eq!(signed_in.status(), 303);

    let organization = "/api/system/t/organizations/acme";
    api.call("PUT", organization, json!({ "name": "Acme", "deactivated": true })).await;
    let refused = api.submit(&[("username", "user400"), ("password", "U*U")]).await;
    assert_eq!(refused.status(), 403, "nobody signs in at an organization that is switched off");
    api.call("PUT", organization, json!({ "name": "Acme", "deactivated": false })).await;
    assert_eq!(api.submit(&[("username", "user400"), ("password", "U*U")]).await.status(), 303);
}

#[tokio::test]
async fn users_who_must_reset_set_a_new_password_and_sign_in() {
    let api = Api::start().await;
    api.organization().await;
    let hash = secureauth_standin::hash_password("old secret", &Random::system());
    assert_eq!(api.import(tenant_dump(1..2, Some(&hash), "must_be_reset")).await, 204);
    let page = api.submit(&[("username", "user1"), ("password", "old secret")]).await.text().await.unwrap();
    assert!(page.contains("You need to set a new password"), "{page}");
    let ticket =
        |page: &str| page.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let submit = async |page: &str, first: &str, second: &str| {
        let ticket = ticket(page);
        let fields =
            [("action", "set-password"), ("ticket", &ticket), ("new_password", first), ("new_password_again", second)];
        api.submit(&fields).await
    };
    let again = submit(&page, "new secret", "another").await.text().await.unwrap();
    assert!(again.contains("not the same"));
    let done = submit(&again, "new secret", "new secret").await;
    assert_eq!(api.redeem(&done).await["preferred_username"], json!("User1"));
    assert_eq!(submit(&again, "x", "x").await.status(), 200, "the form is good once");
    assert_eq!(api.submit(&[("username", "user1"), ("password", "new secret")]).await.status(), 303);
    assert_eq!(api.submit(&[("username", "user1"), ("password", "old secret")]).await.status(), 200);
}

const ACME_USERS: &str = "/api/identity/t/system/pools/acme-pool/users";
const ANN: &str = "/api/identity/t/system/pools/acme-pool/users/ann";

fn ann() -> Value {
    json!({
        "id": "ann", "status": "active", "payload": { "given_name": "Ann", "family_name": "Example" },
        "identifiers": [{ "identifier": "Ann", "type": "uid" }],
        "verifiable_addresses": [
            { "address": "ann@mail.example", "type": "email", "status": "active", "verified": true },
        ],
        "credentials": [{ "type": "password", "password": "plain secret" }],
    })
}

/// An API with the organization and one user, `ann`.
async fn api_with_ann() -> Api {
    let api = Api::start().await;
    api.organization().await;
    assert_eq!(api.call("POST", ACME_USERS, ann()).await.0, 201);
    api
}

#[tokio::test]
async fn user_creation_is_idempotent_for_a_minute_and_rejects_duplicates() {
    let api = Api::start().await;
    api.organization().await;
    let key = "0123456789abcdef0123456789abcdef";
    let create = || api.request("POST", ACME_USERS).header("x-idempotency-key", key).json(&ann());
    assert_eq!(create().send().await.unwrap().status(), 201);
    let replayed = create().send().await.unwrap();
    assert_eq!(
        (replayed.status().as_u16(), &replayed.headers()["x-idempotent-replayed"]),
        (201, &"true".parse().unwrap())
    );
    api.clock.advance(Duration::from_secs(61));
    assert_eq!(create().send().await.unwrap().status(), 409, "the id exists");
    let same_name = json!({ "status": "active", "identifiers": [{ "identifier": "ANN", "type": "uid" }] });
    assert_eq!(api.call("POST", ACME_USERS, same_name).await.0, 409);
    assert_eq!(api.submit(&[("username", "ann"), ("password", "plain secret")]).await.status(), 303);
}

#[tokio::test]
async fn users_are_found_patched_replaced_and_deleted() {
    let api = api_with_ann().await;
    let by_key = json!({ "address": "ann@mail.example" });
    let (status, found) = api.call("POST", &format!("{ACME_USERS}/by_key"), by_key).await;
    assert_eq!((status, &found["id"], &found["credentials"][0]["payload"]), (200, &json!("ann"), &json!({})));
    let patch = json!({ "payload": { "given_name": "Anna" } });
    let (_, patched) = api.call("PATCH", ANN, patch).await;
    assert_eq!(patched["payload"], json!({ "given_name": "Anna", "family_name": "Example" }));
    let (_, put) = api.call("PUT", ANN, json!({ "payload": { "name": "A" } })).await;
    assert_eq!((&put["payload"], &put["status"]), (&json!({ "name": "A" }), &json!("active")));
    assert_eq!(api.call("DELETE", ANN, Value::Null).await.0, 204);
    assert_eq!(api.get(ANN).await.0, 404);
}

#[tokio::test]
async fn added_identifier_can_sign_in() {
    let api = api_with_ann().await;
    let identifier = json!({ "identifier": "ann@mail.example", "type": "email" });
    assert_eq!(api.call("POST", &format!("{ANN}/identifiers/add"), identifier.clone()).await.0, 200);
    assert_eq!(api.submit(&[("username", "Ann@Mail.example"), ("password", "plain secret")]).await.status(), 303);
    assert_eq!(api.call("POST", &format!("{ANN}/identifiers/remove"), identifier).await.0, 204);
}

#[tokio::test]
async fn passwords_are_changed_reset_by_mail_and_forced_to_reset() {
    let api = api_with_ann().await;
    let change = |old: &str| json!({ "old_password": old, "new_password": "third" });
    assert_eq!(api.call("POST", &format!("{ANN}/change-password"), change("wrong")).await.0, 401);
    assert_eq!(api.call("POST", &format!("{ANN}/change-password"), change("plain secret")).await.0, 204);
    let reset = format!("{SYSTEM_POOLS}/acme-pool/user/password/reset");
    for address in ["nobody@mail.example", "ann@mail.example"] {
        let request = format!("{reset}/request?server_id=acme");
        assert_eq!(api.call("POST", &request, json!({ "address": address })).await.0, 204);
    }
    let mails = api.standin.mails();
    assert_eq!((mails.len(), mails[0].to.as_str()), (1, "ann@mail.example"));
    let complete = json!({ "code": mails[0].code, "new_password": "fourth", "identifier": "ann" });
    assert_eq!(api.call("POST", &format!("{reset}/complete"), complete.clone()).await.0, 204);
    assert_eq!(api.call("POST", &format!("{reset}/complete"), complete).await.0, 401, "single-use");
    assert_eq!(api.submit(&[("username", "ann"), ("password", "fourth")]).await.status(), 303);

    let state = json!({ "state": "must_be_reset" });
    assert_eq!(api.call("PUT", &format!("{ANN}/password/state"), state).await.0, 204);
    assert_eq!(api.submit(&[("username", "ann"), ("password", "fourth")]).await.status(), 200);
}

#[tokio::test]
async fn fault_rules_apply_to_matching_requests() {
    let api = Api::start().await;
    api.organization().await;
    let faults = api.standin.faults();
    let add = |method: &str, path: &str, fault| faults.add(FaultRule::new(method, path, fault));
    let send = |number: usize| api.request("PUT", IMPORT).json(&tenant_dump(number..number + 1, None, "valid")).send();
    let users = || api.standin.snapshot()["users"]["acme-pool"].as_array().unwrap().len();

    faults.add(
        FaultRule::new("PUT", "/configuration", Fault::rate_limited(Some(RetryAfter::Seconds(7)))).after(1).times(2),
    );
    assert_eq!(send(0).await.unwrap().status(), 204, "the first passes");
    for _ in 0..2 {
        let refused = send(1).await.unwrap();
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    }
    add("PUT", "/configuration", Fault::DropBefore);
    assert!(send(1).await.is_err(), "no answer");
    assert_eq!(users(), 1, "and no effect");
    add("PUT", "/configuration", Fault::DropAfter);
    assert!(send(1).await.is_err(), "no answer");
    assert_eq!(users(), 2, "but an effect");
    assert_eq!(api.standin.api_calls().last().unwrap().status, None);

    add("PUT", "/configuration", Fault::DelayAfter(Duration::from_secs(3600)));
    let asked = send(2);
    tokio::select! {
        answer = asked => panic!("an answer: {answer:?}"),
        () = async { while users() < 3 { tokio::task::yield_now().await } } => {}
    }

    let list = format!("{SYSTEM_POOLS}/acme-pool/users");
    add("GET", "/users", Fault::Truncated);
    let half = api.request("GET", &list).send().await.unwrap();
    assert_eq!(half.status(), 200, "the head arrives");
    assert!(half.bytes().await.is_err(), "the body does not");
    add("*", "/users", Fault::Garbage);
    let garbage = api.request("GET", &list).send().await.unwrap();
    assert_eq!(garbage.status(), 200);
    assert!(garbage.json::<Value>().await.is_err());
    add("GET", "/users", Fault::Delay(Duration::from_millis(20)));
    assert_eq!(api.get(&list).await.0, 200);

    faults.set_list_lag(Duration::from_secs(5));
    assert_eq!(api.get(&list).await.1["users"], json!([]), "lists lag behind");
    api.clock.advance(Duration::from_secs(5));
    assert_eq!(api.get(&list).await.1["users"].as_array().unwrap().len(), 3);
    assert_eq!(faults.fired(), 8);
}

/// Names of the users in the pool, by id.
async fn names(api: &Api) -> Vec<Value> {
    let (_, list) = api.get(&format!("{SYSTEM_POOLS}/acme-pool/users?limit=100")).await;
    list["users"].as_array().unwrap().iter().map(|user| user["payload"]["name"].clone()).collect()
}

fn patch_of(dump: &Value) -> Value {
    let lists = ["users", "user_identifiers", "user_verifiable_addresses", "user_credentials"];
    let add = |list: &'static str| {
        let entries = dump[list].as_array().unwrap().iter();
        entries.map(move |entry| json!({ "op": "add", "path": format!("/{list}/-"), "value": entry }))
    };
    lists.into_iter().flat_map(add).collect()
}

#[tokio::test]
async fn imports_obey_the_mode() {
    let api = Api::start().await;
    api.organization().await;
    let named = |name: &str| {
        let mut dump = tenant_dump(0..2, None, "valid");
        dump["users"][0]["payload"]["name"] = json!(name);
        dump
    };
    let put = async |query: &str, name: &str| api.call("PUT", &format!("{IMPORT}{query}"), named(name)).await.0;
    let patch =
        async |query: &str, name: &str| api.call("PATCH", &format!("{IMPORT}{query}"), patch_of(&named(name))).await.0;
    let first = async || names(&api).await[0].clone();
    assert_eq!((put("", "one").await, first().await), (204, json!("one")));
    assert_eq!((put("", "two").await, first().await), (204, json!("two")), "without a mode it overwrites");
    assert_eq!((put("?mode=update", "three").await, first().await), (204, json!("three")));
    assert_eq!((put("?mode=ignore", "four").await, first().await), (204, json!("three")));
    assert_eq!((put("?mode=fail", "five").await, first().await), (409, json!("three")));
    assert_eq!(put("?mode=replace", "six").await, 400);
    assert_eq!((patch("", "seven").await, first().await), (204, json!("three")), "the documented default is ignore");
    assert_eq!((patch("?mode=update", "eight").await, first().await), (204, json!("eight")));
    let others = json!([{ "op": "remove", "path": "/users/0" }]);
    assert_eq!(api.call("PATCH", IMPORT, others).await.0, 422, "only additions are imitated");

    let faults = api.standin.faults();
    faults.add(FaultRule::new("PUT", "/configuration", Fault::ModeIgnored));
    assert_eq!((put("?mode=update", "nine").await, first().await), (204, json!("eight")));
    faults.add(FaultRule::new("PUT", "/configuration", Fault::ModeRefused).times(2));
    assert_eq!((put("?mode=update", "ten").await, first().await), (400, json!("eight")));
    assert_eq!((put("", "ten").await, first().await), (204, json!("ten")), "no mode, nothing to refuse");
    faults.add(FaultRule::new("PUT", "/organizations/", Fault::FieldIgnored("deactivated")));
    let organization = "/api/system/t/organizations/acme";
    let (status, kept) = api.call("PUT", organization, json!({ "name": "Acme", "deactivated": true })).await;
    assert_eq!((status, &kept["deactivated"]), (200, &json!(false)));
}

#[tokio::test]
async fn rotated_client_secrets_stay_valid_until_they_expire_or_are_revoked() {
    let api = api_with_ann().await;
    let first = "0123456789abcdef0123456789abcdef".to_owned();
    let rotate = async |query: &str| {
        let (status, answer) =
            api.call("POST", &format!("/api/system/t/client/gateway/rotateSecret{query}"), Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer["secret"].as_str().unwrap().to_owned()
    };
    let works = async |secret: &str| {
        let fields = [("grant_type", "authorization_code"), ("code", "none"), ("redirect_uri", CALLBACK)];
        let request = api.http.post(format!("{}/t/acme/oauth2/token", api.base)).basic_auth("gateway", Some(secret));
        let answer: Value = request.form(&fields).send().await.unwrap().json().await.unwrap();
        answer["error"] != "invalid_client"
    };
    let second = rotate("?auto_revoke_after=5m").await;
    assert_eq!((works(&first).await, works(&second).await), (true, true));
    api.clock.advance(Duration::from_secs(301));
    assert_eq!((works(&first).await, works(&second).await), (false, true), "expired");
    let (third, fourth, fifth) = (rotate("").await, rotate("").await, rotate("").await);
    assert_eq!((works(&second).await, works(&third).await, works(&fourth).await), (false, true, true), "two are kept");
    let client = "/api/system/t/client/gateway";
    assert_eq!(api.get(client).await.1["rotated_secrets"], json!([fourth, third]));
    assert_eq!(api.call("POST", &format!("{client}/revokeRotatedSecrets"), Value::Null).await.0, 204);
    assert_eq!((works(&fourth).await, works(&fifth).await), (false, true), "revoked");
    let wrong = format!("{client}/rotateSecret?auto_revoke_after=soon");
    assert_eq!(api.call("POST", &wrong, Value::Null).await.0, 400);
    assert_eq!(api.call("POST", "/api/system/t/client/nobody/rotateSecret", Value::Null).await.0, 404);
    let (status, listed) = api.get("/api/system/t/clients/acme").await;
    assert_eq!((status, &listed["clients"][0]["client_id"]), (200, &json!("gateway")));
    assert_eq!(listed["clients"][0].get("client_secret"), None);
    assert_eq!(api.get("/api/system/t/clients/nowhere").await.0, 404);
}

#[tokio::test]
async fn passwords_are_verified_for_other_systems() {
    let api = api_with_ann().await;
    let verify = format!("{SYSTEM_POOLS}/acme-pool/user/password");
    let v2 = async |body: Value| {
        let (status, answer) = api.call("POST", &format!("{verify}/v2/verify"), body).await;
        assert_eq!(status, 200, "{answer}");
        (answer["id"].as_str().unwrap().to_owned(), answer["result"].as_str().unwrap().to_owned())
    };
    let result = |id: &str, result: &str| (id.to_owned(), result.to_owned());
    let by_name = |password: &str| json!({ "identifier": "ANN", "password": password });
    assert_eq!(v2(by_name("plain secret")).await, result("ann", "password_correct"));
    assert_eq!(v2(json!({ "userID": "ann", "password": "plain secret" })).await, result("ann", "password_correct"));
    assert_eq!(v2(by_name("wrong")).await, result("ann", "password_incorrect"));
    assert_eq!(v2(json!({ "identifier": "nobody", "password": "x" })).await, result("", "user_not_found"));
    let v1 = format!("{verify}/verify");
    assert_eq!(api.call("POST", &v1, by_name("plain secret")).await.0, 200);
    assert_eq!(api.call("POST", &v1, by_name("wrong")).await.0, 401, "the older form answers 401");
    let both = json!({ "identifier": "ann", "userID": "ann", "password": "plain secret" });
    assert_eq!(api.call("POST", &v1, both).await.0, 422);
    api.call("PUT", &format!("{ANN}/password/state"), json!({ "state": "must_be_reset" })).await;
    assert_eq!(v2(by_name("plain secret")).await, result("ann", "password_expired"));
}

#[tokio::test]
async fn codes_are_generated_without_a_mail() {
    let api = api_with_ann().await;
    let new = json!({
        "id": "ben", "status": "new", "identifiers": [{ "identifier": "ben", "type": "uid" }],
        "verifiable_addresses": [{ "address": "ben@mail.example", "type": "email", "status": "active", "verified": false }],
    });
    assert_eq!(api.call("POST", ACME_USERS, new).await.0, 201);
    let ben = format!("{ACME_USERS}/ben");
    let (status, deprecated) = api.call("POST", &format!("{ben}/activation/generate"), json!({})).await;
    assert_eq!((status, deprecated["code_id"].is_string()), (201, true));
    let (status, codes) = api.call("POST", &format!("{ben}/code/generate"), json!({ "type": "activation" })).await;
    assert_eq!(status, 201, "{codes}");
    let activate = json!({ "code": codes["code"], "password": "a first password" });
    assert_eq!(api.call("POST", &format!("{ben}/activate"), activate).await.0, 201);
    assert_eq!(api.submit(&[("username", "ben"), ("password", "a first password")]).await.status(), 303);
    let again = api.call("POST", &format!("{ben}/code/generate"), json!({ "type": "activation" })).await;
    assert_eq!(again.0, 422, "the user is not new");
    let (_, codes) = api.call("POST", &format!("{ANN}/code/generate"), json!({ "type": "reset_password" })).await;
    let complete = json!({ "code": codes["extended_code"], "new_password": "another one" });
    let path = format!("{SYSTEM_POOLS}/acme-pool/user/password/reset/complete");
    assert_eq!(api.call("POST", &path, complete).await.0, 204);
    assert!(api.standin.mails().is_empty());
}

/// Calls that Signpost does not make, for the vendor's OpenAPI files.
#[cfg(vendor_files)]
pub(crate) async fn calls_of_other_systems() -> Vec<secureauth_standin::ApiCall> {
    let api = api_with_ann().await;
    api.standin.record_bodies(true);
    let before = api.standin.api_calls().len();
    let verify = format!("{SYSTEM_POOLS}/acme-pool/user/password/v2/verify");
    let client = "/api/system/t/client/gateway";
    let import = "/api/identity/t/configuration?mode=update";
    for (method, path, body) in [
        ("PATCH", import, patch_of(&tenant_dump(0..2, None, "valid"))),
        ("POST", &format!("{client}/rotateSecret"), Value::Null),
        ("POST", &format!("{client}/revokeRotatedSecrets"), Value::Null),
        ("GET", client, Value::Null),
        ("GET", "/api/system/t/clients/acme", Value::Null),
        ("POST", &verify, json!({ "identifier": "ann", "password": "plain secret" })),
        ("POST", &verify.replace("v2/", ""), json!({ "userID": "ann", "password": "plain secret" })),
        ("POST", &format!("{ANN}/code/generate"), json!({ "type": "reset_password" })),
    ] {
        let (status, answer) = api.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    }
    let new = json!({ "id": "ben", "status": "new", "identifiers": [{ "identifier": "ben", "type": "uid" }] });
    assert_eq!(api.call("POST", ACME_USERS, new).await.0, 201);
    assert_eq!(api.call("POST", &format!("{ACME_USERS}/ben/activation/generate"), json!({})).await.0, 201);
    api.standin.api_calls().split_off(before)
}
