//! Changes of users after a biller was moved: to SecureAuth in order, tried again, and mended by a comparison. On both databases.

use std::time::Duration;

use http::{Request, StatusCode};
use secureauth_standin::{Fault, FaultRule, RetryAfter};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::directory::{NewUser, UserStatus, UserUpdate, UserWriteError, WriteContext};
use signpost::provisioning::{EnablementOptions, JobState};
use signpost_core::{BillerId, UserId, Username};

use crate::harness::{PASSWORD, PORTAL, World, each_database, slug};

pub(crate) const BILLER: &str = "pinehill-gas";

/// A moved biller with the users `ann`, `ben` and `cleo` besides the one it has, all with the usual password.
/// Answers the id of its pool.
pub(crate) async fn migrate_biller(world: &World) -> String {
    let hash = secureauth_standin::hash_password(PASSWORD, &world.state.random);
    let row = |name: &str| format!("{name},{name}@mail.example,\"{hash}\",{name},Example\n");
    let rows: String = ["ann", "ben", "cleo"].map(row).concat();
    let header = "username,email,password_hash,first_name,last_name";
    world.import_csv(BILLER, &format!("{header}\n{rows}")).await.unwrap();
    let job =
        world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
    for _ in 0..20 {
        world.state.provisioning.run_next_job().await.unwrap();
        if world.state.provisioning.job(&job.id).await.unwrap().unwrap().state == JobState::Active {
            // Those of billers that no job has moved are forgotten.
            deliver(world).await;
            let steps = world.state.provisioning.steps(&job).await.unwrap();
            return steps.into_iter().find(|step| step.kind == "pool").unwrap().object_id;
        }
        world.advance(Duration::from_secs(3)).await;
    }
    panic!("the biller is not moved");
}

async fn biller(world: &World) -> BillerId {
    world.state.directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap().id.clone()
}

pub(crate) async fn user(world: &World, name: &str) -> UserId {
    let found = world.state.directory.user_by_username(&biller(world).await, &Username::parse(name).unwrap()).await;
    found.unwrap().unwrap_or_else(|| panic!("{name} is there")).id
}

async fn pending(world: &World) -> i64 {
    world.state.directory.backlog_of(&biller(world).await).await.unwrap()
}

/// Delivers until nothing is due.
pub(crate) async fn deliver(world: &World) {
    while world.state.provisioning.deliver().await.unwrap() > 0 {}
}

pub(crate) async fn update_user(world: &World, name: &str, change: UserUpdate) -> UserId {
    let id = user(world, name).await;
    let context = WriteContext { now: world.clock.now(), random: &world.state.random };
    let mut tx = world.state.db.begin().await.unwrap();
    world.state.directory.write_user_update_in(&mut tx, &id, &change, context).await.unwrap();
    tx.commit().await.unwrap();
    id
}

pub(crate) fn status(status: UserStatus) -> UserUpdate {
    UserUpdate { status: Some(status), ..UserUpdate::default() }
}

/// What the pool has of a user, as its export shows it.
async fn pool_state(world: &World, id: &UserId) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    world.state.provisioning.export(&slug(BILLER), &world.actor(), file.reopen().unwrap()).await.unwrap();
    let dump: Value = serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
    let of = |list: &str, field: &str| -> Vec<Value> {
        let entries = dump[list].as_array().unwrap().iter().filter(|entry| entry["user_id"] == id.as_str());
        let mut found: Vec<Value> = entries.map(|entry| entry[field].clone()).collect();
        found.sort_by_key(ToString::to_string);
        found
    };
    let found = dump["users"].as_array().unwrap().iter().find(|user| user["id"] == id.as_str());
    found.map_or(Value::Null, |found| {
        json!({
            "status": found["status"], "name": found["payload"]["given_name"],
            "identifiers": of("user_identifiers", "identifier"),
            "addresses": of("user_verifiable_addresses", "address"),
        })
    })
}

pub(crate) async fn is_in_pool(world: &World, id: &UserId) -> bool {
    !pool_state(world, id).await.is_null()
}

#[tokio::test]
async fn user_changes_are_pushed_to_secureauth() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        assert_eq!(pending(&world).await, 0, "the job has brought everybody");
        let more = UserUpdate {
            username: Some("anna".into()),
            email: Some("anna@new.example".into()),
            first_name: Some("Anna".into()),
            ..UserUpdate::default()
        };
        let ann = update_user(&world, "ann", more).await;
        let ben = update_user(&world, "ben", status(UserStatus::Suspended)).await;
        let cleo = update_user(&world, "cleo", status(UserStatus::Deleted)).await;
        world.import_csv(BILLER, "username,email\ndora,dora@mail.example\n").await.unwrap();
        let dora = user(&world, "dora").await;
        assert_eq!(pending(&world).await, 4);
        deliver(&world).await;
        assert_eq!(pending(&world).await, 0);
        let both = json!(["anna", "anna@new.example"]);
        assert_eq!(
            pool_state(&world, &ann).await,
            json!({ "status": "active", "name": "Anna", "identifiers": both, "addresses": ["anna@new.example"] })
        );
        assert_eq!(pool_state(&world, &ben).await["status"], "inactive");
        assert_eq!(pool_state(&world, &cleo).await, Value::Null);
        assert_eq!(pool_state(&world, &dora).await["identifiers"], json!(["dora", "dora@mail.example"]));
        assert!(
            world.sign_in(&mut world.browser(), BILLER, "anna").await.starts_with(PORTAL),
            "with the password she had, by her new name"
        );
        update_user(&world, "ben", status(UserStatus::Active)).await;
        update_user(&world, "cleo", status(UserStatus::Active)).await;
        deliver(&world).await;
        assert!(world.sign_in(&mut world.browser(), BILLER, "ben").await.starts_with(PORTAL));
        assert_eq!(
            pool_state(&world, &cleo).await["status"],
            "active",
            "made again, with the password that came along"
        );
        assert!(world.sign_in(&mut world.browser(), BILLER, "cleo").await.starts_with(PORTAL));
    })
    .await;
}

#[tokio::test]
async fn failed_pushes_stay_pending_and_are_retried() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        let faults = world.issuers.faults();
        for fault in [
            Fault::status(500),
            Fault::status(422),
            Fault::status(403),
            Fault::token_rejected(),
            Fault::DropBefore,
            Fault::DropAfter,
            Fault::Truncated,
            Fault::Garbage,
        ] {
            let name = format!("Ann {fault:?}");
            let ann =
                update_user(&world, "ann", UserUpdate { first_name: Some(name.clone()), ..UserUpdate::default() })
                    .await;
            faults.add(FaultRule::new("PATCH", "/users/", fault.clone()).times(10));
            assert_eq!(world.state.provisioning.deliver().await.unwrap(), 1);
            let shown = world.state.directory.backlog().await.unwrap();
            assert_eq!((shown.len(), shown[0].1.count, shown[0].1.failing), (1, 1, 1), "{fault:?}");
            assert_eq!(world.state.provisioning.deliver().await.unwrap(), 0, "{fault:?}: not at once");
            faults.clear();
            world.advance(Duration::from_secs(3)).await;
            deliver(&world).await;
            assert_eq!(
                (pending(&world).await, &pool_state(&world, &ann).await["name"]),
                (0, &json!(name)),
                "{fault:?}"
            );
        }
        // Somebody else changes the user between our look and our change.
        update_user(&world, "ann", UserUpdate { first_name: Some("Last".into()), ..UserUpdate::default() }).await;
        faults.add(FaultRule::new("PATCH", "/users/", Fault::status(412)).times(2));
        deliver(&world).await;
        assert_eq!(pending(&world).await, 0, "looked at again");
        // The vendor asks to be left alone.
        update_user(&world, "ann", UserUpdate { first_name: Some("Later".into()), ..UserUpdate::default() }).await;
        faults.add(FaultRule::new("GET", "/users/", Fault::rate_limited(Some(RetryAfter::Seconds(600)))));
        deliver(&world).await;
        let calls = world.issuers.api_calls().len();
        world.advance(Duration::from_secs(10)).await;
        deliver(&world).await;
        assert_eq!((pending(&world).await, world.issuers.api_calls().len()), (1, calls), "not asked again");
    })
    .await;
}

#[tokio::test]
async fn concurrent_workers_converge_on_the_latest_state() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        let ann = user(&world, "ann").await;
        world.issuers.faults().set_latency(Duration::from_millis(5));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let world = (world.state.provisioning.clone(), world.clock.clone());
                tokio::spawn(async move {
                    for _ in 0..40 {
                        world.0.deliver().await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for number in 0..15 {
            let first_name = Some(format!("Ann {number}"));
            update_user(&world, "ann", UserUpdate { first_name, ..UserUpdate::default() }).await;
        }
        for worker in workers {
            worker.await.unwrap();
        }
        world.advance(Duration::from_secs(60)).await;
        deliver(&world).await;
        assert_eq!((pending(&world).await, &pool_state(&world, &ann).await["name"]), (0, &json!("Ann 14")));
    })
    .await;
}

#[tokio::test]
async fn reassigned_usernames_are_pushed() {
    let world = World::start().await;
    migrate_biller(&world).await;
    let (ann, ben) = (user(&world, "ann").await, user(&world, "ben").await);
    for (name, new) in [("ann", "x"), ("ben", "ann"), ("x", "ben")] {
        update_user(&world, name, UserUpdate { username: Some(new.into()), ..UserUpdate::default() }).await;
    }
    for _ in 0..3 {
        deliver(&world).await;
        world.advance(Duration::from_secs(10)).await;
    }
    assert_eq!(pending(&world).await, 0);
    assert_eq!(pool_state(&world, &ann).await["identifiers"], json!(["ann@mail.example", "ben"]));
    assert_eq!(pool_state(&world, &ben).await["identifiers"], json!(["ann", "ben@mail.example"]));
}

#[tokio::test]
async fn memberships_change_and_usernames_stay_unique() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        let (directory, now) = (&world.state.directory, world.clock.now());
        let context = WriteContext { now, random: &world.state.random };
        let new = NewUser {
            username: "Eve".into(),
            email: "eve@mail.example".into(),
            first_name: "Eve".into(),
            last_name: String::new(),
            status: UserStatus::Active,
            attributes: json!({ "roles": ["payer"] }),
        };
        let biller = biller(&world).await;
        let mut tx = world.state.db.begin().await.unwrap();
        let eve = directory.insert_user_in(&mut tx, &new, context).await.unwrap();
        assert!(directory.add_member_in(&mut tx, (&biller, &eve), false, context).await.unwrap());
        assert!(!directory.add_member_in(&mut tx, (&biller, &eve), false, context).await.unwrap(), "already");
        tx.commit().await.unwrap();
        deliver(&world).await;
        assert_eq!(pool_state(&world, &eve).await["identifiers"], json!(["Eve", "eve@mail.example"]));

        let mut tx = world.state.db.begin().await.unwrap();
        let second = directory.insert_user_in(&mut tx, &new, context).await.unwrap();
        let taken = directory.add_member_in(&mut tx, (&biller, &second), false, context).await.unwrap_err();
        assert!(matches!(taken, UserWriteError::UsernameTaken), "{taken:?}");
        drop(tx);
        let mut tx = world.state.db.begin().await.unwrap();
        let nobody = UserId::from_stored("nobody".into());
        let refused =
            directory.write_user_update_in(&mut tx, &nobody, &UserUpdate::default(), context).await.unwrap_err();
        assert!(matches!(refused, UserWriteError::UserNotFound), "{refused:?}");
        assert!(directory.remove_member_in(&mut tx, (&biller, &eve), context).await.unwrap());
        tx.commit().await.unwrap();
        deliver(&world).await;
        assert_eq!(pool_state(&world, &eve).await, Value::Null);
    })
    .await;
}

#[tokio::test]
async fn legacy_billers_enqueue_nothing_and_imports_enqueue_changes() {
    each_database(|world| async move {
        migrate_biller(&world).await;
        world.import_users("oakdale-city", &["only-here"]).await;
        world.import_users("riverside-water", &["not-ours"]).await;
        deliver(&world).await;
        assert!(world.state.directory.backlog().await.unwrap().is_empty(), "not moved by a job of ours");
        // The same person at a legacy biller whose file ends the membership at the moved one.
        world.import_csv("oakdale-city", "username,email\nann,ann@mail.example\n").await.unwrap();
        let ann = user(&world, "ann").await;
        world.import_csv(BILLER, "username,email,status\nann,ann@mail.example,deleted\n").await.unwrap();
        assert_eq!(pending(&world).await, 1);
        deliver(&world).await;
        assert_eq!(pool_state(&world, &ann).await, Value::Null, "no longer this biller's");
        assert_eq!(world.state.directory.billers_of(&ann).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn drift_is_detected_and_repaired_and_foreign_users_are_left_alone() {
    each_database(|world| async move {
        let pool = migrate_biller(&world).await;
        let provisioning = &world.state.provisioning;
        let drift = provisioning.drift(&slug(BILLER)).await.unwrap();
        assert_eq!(
            (drift.directory_users, drift.pool_users, drift.to_repair().count(), drift.unknown.len()),
            (4, 4, 0, 0)
        );
        let management = crate::management::management(&world);
        let (ann, ben) = (user(&world, "ann").await, user(&world, "ben").await);
        management.delete_user(&pool, ann.as_str()).await.unwrap();
        let pooled = management.user(&pool, ben.as_str()).await.unwrap().unwrap();
        let changed = json!({ "payload": { "given_name": "Another" }, "metadata": { "theirs": "stays" } });
        management.patch_user(&pool, &pooled, &changed).await.unwrap();
        management.add_identifier(&pool, ben.as_str(), ("email", "ben@old.example")).await.unwrap();
        let stranger =
            json!({ "id": "stranger", "status": "active", "identifiers": [{ "type": "uid", "identifier": "zoe" }] });
        management.create_user(&pool, &stranger).await.unwrap();
        // As if the mark had been lost.
        let cleo = update_user(&world, "cleo", status(UserStatus::Deleted)).await;
        world.state.directory.discard_user_changes(&biller(&world).await).await.unwrap();
        world.issuers.faults().set_list_lag(Duration::from_secs(3600));

        let drift = provisioning.drift(&slug(BILLER)).await.unwrap();
        assert_eq!(drift.missing, std::slice::from_ref(&ann), "who is only missing in a list that lags is asked for");
        assert_eq!(drift.different, [(ben.clone(), vec!["name", "username"])]);
        world.issuers.faults().clear();
        let drift = provisioning.drift(&slug(BILLER)).await.unwrap();
        assert_eq!(
            (drift.extra.as_slice(), &drift.unknown),
            (&[cleo.clone()][..], &vec![("stranger".into(), "zoe".into())])
        );
        assert!(provisioning.repair(&slug(BILLER), &drift, &world.actor(), || {}).await.unwrap().is_empty());
        let drift = provisioning.drift(&slug(BILLER)).await.unwrap();
        assert_eq!((drift.to_repair().count(), drift.unknown.len(), drift.directory_users), (0, 1, 3));
        let ben = management.user(&pool, ben.as_str()).await.unwrap().unwrap();
        assert_eq!((&ben.payload["given_name"], &ben.metadata["theirs"]), (&json!("ben"), &json!("stays")));
        assert!(management.user(&pool, "stranger").await.unwrap().is_some());
        assert!(
            provisioning
                .drift(&slug("maple-electric"))
                .await
                .unwrap_err()
                .to_string()
                .contains("does not manage its users")
        );
    })
    .await;
}

#[tokio::test]
async fn passwords_are_forwarded_and_never_stored() {
    let world = World::start().await;
    migrate_biller(&world).await;
    let key = async |scope, billers: Option<&str>| {
        let billers = billers.map(|biller| vec![slug(biller)]);
        let new = NewApiKey { name: "crm".into(), scopes: vec![scope], audience: None, billers, expires_at: None };
        world.state.api_keys.create(&new, &world.actor()).await.unwrap()
    };
    let post = async |key: &str, path: String, body: Value| {
        let request = Request::post(format!("/api/v1/users/{path}"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let answer = world.browser().send_with(request, axum::body::Body::from(body.to_string())).await;
        let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, problem["type"].as_str().unwrap_or_default().replace("urn:signpost:problem:", ""))
    };
    let (writer, reader) = (key(Scope::IdentityWrite, None).await, key(Scope::IdentityRead, None).await);
    let other = key(Scope::IdentityWrite, Some("clinic")).await;
    let ann = user(&world, "ann").await;
    let (change, reset) = (format!("{ann}/change-password"), format!("{ann}/reset-request"));
    let passwords = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    let right = passwords(PASSWORD, "a new one, for tests");
    assert_eq!(post(&reader, change.clone(), right.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&other, change.clone(), right.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(post(&writer, "nobody/change-password".into(), right.clone()).await.0, StatusCode::NOT_FOUND);
    let wrong = post(&writer, change.clone(), passwords("wrong", "x")).await;
    assert_eq!(wrong, (StatusCode::UNPROCESSABLE_ENTITY, "wrong_password".into()));
    let typo = post(&writer, change.clone(), json!({ "old_password": "x", "new": "y" })).await;
    assert_eq!(typo.0, StatusCode::BAD_REQUEST);
    world.issuers.faults().add(FaultRule::new("POST", "/change-password", Fault::DropBefore).times(5));
    assert_eq!(
        post(&writer, change.clone(), right.clone()).await,
        (StatusCode::BAD_GATEWAY, "secureauth_unavailable".into())
    );
    world.issuers.faults().clear();
    assert_eq!(post(&writer, change.clone(), right.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(post(&writer, change, right).await.1, "wrong_password", "it is changed");

    assert_eq!(post(&writer, reset.clone(), json!({})).await.0, StatusCode::NO_CONTENT);
    let mail = world.issuers.mails().pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.user.as_str()), ("ann@mail.example", ann.as_str()));
    assert_eq!(post(&writer, reset, json!({ "email": "not-hers@mail.example" })).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.issuers.mails().len(), 1, "nobody learns whether it was hers");
    let legacy = world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
    let name = Username::parse("one-legacy").unwrap();
    let legacy = world.state.directory.user_by_username(&legacy.id, &name).await.unwrap().unwrap().id;
    assert_eq!(post(&writer, format!("{legacy}/reset-request"), json!({})).await.1, "not_at_secureauth");
}

#[tokio::test]
async fn cli_reports_drift_repairs_and_exports() {
    let world = World::start().await;
    migrate_biller(&world).await;
    let ann = update_user(&world, "ann", UserUpdate { first_name: Some("Anna".into()), ..UserUpdate::default() }).await;
    let path = |name: &str| world.folder.path().join(name).display().to_string();
    let run = async |arguments: &[&str]| {
        let (code, out, stderr) = world.command(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        (out, stderr)
    };
    assert!(run(&["outbox"]).await.0.starts_with("pinehill-gas: 1 pending since "));
    let (shown, _) = run(&["sync", BILLER, "--dry-run"]).await;
    assert!(shown.contains("4 users here, 4 at SecureAuth\n1 different\n"), "{shown}");
    assert!(shown.contains(&format!("{ann}  name")) && shown.contains("nothing was changed"), "{shown}");
    assert_eq!(pool_state(&world, &ann).await["name"], "ann");
    assert!(run(&["sync", BILLER]).await.0.contains("1 user(s) repaired"));
    assert_eq!(pool_state(&world, &ann).await["name"], "Anna");
    assert!(run(&["sync", BILLER]).await.0.contains("no differences"));
    let (_, warned) = run(&["export", BILLER, "--output", &path("users.json")]).await;
    assert!(warned.contains("not meant for production") && warned.contains("4 users"), "{warned}");
    let dump: Value = serde_json::from_str(&std::fs::read_to_string(path("users.json")).unwrap()).unwrap();
    assert_eq!(dump["users"].as_array().unwrap().len(), 4);
    deliver(&world).await;
    assert!(run(&["outbox"]).await.0.contains("no pending changes"));
}
