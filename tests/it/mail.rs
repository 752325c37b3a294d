//! Mail: sign-in links through a real SMTP exchange, hostile addresses, kills, refusals, limits.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use secureauth_standin::{FaultMode, ReceivedMail};
use signpost::app::App;
use signpost::db::Schema;
use signpost::sql;
use signpost_core::Random;

use crate::harness::{GATEWAY, TestResponse, World, each_database};

async fn request_links(world: &World, typed: &str) -> TestResponse {
    world.browser().post("/recover/links", &[("username", typed)]).await
}

/// Asks, does the work, and answers the mails that came of it.
async fn request_and_collect(world: &World, typed: &str) -> Vec<ReceivedMail> {
    let before = world.mailbox.mails().len();
    assert_eq!(request_links(world, typed).await.status, StatusCode::OK, "{typed:?}");
    assert_eq!(world.mailbox.mails().len(), before, "nothing is done before the answer");
    world.run_queued_tasks().await;
    world.mailbox.mails().split_off(before)
}

async fn queued_rows(world: &World) -> Vec<String> {
    let rows = world.state.db.all(sql!("SELECT sealed FROM queued_task"), Vec::new()).await.unwrap();
    rows.iter().map(|row| row.text("sealed").unwrap()).collect()
}

#[tokio::test]
async fn sign_in_links_are_emailed() {
    each_database(|world| async move {
        let [mail] = &request_and_collect(&world, "One-Moved@mail.example").await[..] else { panic!("one mail") };
        assert_eq!(
            (mail.from.as_str(), &mail.to[..]),
            ("no-reply@example-pay.example", &["one-moved@mail.example".to_owned()][..])
        );
        assert_eq!(mail.subject(), "Your sign-in pages at Example Pay");
        for part in [mail.text(), mail.html()] {
            assert!(part.contains("http://pay.riverside.example"), "{part}");
            assert!(part.contains("Riverside Water") && part.contains("one-moved"), "{part}");
            assert!(!part.contains("token=") && !part.contains('?'), "plain addresses: {part}");
        }
        let raw = String::from_utf8(mail.raw.clone()).unwrap();
        assert!(raw.contains("Auto-Submitted: auto-generated") && raw.contains("multipart/alternative"), "{raw}");

        let [both] = &request_and_collect(&world, "two-moved").await[..] else { panic!("by username as well") };
        assert!(both.text().contains("http://pay.riverside.example"));
        assert!(both.text().contains(&format!("{GATEWAY}/b/maple-electric")));
        let [private] = &request_and_collect(&world, "patient").await[..] else {
            panic!("private billers are reached this way")
        };
        assert!(private.text().contains(&format!("{GATEWAY}/b/clinic")));
        let [legacy] = &request_and_collect(&world, "one-legacy@mail.example").await[..] else {
            panic!("legacy ones too")
        };
        assert!(legacy.text().contains("http://pay.oakdale.example"));

        let [unknown] = &request_and_collect(&world, "nobody@mail.example").await[..] else { panic!("a polite note") };
        assert_eq!(unknown.to, ["nobody@mail.example"]);
        assert!(unknown.subject().starts_with("No account at Example Pay"), "{}", unknown.subject());
        assert!(!unknown.text().contains("/b/"));
        assert!(request_and_collect(&world, "nobody").await.is_empty(), "there is nowhere to send it");
        assert!(queued_rows(&world).await.is_empty(), "what was sent is gone from the database");
    })
    .await;
}

#[tokio::test]
async fn emails_use_the_locale_of_the_request() {
    let world = World::start().await;
    let mut browser = world.browser();
    browser.accept_language = "es-MX";
    let page = browser.post("/recover/links", &[("username", "one-moved")]).await;
    assert_eq!(page.title(), "Revise su correo electrónico");
    // The form says which language it was in, for those who keep no cookies.
    browser.accept_language = "en";
    browser.post("/recover/links", &[("username", "nobody@mail.example"), ("lang", "es")]).await;
    world.import_billers("[[billers]]\nslug = \"clinic\"\nsecureauth = { sso = true }\n").await;
    browser.post("/b/clinic/reset", &[("username", "patient"), ("lang", "es")]).await;
    browser.post("/recover/links?lang=en", &[("username", "two-moved"), ("lang", "es")]).await;
    world.run_queued_tasks().await;
    let mails = world.mailbox.mails();
    let mail_to = |to: &str| mails.iter().find(|mail| mail.to[0].starts_with(to)).unwrap();
    for (to, subject, text) in [
        ("one-moved", "Sus páginas de inicio de sesión en Example Pay", "Nombre de usuario: one-moved"),
        ("nobody", "No hay ninguna cuenta en Example Pay con este correo electrónico", "Su facturador puede decirle"),
        ("patient", "Su contraseña de The clinic", "Example Pay no guarda esa contraseña"),
    ] {
        let mail = mail_to(to);
        assert_eq!(mail.subject(), subject);
        assert!(mail.text().contains(text) && mail.html().contains(text.split(':').next().unwrap()), "{}", mail.text());
        assert!(mail.html().contains("<html lang=\"es\">"));
    }
    assert_eq!(mail_to("two-moved").subject(), "Your sign-in pages at Example Pay", "a choice counts more");
}

#[tokio::test]
async fn users_sharing_a_username_each_get_their_own_links() {
    each_database(|world| async move {
        world.import_csv("riverside-water", "username,email\nsam,sam.a@mail.example\n").await.unwrap();
        world.import_csv("oakdale-city", "username,email\nsam,sam.b@mail.example\n").await.unwrap();
        let mails = request_and_collect(&world, "SAM").await;
        let to: BTreeSet<&str> = mails.iter().map(|mail| mail.to[0].as_str()).collect();
        assert_eq!(to, BTreeSet::from(["sam.a@mail.example", "sam.b@mail.example"]));
        for mail in &mails {
            let own = if mail.to[0].starts_with("sam.a") { "riverside" } else { "oakdale" };
            assert!(mail.text().contains(own));
            assert_eq!(mail.text().matches("Sign in at").count(), 1, "nothing of the other person");
        }
        let db = &world.state.db;
        db.run(sql!("UPDATE users SET status = 'deleted' WHERE email_key = 'sam.a@mail.example'"), vec![])
            .await
            .unwrap();
        let gone = self::request_and_collect(&world, "sam.a@mail.example").await;
        assert!(gone[0].subject().starts_with("No account"), "deleted users have no account");
    })
    .await;
}

#[tokio::test]
async fn hostile_addresses_get_no_mail_and_inject_no_headers() {
    let world = World::start().await;
    for typed in [
        "ana@mail.example, eve@evil.example",
        "ana@mail.example;eve@evil.example",
        "\"ana\" <ana@mail.example>",
        "<script>alert(1)</script>@mail.example",
        "ana@mail.example>\" BODY=8BITMIME",
        "ana@[127.0.0.1]",
        "ana@localhost",
        "-oQ/tmp@mail.example",
        "ana%evil.example@mail.example",
        "ana@mаil.example",
        "@",
    ] {
        assert!(request_and_collect(&world, typed).await.is_empty(), "{typed:?}");
    }
    for injected in
        ["ana@mail.example%0d%0aBcc:+eve@evil.example", "ana@mail.example%0aSubject:+x", "a%00@mail.example"]
    {
        let answer = world.browser().post_raw("/recover/links", format!("username={injected}").into_bytes()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{injected}");
    }
    assert!(queued_rows(&world).await.is_empty());
    // What stands in the directory is no better than what is typed.
    let odd = "eve,\"eve@mail.example, x@evil.example\"\nmark,mark@mail.example\n";
    world.import_csv("clinic", &format!("username,email\n{odd}")).await.ok();
    assert!(request_and_collect(&world, "eve").await.is_empty());
    let named = "[[billers]]\nslug = \"clinic\"\nname = \"Klinik <b>Ünal</b> & Söhne =?utf-8?q?x?=\"\n";
    world.import_billers(named).await;
    let [mail] = &request_and_collect(&world, "patient").await[..] else { panic!("one mail") };
    assert!(mail.text().contains("Klinik <b>Ünal</b> & Söhne") && !mail.html().contains("<b>"), "{}", mail.html());
}

#[tokio::test]
async fn a_crash_sends_at_most_one_duplicate() {
    each_database(|world| async move {
        assert_eq!(request_links(&world, "one-moved@mail.example").await.status, StatusCode::OK);
        // The look-up; what follows is the mail itself.
        assert!(world.state.mail.run_next_task().await.unwrap());
        world.mailbox.set_fault_mode(FaultMode::Hang);
        let mail = world.state.mail.clone();
        let killed = tokio::spawn(async move { mail.run_next_task().await });
        world.mailbox.wait_for_mails(1).await;
        killed.abort();
        assert!(killed.await.unwrap_err().is_cancelled());
        world.mailbox.set_fault_mode(FaultMode::None);
        let config = (*world.state.config).clone();
        let again = App::build(config, Schema::RequireCurrent, world.clock.clone(), Random::system()).await.unwrap();
        assert!(!again.state.mail.run_next_task().await.unwrap(), "its lease is still good");
        world.advance(Duration::from_secs(41)).await;
        assert!(again.state.mail.run_next_task().await.unwrap());
        assert!(!again.state.mail.run_next_task().await.unwrap());
        let mails = world.mailbox.mails();
        assert_eq!(mails.len(), 2);
        let id = |mail: &ReceivedMail| {
            let raw = String::from_utf8(mail.raw.clone()).unwrap();
            raw.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
        };
        assert_eq!(id(&mails[0]), id(&mails[1]), "mail programs know it for the same");
        assert!(queued_rows(&world).await.is_empty());
        again.state.db.close().await;
    })
    .await;
}

#[tokio::test]
async fn concurrent_instances_send_each_email_once() {
    each_database(|world| async move {
        for n in 0..12 {
            assert_eq!(request_links(&world, &format!("nobody{n}@mail.example")).await.status, StatusCode::OK);
        }
        let config = (*world.state.config).clone();
        let other = App::build(config, Schema::RequireCurrent, world.clock.clone(), Random::system()).await.unwrap();
        let all = |mail: signpost::mail::Mail| async move {
            // A row that another was quicker to take looks like none.
            for _ in 0..60 {
                mail.run_next_task().await.unwrap();
            }
        };
        tokio::join!(all(world.state.mail.clone()), all(other.state.mail.clone()), all(world.state.mail.clone()));
        let to: Vec<String> = world.mailbox.mails().into_iter().map(|mail| mail.to[0].clone()).collect();
        assert_eq!((to.len(), BTreeSet::from_iter(to).len()), (12, 12));
        other.state.db.close().await;
    })
    .await;
}

#[tokio::test]
async fn failed_emails_are_retried_with_backoff_then_abandoned() {
    each_database(|world| async move {
        world.mailbox.set_fault_mode(FaultMode::RejectRecipients(451));
        request_links(&world, "one-moved@mail.example").await;
        world.run_queued_tasks().await;
        let mut tries = 1;
        // Up to 30 seconds before the deadline: a retry that falls on it is already the one that gives up.
        for _ in 1..24 * 60 * 2 {
            world.advance(Duration::from_secs(30)).await;
            if world.state.mail.run_next_task().await.unwrap() {
                tries += 1;
            }
        }
        assert!((40..70).contains(&tries), "{tries} tries in a day");
        assert_eq!(queued_rows(&world).await.len(), 1);
        world.advance(Duration::from_secs(3600)).await;
        assert!(world.state.mail.run_next_task().await.unwrap());
        assert!(queued_rows(&world).await.is_empty(), "given up");

        world.mailbox.set_fault_mode(FaultMode::RejectRecipients(550));
        request_links(&world, "two-moved@mail.example").await;
        world.run_queued_tasks().await;
        assert!(queued_rows(&world).await.is_empty(), "that address will never be taken");
        world.mailbox.set_fault_mode(FaultMode::RejectRecipients(451));
        request_links(&world, "one-legacy@mail.example").await;
        world.run_queued_tasks().await;
        world.mailbox.set_fault_mode(FaultMode::None);
        world.advance(Duration::from_secs(31)).await;
        world.run_queued_tasks().await;
        assert_eq!(world.mailbox.mails().len(), 1, "and what was refused for a while goes out");
    })
    .await;
}

#[tokio::test]
async fn queued_tasks_are_sealed() {
    each_database(|world| async move {
        request_links(&world, "one-moved@mail.example").await;
        let request = queued_rows(&world).await;
        assert!(world.state.mail.run_next_task().await.unwrap());
        let email = queued_rows(&world).await;
        assert_eq!((request.len(), email.len()), (1, 1));
        for row in [&request[0], &email[0]] {
            assert!(!row.contains("one-moved") && !row.contains("riverside"), "{row}");
        }
    })
    .await;
}

#[tokio::test]
async fn emails_are_rate_limited_per_address_and_client() {
    let world = World::start().await;
    for _ in 0..3 {
        assert_eq!(request_and_collect(&world, "one-moved@mail.example").await.len(), 1);
    }
    assert!(request_and_collect(&world, "ONE-moved").await.is_empty(), "the fourth in an hour, by another spelling");
    let mut owner = world.browser();
    world.sign_in(&mut owner, "riverside-water", "one-moved").await;
    let before = world.mailbox.mails().len();
    owner.post("/recover/links", &[("username", "one-moved")]).await;
    world.run_queued_tasks().await;
    assert_eq!(world.mailbox.mails().len(), before + 1, "strangers do not use up the owner's limit");
    let mut statuses = Vec::new();
    for n in 0..19 {
        statuses.push(request_links(&world, &format!("nobody{n}@mail.example")).await.status);
    }
    assert_eq!(statuses[14], StatusCode::OK);
    assert_eq!(statuses[15], StatusCode::TOO_MANY_REQUESTS, "the twenty-first of this client, for whomever");
    assert_eq!(world.browser().post("/reset", &[("username", "x")]).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn without_a_mail_server_links_are_not_offered() {
    let world = World::start().await;
    let mut config = (*world.state.config).clone();
    config.mail.server = None;
    let app = App::build(config, Schema::RequireCurrent, world.clock.clone(), Random::system()).await.unwrap();
    let world = World { router: signpost::app::router(app.state.clone()), state: app.state, ..world };
    assert_eq!(request_links(&world, "one-moved").await.status, StatusCode::NOT_FOUND);
    assert!(!world.browser().get("/recover").await.body.contains("/recover/links"));
    assert_eq!(world.browser().post("/reset", &[("username", "two-moved")]).await.status, StatusCode::OK);
    world.run_queued_tasks().await;
    assert!(queued_rows(&world).await.is_empty());
}
