//! Erasing and exporting what is stored about a person.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use signpost::access::IdempotencyKey;
use signpost::app::sweep_once;
use signpost::audit::{Action, AuditEvent, EventFilter, list_events};
use signpost::directory::UserStatus;
use signpost::personal_data::{PersonalData, Subject, collect, erase, to_json};
use signpost_core::{UserId, Username};

use crate::harness::{PASSWORD, World, each_database, slug};
use crate::outbox::{deliver, migrate_biller, status, update_user, user};

const NAME: &str = "one-moved";
const TRACES: [&str; 4] = [NAME, "erase.me@mail.example", "quixfirst", "zyxlast"];
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn found(world: &World, id: &UserId) -> PersonalData {
    let subject = Subject::by_id(&world.state, id.clone()).await.unwrap();
    collect(&world.state, vec![subject]).await.unwrap().pop().unwrap()
}

async fn found_by_name(world: &World) -> PersonalData {
    let subjects = Subject::by_username(&world.state, &Username::parse(NAME).unwrap()).await.unwrap();
    collect(&world.state, subjects).await.unwrap().pop().unwrap()
}

fn counts(data: &PersonalData) -> BTreeMap<&'static str, usize> {
    data.counts().into_iter().collect()
}

/// Tables with a text in any column, without regard to case.
fn tables_with(dump: &BTreeMap<String, Vec<String>>, text: &str) -> Vec<String> {
    let has = |rows: &Vec<String>| rows.iter().any(|row| row.to_lowercase().contains(text));
    dump.iter().filter(|(_, rows)| has(rows)).map(|(table, _)| table.clone()).collect()
}

/// Leaves traces of [`NAME`] in every table that can have them. Returns the user's id.
async fn leave_traces(world: &World) -> UserId {
    let hash = secureauth_standin::hash_password(PASSWORD, &world.state.random);
    let csv = format!(
        "username,email,first_name,last_name,password_hash,status\n\
         {NAME},Erase.Me@mail.example,Quixfirst,Zyxlast,\"{hash}\",active\n"
    );
    world.import_csv("riverside-water", &csv).await.unwrap();
    let biller = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
    let user = world.state.directory.user_by_username(&biller.id, &Username::parse(NAME).unwrap()).await;
    let user = user.unwrap().unwrap().id;

    world.sign_in(&mut world.browser(), "riverside-water", NAME).await;
    // Another user under the same browser session.
    let mut shared = world.browser();
    world.sign_in(&mut shared, "riverside-water", NAME).await;
    world.sign_in(&mut shared, "maple-electric", "Maple.User").await;
    let mut browser = world.browser();
    browser.post("/login", &[("username", "ONE-moved")]).await;
    browser.post("/login", &[("username", "erase.me@mail.example")]).await;
    browser.post("/login", &[("username", "two-moved")]).await;
    browser.post("/recover/links", &[("username", NAME)]).await;
    browser.post("/recover/links", &[("username", "two-moved")]).await;

    let actor = world.actor().because("call from One-Moved, ticket 7");
    actor.record_alone(&world.state.db, AuditEvent::new(Action::UserLookedUp)).await.unwrap();
    let actor = world.actor().because("Ms. Zyxlast asked");
    let about = AuditEvent::new(Action::UserUpdated).about(user.as_str());
    actor.record_alone(&world.state.db, about).await.unwrap();
    let rollout = (&world.actor(), Action::RolloutUpdated);
    let listed = vec![NAME.to_owned(), "two-moved".to_owned()];
    let change = |biller: &mut signpost::directory::Biller| biller.settings.rollout.allow = Some(listed);
    world.state.directory.update_biller(&slug("riverside-water"), rollout, change).await.unwrap();
    let mut tx = world.state.db.begin().await.unwrap();
    let key = IdempotencyKey::parse("key", "once", b"request").unwrap();
    assert!(key.claim(&mut tx, world.state.clock.now()).await.unwrap());
    key.store_response_in(&mut tx, 201, &format!(r#"{{"id":"{user}","username":"{NAME}"}}"#)).await.unwrap();
    tx.commit().await.unwrap();
    world.state.decisions.flush().await;
    user
}

#[tokio::test]
async fn no_trace_of_an_erased_user_is_left() {
    each_database(|world| async move {
        let user = leave_traces(&world).await;
        let before = world.dump_tables().await;
        let named = ["audit_event", "biller", "biller_session", "idempotency", "membership", "users"];
        assert_eq!(tables_with(&before, NAME), named, "the test leaves traces");
        assert_eq!(tables_with(&before, "zyxlast"), ["audit_event", "users"]);

        let data = found(&world, &user).await;
        let expected = BTreeMap::from([
            ("users", 1),
            ("membership", 1),
            ("user_password", 1),
            ("subject_pin", 1),
            ("biller_session", 2),
            ("session", 1),
            ("decision_log", 2),
            ("audit_event", 2),
            ("queued_task", 1),
            ("idempotency", 1),
            ("biller", 1),
        ]);
        let mut counted = counts(&data);
        // Sign-ins are decisions as well.
        assert!(counted.insert("decision_log", 2).unwrap() >= 2);
        assert_eq!(counted, expected);

        erase(&world.state, &data, &world.actor().because("request 4711")).await.unwrap();
        let after = world.dump_tables().await;
        for trace in TRACES {
            assert_eq!(tables_with(&after, trace), [""; 0], "{trace}");
        }
        for table in ["user_password", "queued_task", "subject_pin", "biller_session", "decision_log", "membership"] {
            let gone = before[table].len() - after[table].len();
            assert_eq!(gone, counts(&data)[table], "{table}: only rows of the user are deleted");
        }
        for (_, rows) in before.iter().filter(|(table, _)| ["user_password", "queued_task"].contains(&table.as_str())) {
            let sealed = rows.iter().filter(|row| !after.values().flatten().any(|kept| kept == *row)).count();
            assert_eq!(sealed, 1, "the sealed value of the user, and no other, is gone");
        }
        assert_eq!(tables_with(&after, user.as_str()), ["audit_event", "user_change", "users"], "the id stays");
        assert_eq!(before["session"].len() - after["session"].len(), 1, "the shared browser session stays");
        assert!(after["idempotency"][0].contains("{}"), "{:?}", after["idempotency"]);
        // PostgreSQL doubles the quotes.
        let settings = after["biller"].join("").replace(r#""""#, r#"""#);
        assert!(settings.contains(r#""allow":["two-moved"]"#), "{settings}");

        let events = list_events(&world.state.db, &EventFilter::default(), None, 100).await.unwrap();
        let event = |action: Action| events.iter().find(|event| event.action == action.as_str()).unwrap();
        let erased = event(Action::UserErased);
        assert_eq!((erased.subject.as_deref(), erased.reason.as_deref()), (Some(user.as_str()), Some("request 4711")));
        assert_eq!(erased.details["biller_session"], 2);
        let looked_up = event(Action::UserLookedUp);
        assert_eq!(looked_up.reason.as_deref(), Some("call from [erased], ticket 7"));
        assert_eq!((looked_up.actor.name.as_str(), looked_up.at), ("tester", world.state.clock.now()));
        assert_eq!(event(Action::UserUpdated).reason.as_deref(), Some("Ms. [erased] asked"));

        assert!(!erase(&world.state, &data, &world.actor()).await.unwrap(), "another instance was faster");
        for again in [found(&world, &user).await, found_by_name(&world).await] {
            assert!(again.is_empty(), "{:?}", counts(&again));
            erase(&world.state, &again, &world.actor()).await.unwrap();
        }
        assert_eq!(world.dump_tables().await, after, "a second erasure changes nothing");
        assert!(world.state.directory.user_record(&user, None).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn decisions_after_an_erasure_are_erased_by_username() {
    each_database(|world| async move {
        let user = leave_traces(&world).await;
        erase(&world.state, &found(&world, &user).await, &world.actor()).await.unwrap();
        world.browser().post("/login", &[("username", NAME)]).await;
        let data = found_by_name(&world).await;
        assert_eq!(
            data.counts().into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>(),
            [("decision_log", 1)]
        );
        erase(&world.state, &data, &world.actor()).await.unwrap();
        assert!(found_by_name(&world).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn erased_and_long_deleted_users_are_gone_at_secureauth() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        let in_pool = async |id: &UserId| crate::outbox::is_in_pool(&world, id).await;
        let ann = user(&world, "ann").await;
        erase(&world.state, &found(&world, &ann).await, &world.actor()).await.unwrap();
        assert!(in_pool(&ann).await, "the deletion is queued");
        deliver(&world).await;
        assert!(!in_pool(&ann).await);

        let ben = update_user(&world, "ben", status(UserStatus::Deleted)).await;
        deliver(&world).await;
        assert!(!in_pool(&ben).await);
        let retention = u32::try_from(world.state.config.audit.deleted_user_retention_days).unwrap();
        world.advance(DAY * (retention - 1)).await;
        sweep_once(&world.state).await.unwrap();
        assert!(!found(&world, &ben).await.is_empty(), "within the retention");
        world.advance(DAY * 2).await;
        sweep_once(&world.state).await.unwrap();
        assert!(found(&world, &ben).await.is_empty(), "after the retention");
        assert_eq!(tables_with(&world.dump_tables().await, "ben@mail.example"), [""; 0]);
        assert_ne!(tables_with(&world.dump_tables().await, "cleo@mail.example"), [""; 0], "who is not deleted stays");
        let filter = EventFilter { action: Some(Action::UserErased), ..EventFilter::default() };
        let events = list_events(&world.state.db, &filter, None, 10).await.unwrap();
        let who = events.iter().map(|event| (event.actor.kind.as_str(), event.subject.as_deref().unwrap()));
        assert_eq!(who.collect::<Vec<_>>(), [("system", ben.as_str()), ("cli", ann.as_str())]);
    })
    .await;
}

#[tokio::test]
async fn export_has_everything_but_secrets() {
    each_database(|world| async move {
        let user = leave_traces(&world).await;
        let before = world.dump_tables().await;
        let document = to_json(&world.state, &found(&world, &user).await).await.unwrap();
        assert_eq!(document["record"]["email"], "Erase.Me@mail.example");
        assert_eq!(document["record"]["last_name"], "Zyxlast");
        let lengths = |list: &str| document[list].as_array().unwrap().len();
        let expected = [
            ("memberships", 1),
            ("pinned_subjects", 1),
            ("sessions", 2),
            ("browser_sessions", 1),
            ("queued_tasks", 1),
            ("stored_responses", 1),
            ("allow_lists", 1),
        ];
        for (list, length) in expected {
            assert_eq!(lengths(list), length, "{list}: {document:#}");
        }
        assert!(lengths("decisions") >= 2 && lengths("audit_events") >= 1);
        assert_eq!(document["sessions"][0]["id_token"], "stored, not exported");
        assert_eq!(document["password"]["hash"], "stored, not exported");
        let text = document.to_string();
        for row in before["user_password"].iter().chain(&before["queued_task"]) {
            let sealed = row.split([',', '\'', '(', ')']).max_by_key(|column| column.len()).unwrap();
            assert!(sealed.len() > 40 && !text.contains(sealed), "{sealed}");
        }
        let guide = include_str!("../../docs/guides/personal-data.md");
        let undocumented = field_names(&document).into_iter().filter(|name| !guide.contains(&format!("`{name}`")));
        assert_eq!(undocumented.collect::<Vec<_>>(), [""; 0]);
    })
    .await;
}

/// Fields of the document and of the objects in its lists. Details of decisions and events are documented elsewhere.
fn field_names(document: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in document.as_object().unwrap() {
        names.push(name.clone());
        let object = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        names.extend(object.as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
    }
    names
}

#[tokio::test]
async fn command_line_erases_and_exports() {
    let world = World::with_system_clock().await;
    let user = leave_traces(&world).await;
    let export = world.folder.path().join("export.json");
    let export = export.to_str().unwrap();
    let (code, output, error) = world.command(&["users", "export-data", NAME, "--output", export]).await;
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("bytes"), "{output}");
    assert_eq!(std::fs::metadata(export).unwrap().permissions().mode() & 0o777, 0o600);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(export).unwrap()).unwrap();
    assert_eq!(document["id"], user.as_str());
    let (code, _, error) = world.command(&["users", "export-data", NAME, "--output", export]).await;
    assert_eq!((code, error.contains("name a file that does not exist yet")), (1, true), "{error}");

    let before = world.dump_tables().await;
    for (arguments, expected, says) in [
        (&["--reason", "request 4711"][..], 4, "needs a confirmation: add --yes"),
        (&["--reason", "One-Moved asked", "--yes"], 1, "--reason names the user"),
    ] {
        let (code, _, error) = world.command(&[&["users", "erase", NAME], arguments].concat()).await;
        assert_eq!((code, error.contains(says)), (expected, true), "{error}");
    }
    let (code, output, _) = world.command(&["users", "erase", NAME, "--reason", "x", "--dry-run"]).await;
    assert_eq!((code, output.contains("2  biller_session: ")), (0, true), "{output}");
    assert_eq!(world.dump_tables().await, before, "nothing was changed");

    let erase = ["users", "erase", "--id", user.as_str(), "--reason", "request 4711", "--yes"];
    let (code, output, error) = world.command(&erase).await;
    assert_eq!((code, output.contains("The data is erased.")), (0, true), "{output}{error}");
    let after = world.dump_tables().await;
    for trace in TRACES {
        assert_eq!(tables_with(&after, trace), [""; 0], "{trace}");
    }
    for who in [&["--id", user.as_str()][..], &[NAME]] {
        let (code, output, error) = world.command(&[&["users", "erase", "--reason", "x", "--yes"], who].concat()).await;
        assert_eq!((code, output.contains("There is nothing to erase")), (0, true), "{output}{error}");
    }
    let csv = "username,email,status\ntwo-moved,another@mail.example,active\n";
    world.import_csv("pinehill-gas", csv).await.unwrap();
    let (code, _, error) = world.command(&["users", "erase", "two-moved", "--reason", "x", "--yes"]).await;
    assert_eq!((code, error.contains("name one by --id: ")), (1, true), "{error}");
    let (code, _, error) = world.command(&["users", "export-data", "no-such-user"]).await;
    assert_eq!((code, error.contains("no data about the username no-such-user is stored")), (1, true), "{error}");
}
