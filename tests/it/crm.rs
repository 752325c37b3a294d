//! What the CRM goes through (requirements 002): a new and an existing biller, each with success, failure and an organization
//! that is there already; and how it watches a job. All over JSON.

use std::time::Duration;

use http::StatusCode;
use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::web::live_router::LiveRouter;
use signpost::web::serve::serve;
use signpost::web::transport::LiveTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::billers_api::ApiClient;
use crate::harness::{GATEWAY, World, now, slug};

const CONFIRM: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";
const SUCCESS: &str = "Organization and users successfully created in SecureAuth.";
const FAILURE: &str = "An error occurred during Organization or user creation. Please contact support.";

const EXISTING: &str = "pinehill-gas";
const NEW: &str = "lakeside-power";

async fn crm(world: &World) -> ApiClient {
    ApiClient::new(world, &[Scope::BillersRead, Scope::BillersWrite, Scope::CiamWrite], None).await
}

/// Switches the toggle under Product > CIAM.
async fn enable_ciam(crm: &ApiClient, biller: &str) -> Value {
    let path = format!("/api/v1/billers/{biller}/ciam");
    let (status, job) = crm.send("PUT", &path, &json!({ "active": true, "mode": "password" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    job
}

/// Sends the wizard's form with the CIAM box ticked.
async fn create_with_ciam(crm: &ApiClient) -> Value {
    let form = json!({ "slug": NEW, "name": "Lakeside Power", "ciam": true });
    let (status, biller) = crm.send("POST", "/api/v1/billers", &form).await;
    assert_eq!(status, StatusCode::CREATED, "{biller}");
    biller["job"].clone()
}

/// The job as it ended, and its biller then.
async fn outcome(world: &World, crm: &ApiClient, job: &Value, biller: &str) -> (Value, Value) {
    assert_eq!((job["state"].as_str(), job["message"].as_str()), (Some("queued"), Some(CONFIRM)));
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    for _ in 0..60 {
        world.state.provisioning.run_next_job().await.unwrap();
        let (_, job) = crm.get(&path).await;
        if matches!(job["state"].as_str(), Some("active" | "rolled_back" | "needs_attention")) {
            return (job, crm.get(&format!("/api/v1/billers/{biller}")).await.1);
        }
        world.advance(Duration::from_secs(3)).await;
    }
    panic!("the job does not end");
}

fn assert_success((job, biller): &(Value, Value), slug: &str) {
    assert_eq!((job["state"].as_str(), job["message"].as_str()), (Some("active"), Some(SUCCESS)));
    assert_eq!(job["done"], job["total"]);
    let ciam = &biller["ciam"];
    assert_eq!((&ciam["active"], &ciam["status"], &ciam["mode"]), (&json!(true), &json!("active"), &json!("password")));
    assert!(ciam["activated_at"].as_str().unwrap() >= now().to_string().as_str(), "{ciam}");
    assert_eq!(ciam["login_url"], format!("{GATEWAY}/b/{slug}"));
}

fn assert_failure((job, biller): &(Value, Value)) {
    assert_eq!((job["state"].as_str(), job["message"].as_str()), (Some("rolled_back"), Some(FAILURE)));
    let reference = job["reference"].as_str().unwrap();
    assert!(reference.len() == 19 && !reference.contains(['I', 'L', 'O', 'U']), "{reference}");
    let ciam = &biller["ciam"];
    assert_eq!(
        (&ciam["active"], &ciam["status"], &ciam["activated_at"]),
        (&json!(false), &json!("legacy"), &json!(null))
    );
}

fn refuse_users(world: &World) {
    world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::status(422)).times(100));
    world.issuers.faults().add(FaultRule::new("POST", "/clients", Fault::status(422)).times(100));
}

/// Makes an organization at SecureAuth behind our back; answers what is there then.
async fn create_organization(world: &World, id: &str) {
    let management = world.management();
    management.create_organization(id, "Made by hand", "not ours").await.unwrap();
    management.set_organization_deactivated(id, true).await.unwrap();
}

#[tokio::test]
async fn existing_biller_is_enabled() {
    let world = World::start().await;
    world.import_users(EXISTING, &["ann", "bob"]).await;
    let crm = crm(&world).await;
    let ended = outcome(&world, &crm, &enable_ciam(&crm, EXISTING).await, EXISTING).await;
    assert_success(&ended, EXISTING);
    assert_eq!(ended.0["done"], 3);
}

#[tokio::test]
async fn failed_enablement_of_an_existing_biller_is_rolled_back() {
    let world = World::start().await;
    let (crm, before) = (crm(&world).await, world.issuers.snapshot());
    refuse_users(&world);
    let ended = outcome(&world, &crm, &enable_ciam(&crm, EXISTING).await, EXISTING).await;
    assert_failure(&ended);
    assert_eq!(world.issuers.snapshot(), before);
    world.issuers.faults().clear();
    let retried = outcome(&world, &crm, &enable_ciam(&crm, EXISTING).await, EXISTING).await;
    assert_success(&retried, EXISTING);
    assert_ne!(retried.0["reference"], ended.0["reference"]);
}

#[tokio::test]
async fn existing_biller_adopts_its_organization() {
    let world = World::start().await;
    create_organization(&world, EXISTING).await;
    let (crm, before) = (crm(&world).await, world.issuers.snapshot());
    refuse_users(&world);
    assert_failure(&outcome(&world, &crm, &enable_ciam(&crm, EXISTING).await, EXISTING).await);
    assert_eq!(world.issuers.snapshot(), before, "it is there, and switched off, as before");
    world.issuers.faults().clear();
    assert_success(&outcome(&world, &crm, &enable_ciam(&crm, EXISTING).await, EXISTING).await, EXISTING);
    let organization = world.management().organization(EXISTING).await.unwrap().unwrap();
    assert_eq!((organization.deactivated, organization.description.as_str()), (false, "not ours"));
}

#[tokio::test]
async fn new_biller_is_enabled_on_creation() {
    let world = World::start().await;
    let crm = crm(&world).await;
    let job = create_with_ciam(&crm).await;
    assert_eq!(crm.get("/api/v1/billers/lakeside-power").await.1["ciam"]["status"], "enabling");
    assert_success(&outcome(&world, &crm, &job, NEW).await, NEW);
}

#[tokio::test]
async fn failed_new_biller_stays_legacy_and_can_be_retried() {
    let world = World::start().await;
    let (crm, before) = (crm(&world).await, world.issuers.snapshot());
    refuse_users(&world);
    assert_failure(&outcome(&world, &crm, &create_with_ciam(&crm).await, NEW).await);
    assert_eq!(world.issuers.snapshot(), before);
    world.issuers.faults().clear();
    assert_success(&outcome(&world, &crm, &enable_ciam(&crm, NEW).await, NEW).await, NEW);
}

#[tokio::test]
async fn new_biller_adopts_an_existing_organization() {
    let world = World::start().await;
    create_organization(&world, NEW).await;
    let (crm, before) = (crm(&world).await, world.issuers.snapshot());
    refuse_users(&world);
    assert_failure(&outcome(&world, &crm, &create_with_ciam(&crm).await, NEW).await);
    assert_eq!(world.issuers.snapshot(), before);
    world.issuers.faults().clear();
    assert_success(&outcome(&world, &crm, &enable_ciam(&crm, NEW).await, NEW).await, NEW);
    assert!(!world.management().organization(NEW).await.unwrap().unwrap().deactivated);
}

/// A client of server-sent events: what came until the stream ended, or until `enough` says so.
async fn listen(
    address: std::net::SocketAddr,
    path: &str,
    key: &str,
    last: Option<&str>,
    enough: impl Fn(&str) -> bool,
) -> String {
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer {key}\r\n{last}Connection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut all, mut part) = (String::new(), [0; 4096]);
    while !enough(&all) {
        match stream.read(&mut part).await.unwrap() {
            0 => break,
            read => all.push_str(std::str::from_utf8(&part[..read]).unwrap()),
        }
    }
    all
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn ids(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn job_events_are_streamed_to_the_end() {
    let world = World::start().await;
    let crm = crm(&world).await;
    let job = enable_ciam(&crm, EXISTING).await;
    let path = format!("/api/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn({
        let (router, stop) = (world.router.clone(), stop.clone());
        async move {
            serve(listener, LiveRouter::new(router), LiveTransport::default(), 64, || Duration::from_secs(5), stop)
                .await
        }
    });

    // Before there is any news: the confirmation. The client goes away and comes back with the event's id.
    let begun = listen(address, &path, crm.key(), None, |all| all.contains("\n\n") && all.contains("data: ")).await;
    assert!(begun.to_lowercase().contains("content-type: text/event-stream"), "{begun}");
    assert_eq!(events(&begun)[0]["message"], CONFIRM);
    let seen = ids(&begun)[0].to_owned();
    let watching = tokio::spawn({
        let (path, key, seen) = (path.clone(), crm.key().to_owned(), seen.clone());
        async move { listen(address, &path, &key, Some(&seen), |_| false).await }
    });
    let (ended, _) = outcome(&world, &crm, &job, EXISTING).await;
    let watched = watching.await.unwrap();
    assert!(!ids(&watched).contains(&seen.as_str()), "what was seen is not told again: {watched}");
    assert_eq!(events(&watched).last(), Some(&ended), "the stream ends with the job: {watched}");

    let last = ids(&watched).last().copied().unwrap().to_owned();
    let over = listen(address, &path, crm.key(), Some(&last), |_| false).await;
    assert!(over.starts_with("HTTP/1.1 204"), "nothing more will come: {over}");
    let foreign = ApiClient::new(&world, &[Scope::BillersRead], Some(&["oakdale-city"])).await;
    let refused = listen(address, &path, foreign.key(), None, |_| false).await;
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn shutdown_closes_event_streams() {
    let world = World::start().await;
    let crm = crm(&world).await;
    // No worker is at it: it would stay queued.
    let job = enable_ciam(&crm, EXISTING).await;
    let path = format!("/api/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let (router, stop) = (world.router.clone(), world.state.shutdown.clone());
        async move {
            serve(listener, LiveRouter::new(router), LiveTransport::default(), 64, || Duration::from_secs(600), stop)
                .await
        }
    });
    let told = std::sync::Arc::new(tokio::sync::Notify::new());
    let watching = tokio::spawn({
        let (told, key) = (told.clone(), crm.key().to_owned());
        async move {
            listen(address, &path, &key, None, |all| {
                if all.contains("data: ") {
                    told.notify_one();
                }
                false
            })
            .await
        }
    });
    told.notified().await;
    world.state.shutdown.cancel();
    assert_eq!(events(&watching.await.unwrap()).len(), 1);
    serving.await.unwrap();
    assert_eq!(
        world.state.directory.biller_by_slug(&slug(EXISTING)).await.unwrap().unwrap().state.as_str(),
        "enabling"
    );
}

#[tokio::test]
async fn login_url_is_emailed_to_the_contact() {
    let world = World::start().await;
    let crm = crm(&world).await;
    let ask = |biller: &str, locale: &str| {
        let (crm, path) = (&crm, format!("/api/v1/billers/{biller}/login-url/email"));
        let body = json!({ "locale": locale });
        async move { crm.send("POST", &path, &body).await }
    };
    let (status, refused) = ask(EXISTING, "en").await;
    assert_eq!((status, refused["type"].as_str()), (StatusCode::CONFLICT, Some("urn:signpost:problem:invalid_state")));
    let (_, refused) = ask("riverside-water", "en").await;
    assert_eq!(refused["type"], "urn:signpost:problem:contact_email_missing");
    assert_eq!(ask("nobody", "en").await.0, StatusCode::NOT_FOUND);

    let contact = json!({ "contact_email": "moves@riverside.example" });
    let (status, biller) = crm.send("PATCH", "/api/v1/billers/riverside-water", &contact).await;
    assert_eq!((status, biller["contact_email"].as_str()), (StatusCode::OK, Some("moves@riverside.example")));
    let (status, answer) = ask("riverside-water", "es").await;
    assert_eq!((status, answer["recipient"].as_str()), (StatusCode::ACCEPTED, Some("m***s@r***e")));
    world.run_queued_tasks().await;
    let [mail] = &world.mailbox.mails()[..] else { panic!("one mail") };
    assert_eq!(mail.to, ["moves@riverside.example"]);
    assert_eq!(mail.subject(), "Riverside Water tiene su propia página de inicio de sesión");
    assert!(
        mail.text().contains("http://pay.riverside.example") && mail.html().contains("http://pay.riverside.example")
    );

    for wrong in ["nobody", "a b@mail.example", "a@mail.example\r\nbcc: x@mail.example"] {
        let (status, refused) =
            crm.send("PATCH", "/api/v1/billers/riverside-water", &json!({ "contact_email": wrong })).await;
        assert_eq!(
            (status, refused["errors"][0]["pointer"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("#/contact_email"))
        );
    }
}

#[tokio::test]
async fn import_does_not_overwrite_a_biller_being_enabled() {
    let world = World::start().await;
    let crm = crm(&world).await;
    enable_ciam(&crm, EXISTING).await;
    let file = format!("[[billers]]\nslug = \"{EXISTING}\"\nstate = \"legacy\"\n");
    let path = world.folder.path().join("billers.toml");
    std::fs::write(&path, file).unwrap();
    let (code, _, errors) = world.command(&["import", "billers", path.to_str().unwrap()]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("cannot change while a job enables pinehill-gas: wait, or run"), "{errors}");
    assert_eq!(
        world.state.directory.biller_by_slug(&slug(EXISTING)).await.unwrap().unwrap().state.as_str(),
        "enabling"
    );
    std::fs::write(&path, format!("[[billers]]\nslug = \"{EXISTING}\"\nname = \"Pinehill\"\n")).unwrap();
    assert_eq!(world.command(&["import", "billers", path.to_str().unwrap()]).await.0, 0, "what the job leaves alone");
}
