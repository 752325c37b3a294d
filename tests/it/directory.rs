//! Billers, users, memberships: imports, the look-up, and that a change is seen at once. On both databases.

use signpost::audit::Actor;
use signpost::directory::import_billers::{self, ImportError as BillersError};
use signpost::directory::import_users::ImportError;
use signpost::directory::{Directory, IssuerEndpoint, UserStatus};
use signpost::sql;
use signpost_core::{Slug, Username};

use crate::harness::{PROPAGATION_TIMEOUT, World, each_database, slug, wait_for};

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

async fn billers_of(directory: &Directory, username: &str) -> Vec<Slug> {
    let found = directory.look_up(Some(&name(username))).await.unwrap();
    found.memberships.into_iter().map(|membership| membership.biller.slug).collect()
}

#[tokio::test]
async fn username_lookup_spans_billers_and_normalizes_spelling() {
    each_database(|world| async move {
        let directory = &world.state.directory;
        assert_eq!(billers_of(directory, "two-moved").await, [slug("maple-electric"), slug("riverside-water")]);
        assert_eq!(billers_of(directory, "maple.user").await, [slug("maple-electric")]);
        assert_eq!(billers_of(directory, "ＭＡＰＬＥ.user").await, [slug("maple-electric")]);
        assert_eq!(billers_of(directory, "nobody").await, Vec::<Slug>::new());
        assert!(directory.look_up(None).await.unwrap().memberships.is_empty());
    })
    .await;
}

#[tokio::test]
async fn changes_by_another_process_apply_soon_and_with_the_next_lookup() {
    each_database(|world| async move {
        let other = Directory::new(world.state.db.clone());
        other.billers().await.unwrap();
        world.import_billers("[[billers]]\nslug = \"oakdale-city\"\nname = \"New name\"\npaused = true\n").await;
        let found = other.look_up(Some(&name("one-legacy"))).await.unwrap();
        assert!(found.memberships[0].biller.paused);
        let biller = other.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
        assert_eq!(biller.name, "New name");
        assert_eq!(biller.hosts, ["pay.oakdale.example"], "what the file leaves out stays");
        world.import_billers("[[billers]]\nslug = \"oakdale-city\"\nhosts = []\n").await;
        wait_for(PROPAGATION_TIMEOUT, "the change without hosts", || async {
            let biller = other.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
            (biller.hosts.is_empty() && biller.settings.paused && biller.name == "New name").then_some(())
        })
        .await;
        let own = world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
        assert!(own.hosts.is_empty(), "the process that made the change sees it at once");
    })
    .await;
}

#[tokio::test]
async fn biller_import_is_atomic() {
    each_database(|world| async move {
        let context = import_billers::ImportContext {
            keys: world.state.keys.clone(),
            actor: world.state.actor_context(Actor::System),
            addresses: signpost::config::AddressPolicy::loopback(false),
            own_hosts: vec!["localhost:8080".to_owned()],
        };
        let file = r#"
            [[billers]]
            slug = "good-one"
            name = "Good"
            [[billers]]
            slug = "bad-one"
            name = "Bad"
            state = "active"
            hosts = ["pay.oakdale.example", "not a host", "http://x.example"]
            active_from = "tomorrow"
            rollout = { percent = 101, allow = ["ok", "no\u200bne"] }
            [billers.oidc]
            issuer = "http://issuer.example"
            client_id = ""
            client_secret = { env = "SIGNPOST_NO_SUCH_VARIABLE" }
            id_token_algs = ["none"]
            [[billers]]
            slug = "good-one"
            name = "Again"
        "#;
        let rows = import_billers::parse(file, false).unwrap();
        let Err(BillersError::Invalid(problems)) = world.state.directory.import_billers(rows, &context, false).await
        else {
            panic!("it was taken");
        };
        for expected in [
            "another biller's",
            "not a host",
            "http://x.example",
            "tomorrow",
            "0 to 100",
            "rollout.allow",
            "oidc.issuer",
            "client_id",
            "SIGNPOST_NO_SUCH_VARIABLE",
            "\"none\"",
            "twice",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected} is not reported: {problems:#?}"
            );
        }
        assert!(
            world.state.directory.biller_by_slug(&slug("good-one")).await.unwrap().is_none(),
            "nothing was written"
        );
    })
    .await;
}

#[test]
fn biller_files_are_toml_or_json_and_reject_unknown_fields() {
    let json = r#"[{"slug":"a-biller","name":"A"}]"#;
    assert_eq!(import_billers::parse(json, true).unwrap().len(), 1);
    let times = "[[billers]]\nslug = \"a-biller\"\nname = \"A\"\nactive_from = 2026-11-22T08:00:00Z\n";
    let rows = import_billers::parse(times, false).unwrap();
    assert_eq!(rows[0].patch.active_from.as_deref(), Some("2026-11-22T08:00:00Z"), "a time of TOML");
    assert_eq!(import_billers::parse(r#"{"billers":[{"slug":"a-biller","name":"A"}]}"#, true).unwrap().len(), 1);
    for bad in
        [r#"[{"slug":"a-biller","name":"A","colour":"red"}]"#, r#"[{"slug":"Not A Slug","name":"A"}]"#, "[", "{}"]
    {
        assert!(import_billers::parse(bad, true).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn client_secrets_are_encrypted_at_rest() {
    let world = World::start().await;
    let rows = world.state.db.all(sql!("SELECT settings FROM biller"), Vec::new()).await.unwrap();
    assert!(rows.iter().all(|row| !row.text("settings").unwrap().contains("secret of")));
}

#[tokio::test]
async fn user_import_validates_the_whole_file_before_writing() {
    each_database(|world| async move {
        let text = "username,email,first_name,last_name,status\n\
            fine,fine@mail.example,A,B,active\n\
            ,x@mail.example,,,\n\
            smile😀,x@mail.example,,,\n\
            FINE,other@mail.example,,,\n\
            mail,not-an-address,,,\n\
            odd,odd@mail.example,,,sleeping\n\
            short,row\n";
        let Err(ImportError::Invalid { rows, problems, messages }) = world.import_csv("oakdale-city", text).await
        else {
            panic!("it was taken");
        };
        assert_eq!((rows, problems), (6, 6), "{messages:#?}");
        for (line, says) in [
            (3, "missing"),
            (4, "not allowed"),
            (5, "in line 2 already"),
            (6, "mail address"),
            (7, "sleeping"),
            (8, ""),
        ] {
            let found =
                messages.iter().any(|problem| problem.starts_with(&format!("line {line}:")) && problem.contains(says));
            assert!(found, "line {line} ({says}) is not reported: {messages:#?}");
        }
        assert!(billers_of(&world.state.directory, "fine").await.is_empty(), "nothing was written");
        for (text, says) in [
            ("username,first_name\nx,1\n", "email is missing"),
            ("username|email\nx|1\n", "separated by commas, semicolons or tabs"),
            ("username,email,phone\nx,x@mail.example,1\n", "\"phone\""),
            ("username,email,identifiers.Uid\nx,,x\n", "twice"),
            ("", "missing"),
        ] {
            let error = world.import_csv("oakdale-city", text).await.unwrap_err().to_string();
            assert!(error.starts_with("nothing was written: line 1: ") && error.contains(says), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn user_import_accepts_known_column_names() {
    const BCRYPT: &str = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    each_database(|world| async move {
        let header = "email,payload.first_name,payload.last_name,metadata.roles,identifiers.Uid,credentials.password";
        for (separator, uid) in [(",", "by-comma"), ("\t", "by-tab")] {
            let text = format!(
                "\u{feff}{}\r\n{}\r\n",
                header.replace(',', separator),
                ["a@mail.example", "Ann", "A", "payer|admin", uid, "correct horse"].join(separator)
            );
            assert_eq!(world.import_csv("oakdale-city", &text).await.unwrap().created, 1, "{text}");
        }
        let hashed = format!("username,email,password_hash\nhashed,,{BCRYPT}\n");
        world.import_csv("oakdale-city", &hashed).await.unwrap();
        let sql = sql!(
            "SELECT u.username, u.attributes, p.sealed, u.id FROM users u \
             JOIN user_password p ON p.user_id = u.id ORDER BY u.username"
        );
        let rows = world.state.db.all(sql, Vec::new()).await.unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.text("username").unwrap()).collect();
        assert_eq!(names, ["by-comma", "by-tab", "hashed"]);
        assert_eq!(rows[0].text("attributes").unwrap(), r#"{"roles":["payer","admin"]}"#);
        let open = |at: usize| {
            let (sealed, id) = (rows[at].text("sealed").unwrap(), rows[at].text("id").unwrap());
            world.state.keys.open::<String>(signpost_core::Purpose::Storage, &id, &sealed).unwrap()
        };
        assert!(open(0).starts_with("$argon2id$") && open(0) != open(1), "each with a salt of its own");
        assert_eq!(open(2), BCRYPT);
        for (text, says) in [
            ("username,email,password_hash\nx,,5f4dcc3b5aa765d61d8327deb882cf99\n", "neither a PHC string nor bcrypt"),
            ("username,email,credentials.password,password_hash\nx,,correct horse,$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW\n", "only one"),
            ("username,email,metadata.roles\nx,,[1]\n", "roles"),
        ] {
            let error = world.import_csv("oakdale-city", text).await.unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("correct horse"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn user_import_creates_updates_and_soft_deletes() {
    each_database(|world| async move {
        let header = "username,email,first_name,last_name,status\n";
        let rows: String = (0..2_500).map(|n| format!("user{n},user{n}@mail.example,A,B,active\n")).collect();
        let done = world.import_csv("oakdale-city", &format!("{header}{rows}")).await.unwrap();
        assert_eq!((done.rows, done.created, done.updated), (2_500, 2_500, 0));
        let again = world.import_csv("oakdale-city", &format!("{header}{rows}")).await.unwrap();
        assert_eq!((again.created, again.updated), (0, 2_500), "the same file again changes, and doubles nobody");
        let oakdale = world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
        let user = |n: usize| name(&format!("user{n}"));
        world.import_csv("oakdale-city", &format!("{header}USER7,new@mail.example,A,B,deleted\n")).await.unwrap();
        let gone = world.state.directory.user_by_username(&oakdale.id, &user(7)).await.unwrap().unwrap();
        assert_eq!((gone.status, gone.username.as_str()), (UserStatus::Deleted, "USER7"));
        assert!(billers_of(&world.state.directory, "user7").await.is_empty(), "a deleted user is no membership");
    })
    .await;
}

#[tokio::test]
async fn users_are_merged_by_username_and_email() {
    each_database(|world| async move {
        world
            .import_csv("riverside-water", "username,email\nsame,a@mail.example\nshared,a@mail.example\n")
            .await
            .unwrap();
        world.import_csv("oakdale-city", "username,email\nsame,A@mail.example\nshared,b@mail.example\n").await.unwrap();
        let id = async |biller: &str, username: &str| {
            let biller = world.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap();
            world.state.directory.user_by_username(&biller.id, &name(username)).await.unwrap().unwrap().id
        };
        assert_eq!(id("riverside-water", "same").await, id("oakdale-city", "same").await);
        assert_ne!(id("riverside-water", "shared").await, id("oakdale-city", "shared").await);
        let oakdale = world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
        let user = id("oakdale-city", "same").await;
        assert!(world.state.directory.user_by_id(&oakdale.id, &user).await.unwrap().is_some());
        let maple = world.state.directory.biller_by_slug(&slug("maple-electric")).await.unwrap().unwrap();
        assert!(world.state.directory.user_by_id(&maple.id, &user).await.unwrap().is_none(), "not of another biller");
    })
    .await;
}

#[tokio::test]
async fn interrupted_import_resumes() {
    each_database(|world| async move {
        let rows: String = (0..3_000).map(|n| format!("user{n},user{n}@mail.example\n")).collect();
        let text = format!("username,email\n{rows}");
        world.import_csv("oakdale-city", &text).await.unwrap();
        // As if the process had died after the first batch of a second run.
        let back = sql!(
            "UPDATE import_run SET ended_at = NULL, rows_done = 1000 WHERE ended_at IS NOT NULL AND rows_done = 3000"
        );
        assert_eq!(world.state.db.run(back, Vec::new()).await.unwrap(), 1);
        let done = world.import_csv("oakdale-city", &text).await.unwrap();
        assert_eq!((done.resumed_after, done.updated), (1_000, 2_000));
    })
    .await;
}

#[tokio::test]
async fn username_is_unique_within_a_biller() {
    each_database(|world| async move {
        let insert = sql!(
            "INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at) \
             SELECT username_key, biller_id, user_id, 1, 0 FROM membership WHERE username_key = 'one-legacy'"
        );
        let again = world.state.db.run(insert, Vec::new()).await;
        assert!(matches!(again, Err(signpost::db::DbError::Conflict(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn issuer_health_is_shared_between_instances() {
    each_database(|world| async move {
        let other = Directory::new(world.state.db.clone());
        let biller = other.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        for failures in 1..=3 {
            world
                .state
                .directory
                .record_issuer_failure(&biller, IssuerEndpoint::Metadata, "timeout", world.clock.now())
                .await
                .unwrap();
            let own = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
            assert_eq!(own.health.is_down, failures == 3, "this instance knows at once");
            wait_for(PROPAGATION_TIMEOUT, "the state of the circuit breaker", || async {
                let seen = other.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
                (seen.health.is_down == (failures == 3)).then_some(())
            })
            .await;
        }
        world.state.directory.record_issuer_success(&biller, IssuerEndpoint::Token, world.clock.now()).await.unwrap();
        wait_for(PROPAGATION_TIMEOUT, "the success", || async {
            let seen = other.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
            (!seen.health.is_down && seen.health.failures == 0).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn concurrent_writers_do_not_lose_updates() {
    each_database(|world| async move {
        let biller = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        let writes = (0..50).map(|_| {
            let (directory, biller, now) = (world.state.directory.clone(), biller.clone(), world.clock.now());
            tokio::spawn(async move {
                directory.record_issuer_failure(&biller, IssuerEndpoint::Metadata, "timeout", now).await.unwrap()
            })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap();
        }
        let seen = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        let rows = world.state.db.all(sql!("SELECT failures FROM issuer_health"), Vec::new()).await.unwrap();
        assert_eq!(rows[0].int("failures").unwrap(), 50);
        assert!(seen.health.is_down);
    })
    .await;
}

#[tokio::test]
async fn import_does_not_affect_users_of_other_billers() {
    each_database(|world| async move {
        let ana = |status: &str| format!("username,email,first_name,status\nana,ana@mail.example,Ana,{status}\n");
        let directory = &world.state.directory;
        world.import_csv("riverside-water", &ana("active")).await.unwrap();
        world.import_csv("oakdale-city", &ana("deleted")).await.unwrap();
        assert_eq!(
            billers_of(directory, "ana").await,
            [slug("riverside-water")],
            "never a member, so nothing to delete"
        );
        world.import_csv("oakdale-city", &ana("suspended")).await.unwrap();
        let riverside = directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        let there = directory.user_by_username(&riverside.id, &name("ana")).await.unwrap().unwrap();
        assert_eq!(there.status, UserStatus::Active);
        assert_eq!(billers_of(directory, "ana").await.len(), 2);
        world.import_csv("oakdale-city", &ana("deleted")).await.unwrap();
        assert_eq!(billers_of(directory, "ana").await, [slug("riverside-water")], "she stops belonging here only");
        world.import_csv("riverside-water", &ana("deleted")).await.unwrap();
        assert!(billers_of(directory, "ana").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn vanity_host_can_change_billers_within_a_file_and_public_host_is_reserved() {
    each_database(|world| async move {
        world
            .import_billers(
                "[[billers]]\nslug = \"pinehill-gas\"\nname = \"P\"\nhosts = [\"pay.oakdale.example\"]\n\
                 [[billers]]\nslug = \"oakdale-city\"\nhosts = []\n",
            )
            .await;
        let billers = world.state.directory.billers().await.unwrap();
        assert_eq!(billers.by_host("pay.oakdale.example").unwrap().slug, slug("pinehill-gas"));
        let context = import_billers::ImportContext {
            keys: world.state.keys.clone(),
            actor: world.state.actor_context(Actor::System),
            addresses: signpost::config::AddressPolicy::loopback(true),
            own_hosts: vec!["localhost:8080".to_owned()],
        };
        let file = "[[billers]]\nslug = \"a-new-one\"\nname = \"N\"\nhosts = [\"localhost:8080\"]\n";
        let rows = import_billers::parse(file, false).unwrap();
        assert!(world.state.directory.import_billers(rows, &context, false).await.is_err());
    })
    .await;
}
