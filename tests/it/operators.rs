//! What operators do by the command line: exit codes, and the texts that people and scripts rely on.

use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};

use crate::billers_api::ApiClient;
use crate::harness::{PROPAGATION_TIMEOUT, World, wait_for};

const CONFIRM: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";
const SUCCESS: &str = "Organization and users successfully created in SecureAuth.";
const FAILURE: &str = "An error occurred during Organization or user creation. Please contact support.";
const BILLER: &str = "pinehill-gas";

#[tokio::test]
async fn check_reports_readiness_by_exit_code() {
    let world = World::with_system_clock().await;
    let (code, card, _) = world.command(&["check", "--biller", "maple-electric"]).await;
    assert_eq!((code, card.lines().count()), (0, 10), "{card}");
    assert!(card.lines().all(|line| line.starts_with("pass     ")), "{card}");
    let (code, card, why) = world.command(&["check", "--biller", "cedar-county"]).await;
    assert!(
        code == 1 && card.starts_with("fail     issuer ") && why.contains("cedar-county is not ready"),
        "{card}{why}"
    );

    let (code, card, _) = world.command(&["check", "--biller", "riverside-water", "--json"]).await;
    let card: Value = serde_json::from_str(&card).unwrap();
    assert_eq!((code, &card["biller"], &card["status"]), (0, &json!("riverside-water"), &json!("warning")));
    let (code, card, _) = world.command(&["check", "--biller", "cedar-county", "--json"]).await;
    assert_eq!((code, card.lines().count()), (1, 1), "one object, red or not");
    assert_eq!(serde_json::from_str::<Value>(&card).unwrap()["status"], "fail");
    let (code, card, why) = world.command(&["check", "--biller", "nobody"]).await;
    assert!(code == 1 && card.is_empty() && why.contains("there is no biller nobody"), "{why}");
}

#[tokio::test]
async fn biller_is_enabled_suspended_and_resumed() {
    let world = World::with_system_clock().await;
    let (code, out, stderr) = world.command(&["jobs"]).await;
    assert!(code == 0 && out.is_empty() && stderr.contains("no jobs yet"), "{stderr}");
    let (code, out, stderr) = world.command(&["enable", BILLER, "--mode", "mfa", "--watch"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(CONFIRM), "{stderr}");
    let (job, done) = out.split_once('\n').unwrap();
    let id = job.strip_prefix("job ").unwrap();
    assert!(done.starts_with(&format!("{id}  {BILLER}  active  1/1 users  ")) && done.contains(SUCCESS), "{done}");
    let (_, jobs, _) = world.command(&["jobs"]).await;
    assert!(jobs.contains(id) && jobs.contains("organization confirmed   pinehill-gas\n"), "{jobs}");

    for (arguments, code, says) in [
        (["enable", BILLER], 1, "pinehill-gas is active: it is already enabled"),
        (["suspend", BILLER], 0, "pinehill-gas is suspended"),
        (["enable", BILLER], 1, "`signpost resume` activates it again"),
        (["check", "--biller=pinehill-gas"], 0, "`signpost resume pinehill-gas`"),
        (["resume", BILLER], 0, "pinehill-gas is active again"),
        (["suspend", "oakdale-city"], 1, "oakdale-city is legacy"),
        (["sync", "oakdale-city"], 1, "oakdale-city was not enabled by Signpost"),
        (["enable", "nobody"], 1, "there is no biller nobody"),
    ] {
        let (exit, out, stderr) = world.command(&arguments).await;
        assert_eq!(exit, code, "{arguments:?}: {out}{stderr}");
        assert!(format!("{out}{stderr}").contains(says), "{arguments:?}: {out}{stderr}");
        assert!(code == 0 || !stderr.contains(CONFIRM), "nothing is announced that does not happen: {stderr}");
    }
}

#[tokio::test]
async fn failed_enablement_reports_its_reference_code() {
    let world = World::start().await;
    let before = world.issuers.snapshot();
    world.issuers.faults().add(FaultRule::new("POST", "/clients", Fault::status(422)).times(100));
    let (code, out, stderr) = world.command(&["enable", BILLER, "--watch"]).await;
    assert_eq!(code, 1);
    let said = stderr.lines().last().unwrap();
    let reference = said.strip_prefix(&format!("signpost: {FAILURE} Reference: ")).unwrap();
    assert!(out.contains(&format!("  {BILLER}  rolled_back  ")) && out.contains(reference), "{out}");
    assert_eq!(world.issuers.snapshot(), before, "nothing is left");
    assert!(world.command(&["jobs"]).await.1.contains(reference), "support finds the job by it");
}

#[tokio::test]
async fn change_requested_by_api_key_needs_approval() {
    let world = World::start().await;
    let (code, out, stderr) = world.command(&["billers", "pending"]).await;
    assert!(code == 0 && out.is_empty() && stderr.contains("no pending approvals"), "{stderr}");
    let crm = ApiClient::for_person(&world, "crm", &[Scope::BillersWrite]).await;
    let oidc = |client: &str| json!({ "oidc": { "issuer": world.issuer("clinic"), "client_id": client, "client_secret": "x" } });
    let ask = async |client: &str| {
        crm.send("PATCH", "/api/v1/billers/maple-electric", &oidc(client)).await;
        let (_, waiting, _) = world.command(&["billers", "pending"]).await;
        assert!(waiting.contains("  maple-electric  issuer ") && waiting.contains(client), "{waiting}");
        waiting.split("  ").next().unwrap().to_owned()
    };
    let id = ask("first").await;
    assert!(world.command(&["billers", "reject", &id]).await.1.contains("rejected"));
    let id = ask("second").await;
    assert!(world.command(&["billers", "approve", &id]).await.1.contains("approved"));
    let (code, _, why) = world.command(&["billers", "approve", &id]).await;
    assert!(code == 1 && why.contains("no pending change"), "{why}");
    wait_for(PROPAGATION_TIMEOUT, "the approved client", || async {
        let maple = world.state.directory.biller_by_slug(&crate::harness::slug("maple-electric")).await;
        (maple.unwrap().unwrap().settings.oidc.as_ref()?.client_id == "second").then_some(())
    })
    .await;
    let (_, key, _) = world.command(&["keys", "create", "--name", "crm", "--scope", "billers:write"]).await;
    ApiClient::of(&world, key.trim()).send("PATCH", "/api/v1/billers/maple-electric", &oidc("third")).await;
    let (_, waiting, _) = world.command(&["billers", "pending"]).await;
    assert!(waiting.contains(" for local command line at "), "{waiting}");
    let (code, _, why) = world.command(&["billers", "approve", waiting.split("  ").next().unwrap()]).await;
    assert!(code == 1 && why.contains("both act for local command line"), "{why}");
}

/// Creates a key for a person, and returns the key and a file that contains it.
async fn operator_key(world: &World, person: &str, more: &[&str]) -> (String, String) {
    let create = ["keys", "create", "--name", person, "--for", person];
    let (code, key, stderr) = world.command(&[&create, more].concat()).await;
    assert_eq!(code, 0, "{stderr}");
    let file = world.folder.path().join(person).display().to_string();
    std::fs::write(&file, &key).unwrap();
    (key.trim().to_owned(), file)
}

#[tokio::test]
async fn an_operator_key_acts_as_its_person() {
    let world = World::with_system_clock().await;
    let scopes = ["--scope", "billers:read", "--scope", "billers:write", "--scope", "keys:write"];
    let (ann_key, ann) = operator_key(&world, "ann", &scopes).await;
    let (_, bob) = operator_key(&world, "bob", &scopes).await;
    assert_eq!(world.command(&["pause", "oakdale-city", "--as", &ann]).await.0, 0);
    let mut by_environment = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
    by_environment.arg("--config").arg(world.settings_file()).args(["unpause", "oakdale-city"]);
    let output = by_environment.env("SIGNPOST_OPERATOR_KEY_FILE", &bob).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let portal = json!({ "portal_url": "https://portal.example/in" });
    ApiClient::of(&world, &ann_key).send("PATCH", "/api/v1/billers/maple-electric", &portal).await;
    let (_, waiting, _) = world.command(&["billers", "pending", "--as", &bob]).await;
    assert!(waiting.contains(" for person ann at "), "{waiting}");
    let id = waiting.split("  ").next().unwrap();
    let (_, child, _) =
        world.command(&["keys", "create", "--as", &ann, "--name", "child", "--scope", "billers:write"]).await;
    let child_file = world.folder.path().join("child").display().to_string();
    std::fs::write(&child_file, child).unwrap();
    let (_, keys, _) = world.command(&["keys", "list"]).await;
    assert!(keys.contains("  child  of person ann  [billers:write]  valid, "), "{keys}");
    let (_, late) = operator_key(&world, "carol", &scopes).await;
    for (approver, refused) in
        [(&ann, "both act for person ann"), (&child_file, "both act for person ann"), (&late, "requested at")]
    {
        let (code, _, why) = world.command(&["billers", "approve", id, "--as", approver]).await;
        assert!(code == 1 && why.contains(refused), "{why}");
    }
    let (code, _, why) = world.command(&["billers", "approve", id, "--as", &bob]).await;
    assert_eq!(code, 0, "{why}");

    let (_, out, _) = world.command(&["audit", "--actor", "key", "--format", "jsonl"]).await;
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done: Vec<_> = events
        .iter()
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&event["actor"]["name"]), text(&event["actor"]["principal"]), text(&event["action"]))
        })
        .collect();
    assert_eq!(
        done,
        [
            ("bob", "person bob", "change.approved"),
            ("ann", "person ann", "key.created"),
            ("ann", "person ann", "change.requested"),
            ("bob", "person bob", "biller.unpaused"),
            ("ann", "person ann", "biller.paused")
        ]
        .map(|(name, principal, action)| (name.to_owned(), principal.to_owned(), action.to_owned()))
    );
}

#[tokio::test]
async fn a_refused_operator_key_changes_nothing() {
    let world = World::with_system_clock().await;
    let (_, reader) = operator_key(&world, "reader", &["--scope", "billers:read"]).await;
    let (_, narrow) =
        operator_key(&world, "narrow", &["--scope", "billers:write", "--scope", "keys:write", "--biller", "clinic"])
            .await;
    let (revoked_key, revoked) = operator_key(&world, "revoked", &["--scope", "billers:write"]).await;
    assert_eq!(world.command(&["keys", "revoke", &revoked_key]).await.0, 0);
    let file = |name: &str, text: &str| {
        let path = world.folder.path().join(name).display().to_string();
        std::fs::write(&path, text).unwrap();
        path
    };
    let expires_at = Some(world.clock.now());
    let new = NewApiKey {
        name: "expired".into(),
        scopes: vec![Scope::BillersWrite],
        audience: None,
        billers: None,
        expires_at,
    };
    let expired = file("expired", &world.state.api_keys.create(&new, &world.actor()).await.unwrap());
    let other = World::with_system_clock().await;
    let unknown = file("unknown", &operator_key(&other, "other", &["--scope", "billers:write"]).await.0);
    let malformed = file("malformed", "nonsense");
    let before = world.dump_tables().await;
    let pause = ["pause", "oakdale-city"];
    let create = ["keys", "create", "--name", "k", "--scope", "billers:write"];
    for (command, key, says) in [
        (&pause[..], "/no/such/key", &["cannot act as the key in /no/such/key", "No such file"][..]),
        (&pause, &malformed, &["not an API key"]),
        (&pause, &revoked_key, &["--as takes a file"]),
        (&pause, &unknown, &["the database has no API key with the id"]),
        (&pause, &revoked, &[&revoked_key[3..15], "was revoked at"]),
        (&pause, &expired, &["expired at", "it is"]),
        (&["jobs"], &expired, &["expired at"]),
        (&pause, &reader, &["[billers:read]", "needs billers:write"]),
        (&["enable", "oakdale-city"], &narrow, &["needs ciam:write"]),
        (&pause, &narrow, &["is limited to clinic", "oakdale-city"]),
        (&["kill-switch", "hold"], &narrow, &["is limited to clinic", "all billers"]),
        (&create, &narrow, &["[billers:write keys:write] at clinic", "the new key [billers:write]"]),
        (&[&create[..], &["--biller", "clinic", "--for", "me"]].concat(), &narrow, &["--for", "person narrow"]),
    ] {
        let (code, out, why) = world.command(&[command, &["--as", key]].concat()).await;
        assert_eq!((code, out.as_str()), (1, ""), "{command:?}: {why}");
        for part in says {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(!why.contains(&revoked_key), "{why}");
    }
    let mut after = world.dump_tables().await;
    // When a key was used last.
    after.insert("api_key".to_owned(), before["api_key"].clone());
    assert_eq!(after, before);
}
