//! The doors: what each kind of arrival gets, and that odd input gets a clear answer.

use std::time::Duration;

use http::{Request, StatusCode};
use signpost::access::Client;
use signpost::directory::IssuerEndpoint;
use signpost::secureauth::ProviderError;
use signpost::sql;
use signpost::web::registrations;

use crate::harness::{
    Browser, GATEWAY, LEGACY, MIGRATED, PROPAGATION_TIMEOUT, TestResponse, World, each_database, slug, wait_for,
};

async fn submit_username(browser: &mut Browser, name: &str) -> crate::harness::TestResponse {
    browser.post("/login", &[("username", name)]).await
}

#[tokio::test]
async fn routing_rows_lead_to_their_outcomes() {
    let world = World::start().await;
    let mut browser = world.browser();
    let legacy = format!("{LEGACY}/login?token=");
    for name in ["nobody", "one-legacy", "moved-and-legacy", "two-legacy", "switched-off", "patient"] {
        let answer = submit_username(&mut browser, name).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}");
        assert!(answer.location().starts_with(&legacy), "{name}: {}", answer.location());
    }
    let notice = submit_username(&mut browser, " One-Moved ").await;
    assert_eq!((notice.status, notice.title()), (StatusCode::OK, "Riverside Water has a new sign-in page"));
    assert!(notice.body.contains("http://pay.riverside.example<"), "the stable address as text: {}", notice.body);
    assert!(!notice.body.contains(&world.issuer_base), "no one-time address of the identity provider");
    let recovery = submit_username(&mut browser, "two-moved").await;
    assert_eq!(recovery.status, StatusCode::OK);
    for name in ["riverside", "maple"] {
        assert!(!recovery.body.contains(name), "row 5 names {name}");
    }
    assert!(recovery.body.contains("value=\"two-moved\""), "the username is typed once");
}

#[tokio::test]
async fn three_issuer_failures_open_the_circuit() {
    let world = World::start().await;
    let mut browser = world.browser();
    assert_eq!(submit_username(&mut browser, "issuer-down").await.status, StatusCode::OK, "nobody has asked it yet");
    for _ in 0..3 {
        let answer = browser.get("/b/cedar-county").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains("Cedar County"), "the outage page says whose: {}", answer.title());
        world.advance(std::time::Duration::from_secs(5)).await;
    }
    let answer = submit_username(&mut browser, "issuer-down").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "row 8");
    world.issuers.set_issuer_state("cedar-county", secureauth_standin::IssuerState::Up);
    let biller = world.state.directory.biller_by_slug(&crate::harness::slug("cedar-county")).await.unwrap().unwrap();
    assert!(signpost::web::registrations::probe_and_record(&world.state, &biller).await);
    assert_eq!(submit_username(&mut browser, "issuer-down").await.status, StatusCode::OK, "and back again");
}

#[tokio::test]
async fn isolated_instance_does_not_open_the_circuit_for_the_others() {
    let world = World::start().await;
    let (isolated, _) = world.another_instance().await;
    let unreachable = ProviderError::Unavailable("connect");
    let biller =
        async || world.state.directory.refresh().await.unwrap().by_slug(&slug("riverside-water")).cloned().unwrap();
    let fails = async || {
        registrations::record_issuer_failure(&isolated.state, &*biller().await, IssuerEndpoint::Metadata, &unreachable)
            .await;
    };
    // All issuers are on one host: only the successes of others tell that the network of this instance is to blame.
    fails().await;
    fails().await;
    registrations::record_issuer_success(&world.state, &*biller().await, IssuerEndpoint::Metadata).await;
    for _ in 0..5 {
        fails().await;
    }
    assert!(isolated.state.reachability.is_isolated());
    let health = biller().await.health.clone();
    assert!(!health.is_down && health.failures <= 1, "{health:?}");
    registrations::record_issuer_success(&isolated.state, &*biller().await, IssuerEndpoint::Metadata).await;
    assert!(!isolated.state.reachability.is_isolated());
    for _ in 0..3 {
        fails().await;
    }
    assert!(biller().await.health.is_down, "an instance that was isolated counts again");
}

#[tokio::test]
async fn failures_at_every_issuer_open_no_circuit() {
    let world = World::start().await;
    let with_issuer = |biller: &str, issuer: &str| {
        format!(
            "[[billers]]\nslug = \"{biller}\"\n[billers.oidc]\nissuer = \"{issuer}\"\n\
             client_id = \"c\"\nclient_secret = \"s\"\n"
        )
    };
    // Nothing listens on these ports, as if the network were away.
    let tries = async || {
        for _ in 0..4 {
            let answer = world.browser().get("/b/riverside-water").await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            world.advance(Duration::from_secs(5)).await;
        }
        let billers = world.state.directory.billers().await.unwrap();
        billers.by_slug(&slug("riverside-water")).unwrap().health.is_down
    };
    for (port, biller) in (1..).zip(MIGRATED) {
        world.import_billers(&with_issuer(biller, &format!("http://127.0.0.1:{port}"))).await;
    }
    assert!(!tries().await, "no issuer responds to this instance");
    world.import_billers(&with_issuer("maple-electric", &world.issuer("maple-electric"))).await;
    assert!(tries().await, "another issuer does: this one is to blame");
}

#[tokio::test]
async fn legacy_rows_are_indistinguishable() {
    let world = World::start().await;
    let mut shapes = std::collections::BTreeSet::new();
    let long = "x".repeat(254);
    for name in [
        "nobody",
        "one-legacy",
        "moved-and-legacy",
        "two-legacy",
        "switched-off",
        "patient",
        &long,
        "smile 😀",
        "q\"uote\\",
    ] {
        let answer = submit_username(&mut world.browser(), name).await;
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(header, _)| *header != "location" && *header != "x-request-id")
            .map(|(header, value)| format!("{header}: {value:?}"))
            .collect();
        headers.sort();
        shapes.insert((answer.status.as_u16(), headers, answer.location().len(), answer.body));
    }
    assert_eq!(shapes.len(), 1, "{shapes:#?}");
}

#[tokio::test]
async fn invalid_usernames_are_explained_and_kept() {
    let world = World::start().await;
    let mut browser = world.browser();
    for (body, says) in [
        (&b"username="[..], "Enter your username"),
        (b"", "Enter your username"),
        (b"username=a%00b", "invisible"),
        (b"username=a%0d%0ab", "invisible"),
        (b"username=%1b%5b31m", "invisible"),
    ] {
        let answer = browser.post_raw("/login", body.to_vec()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(body));
        assert!(answer.body.contains(says) && answer.body.contains("<title>Error:"), "{}", answer.body);
    }
    let answer = browser.post_raw("/login", format!("username={}", "y".repeat(10_000)).into_bytes()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    for broken in [&b"username=%ff%fe"[..], b"username=%zz", b"username=\xff"] {
        let answer = browser.post_raw("/login", broken.to_vec()).await;
        assert_eq!((answer.status, answer.reference().len()), (StatusCode::BAD_REQUEST, 19));
    }
    let answer = browser.post_raw("/login", vec![b'a'; 100_000]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.body.contains("Go to the sign-in page"));
    let json =
        Request::post("/login").header("content-type", "application/json").header("sec-fetch-site", "same-origin");
    assert_eq!(browser.send_with(json, "{}".into()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for attack in ["%", "_", "*", "' OR 1=1--", "one%", "<script>alert(1)</script>"] {
        let answer = submit_username(&mut browser, attack).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{attack} is a name that nobody has");
    }
}

#[tokio::test]
async fn unknown_paths_hosts_and_methods_get_an_error_page() {
    let world = World::start().await;
    let mut browser = world.browser();
    for (path, status) in [
        ("/nope", 404),
        ("/b/no-such-biller", 404),
        ("/b/no_such_biller", 404),
        ("/LOGIN", 404),
        ("/login/..;/admin", 404),
        ("//login", 404),
        ("/static/nothing.css", 404),
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.reference().len(), 19, "{path}");
        assert!(answer.body.contains("/login") || answer.body.contains("/recover"), "{path} has a way on");
    }
    for path in ["/b/Riverside-Water", "/b/riverside-water/"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.location().as_str()), (StatusCode::PERMANENT_REDIRECT, "/b/riverside-water"));
    }
    for host in ["evil.example", "localhost:9999", "localhost"] {
        let answer = browser.send(Request::get("/login").header("host", host)).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.body.contains("evil.example"));
        assert!(answer.body.contains("http://localhost:8080/login"));
    }
    let two = Request::get("/login").header("host", "localhost:8080").header("host", "evil.example");
    assert_eq!(browser.send(two).await.status, StatusCode::MISDIRECTED_REQUEST);
    let forwarded =
        Request::get("/recover").header("x-forwarded-host", "evil.example").header("forwarded", "host=evil.example");
    assert!(!browser.send(forwarded).await.body.contains("evil.example"));
    assert_eq!(browser.send(Request::put("/login")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let huge = Request::get("/login").header("cookie", "a=".to_owned() + &"b".repeat(20_000));
    assert_eq!(browser.send(huge).await.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn cross_site_forms_are_rejected() {
    let world = World::start().await;
    let mut browser = world.browser();
    for (path, name, value, status) in [
        ("/login", "sec-fetch-site", "cross-site", 403),
        ("/login", "sec-fetch-site", "same-site", 403),
        ("/login", "origin", "https://evil.example", 403),
        ("/login", "origin", "null", 403),
        ("/logout", "sec-fetch-site", "cross-site", 403),
        ("/reset", "sec-fetch-site", "cross-site", 403),
        ("/login", "origin", "http://localhost:8080", 303),
        ("/login", "x-nothing", "not a browser", 303),
    ] {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("host", "localhost:8080")
            .header(name, value);
        let answer = browser.send_with(request, "username=nobody".into()).await;
        assert_eq!(answer.status.as_u16(), status, "{path} with {name}: {value}");
    }
}

#[tokio::test]
async fn vanity_host_redirects_to_the_vanity_path() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.send(Request::get("/anything?return_to=pay").header("host", "PAY.riverside.example")).await;
    // The first request teaches the gateway its billers; any host is judged by what the directory says now.
    assert_eq!(answer.location(), "http://localhost:8080/b/riverside-water?return_to=pay");
    assert!(answer.headers.get("set-cookie").is_none());
    let legacy = browser.get("/b/oakdale-city").await;
    assert!(legacy.location().starts_with(LEGACY));
}

#[tokio::test]
async fn legacy_deep_links_redirect() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.get("/old/login.aspx?biller=1").await;
    assert_eq!((notice.status, notice.title()), (StatusCode::OK, "Riverside Water has a new sign-in page"));
    assert!(browser.get("/old/login.aspx?Biller=2&x=y").await.location().starts_with(LEGACY));
    assert_eq!(browser.get("/old/login.aspx").await.location(), "/login");
    for same in ["/OLD/Login.aspx?BILLER=1", "/old/login.aspx/?biller=1", "/old/%6cogin.aspx?biller=1&x=y"] {
        assert_eq!(world.browser().get(same).await.title(), "Riverside Water has a new sign-in page", "{same}");
    }
    let kept = browser.get("/Old/Login.aspx?ReturnUrl=%2Fbills%2F7%3Fmonth%3D11&lang=es").await;
    assert_eq!(kept.location(), "/login?return_to=%2Fbills%2F7%3Fmonth%3D11&lang=es");
    assert_eq!(browser.get("/old/login.aspx?ReturnUrl=%2F%2Fevil.example").await.location(), "/login");
    assert_eq!(browser.get("/old/login.aspx?biller=3").await.location(), "/login");
}

/// A page without its sealed tokens and its code.
fn without_tokens(answer: &crate::harness::TestResponse) -> String {
    let mut parts = answer.body.split("?t=").flat_map(|part| part.split("token="));
    let first = parts.next().unwrap().to_owned();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c)));
    rest.fold(first, |page, part| page + part).replace(&answer.reference(), "")
}

#[tokio::test]
async fn rate_limiting_is_identical_for_all_usernames() {
    let world = World::with_settings("").await;
    // The router does not know the peer here, so it is no loopback client.
    let mut known = world.browser();
    let mut answers = Vec::new();
    for name in ["one-moved", "nobody"] {
        for _ in 0..10 {
            submit_username(&mut known, name).await;
        }
        let refused = submit_username(&mut known, name).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((300..=360).contains(&seconds), "ten in an hour: {seconds}");
        answers.push(without_tokens(&refused));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        submit_username(&mut known, "ONE-MOVED").await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "another spelling"
    );
}

/// A lookup that arrives over a connection from this address.
async fn submit_from(browser: &mut Browser, peer: &str, forwarded: Option<(&str, &str)>, name: &str) -> StatusCode {
    let mut request = Request::post("/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .extension(signpost::web::client::Peer::Address(peer.parse().unwrap()));
    if let Some((header, value)) = forwarded {
        request = request.header(header, value);
    }
    browser.send_with(request, format!("username={name}").into()).await.status
}

async fn get_from(browser: &mut Browser, peer: &str, address: &str) -> TestResponse {
    let path = address.strip_prefix(GATEWAY).unwrap_or(address);
    let request = Request::get(path).extension(signpost::web::client::Peer::Address(peer.parse().unwrap()));
    browser.send(request).await
}

#[tokio::test]
async fn strangers_cannot_lock_a_username_out() {
    let world = World::start().await;
    let attacker = "198.51.100.9:1";
    for name in ["one-moved", "nobody"] {
        let mut stranger = world.browser();
        for _ in 0..10 {
            submit_from(&mut stranger, attacker, None, name).await;
        }
        assert_eq!(submit_from(&mut stranger, attacker, None, name).await, StatusCode::TOO_MANY_REQUESTS, "{name}");
        let elsewhere = submit_from(&mut world.browser(), "203.0.113.5:1", None, name).await;
        assert_ne!(elsewhere, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
    let mut customer = world.browser();
    world.sign_in(&mut customer, "riverside-water", "one-moved").await;
    let same_network = submit_from(&mut customer, attacker, None, "ONE-moved").await;
    assert_ne!(same_network, StatusCode::TOO_MANY_REQUESTS, "this device signed in with the username");
    let other = submit_from(&mut customer, attacker, None, "nobody").await;
    assert_eq!(other, StatusCode::TOO_MANY_REQUESTS, "another username on this device");
}

#[tokio::test]
async fn exhausted_limits_apply_at_every_instance() {
    each_database(|world| async move {
        let (attacker, neighbour, elsewhere) = ("198.51.100.9:1", "198.51.100.9:2", "203.0.113.5:1");
        let (other, stranger) = world.another_instance().await;
        let refused = StatusCode::TOO_MANY_REQUESTS;
        for name in ["one-moved", "nobody"] {
            assert_eq!(exhaust(&mut world.browser(), attacker, name).await, refused);
            assert_ne!(submit_from(&mut stranger.clone(), neighbour, None, name).await, refused, "not read yet");
            other.state.exhausted_limits.refresh().await.unwrap();
            let answer = submit_from(&mut stranger.clone(), neighbour, None, &name.to_uppercase()).await;
            assert_eq!(answer, refused, "{name}, in another spelling");
            assert_ne!(submit_from(&mut stranger.clone(), elsewhere, None, name).await, refused, "another network");
            assert_ne!(submit_from(&mut stranger.clone(), neighbour, None, "two-moved").await, refused, "another name");
        }
        let rows = world.dump_tables().await.remove("exhausted_limit").unwrap();
        assert_eq!(rows.len(), 2, "one row for each, however often it is tried: {rows:?}");
        assert!(rows.iter().all(|row| !row.contains("one-moved") && !row.contains("198.51")), "{rows:?}");
        world.advance(Duration::from_secs(3600)).await;
        assert_ne!(submit_from(&mut stranger.clone(), neighbour, None, "nobody").await, refused, "it is over");
        world.advance(Duration::from_secs(1)).await;
        other.state.exhausted_limits.sweep().await.unwrap();
        assert!(world.dump_tables().await["exhausted_limit"].is_empty());
    })
    .await;
}

/// Uses up the limit of a username for a network. Returns the refusal.
async fn exhaust(stranger: &mut Browser, peer: &str, name: &str) -> StatusCode {
    for _ in 0..10 {
        submit_from(stranger, peer, None, name).await;
    }
    submit_from(stranger, peer, None, name).await
}

#[tokio::test]
async fn network_of_an_earlier_sign_in_is_known_to_every_instance() {
    each_database(|world| async move {
        let (home, neighbour, elsewhere) = ("198.51.100.9:1", "198.51.100.9:2", "203.0.113.5:1");
        let mut customer = world.browser();
        let start = customer.get("/b/riverside-water").await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        let signed_in = get_from(&mut customer, home, &callback).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.body);

        let refused = StatusCode::TOO_MANY_REQUESTS;
        let (other, stranger) = world.another_instance().await;
        // Browsers without a cookie, so that only the network can be known.
        assert_ne!(exhaust(&mut stranger.clone(), neighbour, "ONE-moved").await, refused, "another instance");
        assert_ne!(exhaust(&mut world.browser(), neighbour, "one-moved").await, refused, "the instance of the sign-in");
        for name in ["two-moved", "nobody"] {
            assert_eq!(exhaust(&mut stranger.clone(), neighbour, name).await, refused, "{name}: no sign-in");
        }
        assert_eq!(exhaust(&mut stranger.clone(), elsewhere, "one-moved").await, refused, "another network");
        let mut device = stranger.clone();
        device.cookies.clone_from(&customer.cookies);
        assert_ne!(
            submit_from(&mut device, elsewhere, None, "one-moved").await,
            refused,
            "the device, on another instance"
        );

        let rows = world.dump_tables().await.remove("known_network").unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        for readable in ["198.51", "one-moved", "riverside"] {
            assert!(!rows[0].contains(readable), "{rows:?}");
        }

        world.advance(Duration::from_secs(179 * 24 * 3600)).await;
        let (third, stranger) = world.another_instance().await;
        assert_ne!(exhaust(&mut stranger.clone(), home, "one-moved").await, refused, "within the retention");
        world.advance(Duration::from_secs(2 * 24 * 3600)).await;
        assert_eq!(exhaust(&mut stranger.clone(), home, "one-moved").await, refused, "after the retention");
        third.state.known_networks.sweep().await.unwrap();
        assert!(world.dump_tables().await["known_network"].is_empty());
        other.state.db.close().await;
        third.state.db.close().await;
    })
    .await;
}

#[tokio::test]
async fn sign_ins_write_their_network_once_a_week() {
    each_database(|world| async move {
        let client = Client::Address("198.51.100.9".parse().unwrap());
        let networks = &world.state.known_networks;
        let last_day = async || {
            let row = world.state.db.one(sql!("SELECT last_day FROM known_network"), Vec::new()).await.unwrap();
            row.unwrap().int("last_day").unwrap()
        };
        let sign_in = async || {
            let mut tx = world.state.db.begin().await.unwrap();
            networks.record(&mut tx, client, "name").await.unwrap();
            tx.commit().await.unwrap();
            networks.remember(client, "name");
        };
        sign_in().await;
        let first = last_day().await;
        for (days, written) in [(6, 0), (1, 7), (6, 7), (1, 14)] {
            world.advance(Duration::from_secs(days * 24 * 3600)).await;
            sign_in().await;
            assert_eq!(last_day().await - first, written);
        }
        let mut rolled_back = world.state.db.begin().await.unwrap();
        networks.record(&mut rolled_back, client, "another").await.unwrap();
        drop(rolled_back);
        assert!(!networks.is_remembered(client, "another") && !networks.contains(client, "another").await.unwrap());
        // The proxy does not say which network it is.
        let unknown = Client::Connection("10.0.0.1:9".parse().unwrap());
        let mut tx = world.state.db.begin().await.unwrap();
        networks.record(&mut tx, unknown, "name").await.unwrap();
        tx.commit().await.unwrap();
        assert!(!networks.contains(unknown, "name").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn customers_behind_a_proxy_do_not_share_its_limit() {
    let world = World::start().await;
    for (setting, header, template) in [
        ("x-forwarded-for", "x-forwarded-for", "203.0.113.N:51234"),
        ("x-forwarded-for", "x-forwarded-for", "6.6.6.6, [2001:db8:N::7]:51234"),
        ("forwarded", "forwarded", "for=\"[2001:db8:aN::7]:51234\";proto=https"),
    ] {
        let state = world.state.with(|services| {
            let mut config = (*services.config).clone();
            let proxies = format!("[server]\ntrusted_proxies = [\"10.0.0.1\"]\nclient_address_header = \"{setting}\"");
            let settings: toml::Table = proxies.parse().unwrap();
            config.server = settings["server"].clone().try_into().unwrap();
            services.config = std::sync::Arc::new(config);
        });
        let mut browser = Browser::new(signpost::app::router(state));
        for customer in 1..=75 {
            let value = template.replace('N', &customer.to_string());
            let name = format!("name-{customer}");
            let status = submit_from(&mut browser, "10.0.0.1:40000", Some((header, &value)), &name).await;
            assert_eq!(status, StatusCode::SEE_OTHER, "{value}");
        }
        for connection in 0..75 {
            let peer = format!("10.0.0.1:{}", 40_000 + connection);
            let status = submit_from(&mut browser, &peer, Some((header, "unknown")), &format!("n-{connection}")).await;
            assert_eq!(status, StatusCode::SEE_OTHER, "unreadable entries are no shared client");
        }
    }
}

#[tokio::test]
async fn spellings_of_the_host_are_one_host() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut get = async |path: &str, host: &str| browser.send(Request::get(path.to_owned()).header("host", host)).await;
    for host in ["LOCALHOST:8080", "localhost.:8080"] {
        assert_eq!(get("/login", host).await.status, StatusCode::OK, "{host}");
    }
    for host in ["pay.riverside.example.", "PAY.riverside.example:80", "pay.riverside.example.:80"] {
        assert_eq!(get("/", host).await.location(), "http://localhost:8080/b/riverside-water", "{host}");
    }
    for host in ["10.0.0.7:8080", "10.0.0.7", "[2001:db8::7]:8080"] {
        assert_eq!(get("/api/v1/health", host).await.status, StatusCode::UNAUTHORIZED, "a probe by address: {host}");
        assert_eq!(get("/login", host).await.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}

#[tokio::test]
async fn directory_outage_falls_back_to_the_legacy_login() {
    let world = World::start().await;
    let mut browser = world.browser();
    submit_username(&mut browser, "one-moved").await;
    world.state.db.close().await;
    for name in ["one-moved", "nobody", "two-moved"] {
        let answer = submit_username(&mut browser, name).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}: {}", answer.body);
        assert!(answer.location().starts_with(LEGACY));
    }
    for path in ["/login", "/", "/recover", "/help", "/reset", "/logout"] {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    wait_for(PROPAGATION_TIMEOUT, "the legacy login", || async {
        browser.clone().get("/b/riverside-water").await.location().starts_with(LEGACY).then_some(())
    })
    .await;
}

#[tokio::test]
async fn reset_page_is_identical_for_all_usernames() {
    let world = World::start().await;
    let mut pages = Vec::new();
    for name in ["nobody", "one-moved", "one-legacy", "two-moved"] {
        let answer = world.browser().post("/reset", &[("username", name)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        pages.push((without_tokens(&answer), answer.body.len()));
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn login_page_weighs_at_most_14_kib() {
    let world = World::start().await;
    let mut browser = world.browser();
    for path in ["/login?lang=en", "/login?lang=es"] {
        let page = browser.get(path).await;
        let stylesheets: Vec<&str> = page.body.split("<link rel=\"stylesheet\" href=\"").skip(1).collect();
        assert_eq!(stylesheets.len(), 1);
        let stylesheet = browser.get(stylesheets[0].split('"').next().unwrap()).await;
        assert_eq!(stylesheet.status, StatusCode::OK);
        let weight = page.body.len() + stylesheet.body.len();
        assert!(weight <= 14 * 1024, "{path}: {weight} bytes");
        assert!(!page.body.contains("<script") && !stylesheet.body.contains("@import"));
    }
}
