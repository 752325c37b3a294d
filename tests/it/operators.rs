//! What operators do by the command line: exit codes, and the texts that people and scripts rely on.

use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::access::Scope;

use crate::billers_api::ApiClient;
use crate::harness::World;

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
    let maple = world.state.directory.biller_by_slug(&crate::harness::slug("maple-electric")).await.unwrap().unwrap();
    assert_eq!(maple.settings.oidc.as_ref().unwrap().client_id, "second");
}
