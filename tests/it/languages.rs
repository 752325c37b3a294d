//! The language of pages: which it is, how it is changed, and that changing it loses nothing.

use http::{Request, StatusCode};
use signpost::sql;

use crate::handoffs::redeem;
use crate::harness::{Browser, TestResponse, World};

const COOKIE: &str = "__Host-l";

/// The language that a page says it is in.
fn language(answer: &TestResponse) -> &str {
    answer.body.split("<html lang=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

/// Follows the page's own way to Spanish, as a browser does it.
async fn in_spanish(browser: &mut Browser, path: &str, page: &TestResponse) -> TestResponse {
    assert_eq!(language(page), "en");
    let switch = page.body.split("class=\"language\"").nth(1).unwrap().split("</header>").next().unwrap();
    let attribute = |name: &str| {
        let value = switch.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        value.replace("&#38;", "&").replace("&#34;", "\"").replace("&amp;", "&")
    };
    if !switch.contains("method=\"post\"") {
        let address = attribute("href");
        let base = url::Url::parse(crate::harness::GATEWAY).unwrap().join(path).unwrap();
        let target = base.join(&address).unwrap();
        return browser.get(&target[url::Position::BeforePath..]).await;
    }
    let fields: Vec<(String, String)> = switch
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|rest| {
            let mut parts = rest.split('"');
            let name = parts.next().unwrap().to_owned();
            (name, parts.nth(1).unwrap().replace("&#34;", "\"").replace("&#38;", "&"))
        })
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(&attribute("action"), &fields).await
}

#[tokio::test]
async fn the_language_comes_from_query_cookie_header_or_default() {
    let world = World::start().await;
    let mut browser = world.browser();
    assert_eq!(language(&browser.get("/login").await), "en");
    browser.accept_language = "fr, es-MX;q=0.9, en;q=0.8";
    let page = browser.get("/login").await;
    assert_eq!((language(&page), page.title()), ("es", "Iniciar sesión"));
    assert!(browser.cookies.is_empty(), "what a browser likes is not kept");
    for (path, says) in [
        ("/login?lang=en", "en"),
        ("/login", "en"),
        ("/help?lang=ES-419", "es"),
        ("/recover", "es"),
        // Neither is a language of ours, so the choice stands.
        ("/login?lang=fr", "es"),
        ("/login?lang=en&lang=es", "es"),
        ("/nope?lang=en", "en"),
    ] {
        assert_eq!(language(&browser.get(path).await), says, "{path}");
    }
    browser.cookies.insert(COOKIE.to_owned(), "xx".to_owned());
    assert_eq!(language(&browser.get("/login").await), "es", "a cookie that says nothing is none");
}

#[tokio::test]
async fn only_an_explicit_choice_sets_the_language_cookie() {
    let world = World::start().await;
    let answer = world.browser().get("/login?lang=es").await;
    let line = answer.header("set-cookie").to_owned();
    assert_eq!(line, "__Host-l=es; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=15552000");
    for path in ["/login", "/login?lang=fr", "/login?lang=", "/api/v1/nothing?lang=es", "/static/none?x=es"] {
        assert_eq!(world.browser().get(path).await.header("set-cookie"), "", "{path}");
    }
    let host = Request::get("/?lang=es&return_to=pay").header("host", "pay.riverside.example");
    let answer = world.browser().send(host).await;
    assert_eq!(answer.header("set-cookie"), "", "cookies live on the public host");
    assert_eq!(answer.location(), "http://localhost:8080/b/riverside-water?return_to=pay&lang=es");
}

#[tokio::test]
async fn vary_headers_name_what_a_response_depends_on() {
    let world = World::start().await;
    let mut browser = world.browser();
    for path in ["/login", "/nope", "/b/oakdale-city", "/b/riverside-water", "/callback/riverside-water"] {
        assert_eq!(browser.get(path).await.header("vary"), "accept-language, cookie", "{path}");
    }
    let notice = browser.post("/login", &[("username", "one-moved")]).await;
    assert_eq!(
        (notice.title().is_empty(), notice.header("vary")),
        (false, ""),
        "Back finds it whatever cookies there are"
    );
    let page = browser.get("/login").await;
    let path = page.body.split("href=\"/static/").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(browser.get(&format!("/static/{path}")).await.header("vary"), "");
    assert_eq!(browser.get("/api/v1/nothing").await.header("vary"), "");
}

#[tokio::test]
async fn changing_the_language_keeps_the_page_state() {
    let world = World::start().await;
    let mut browser = world.browser();
    let page = browser.get("/login?return_to=pay&x=%22%3E&lang=en").await;
    let spanish = in_spanish(&mut browser, "/login?return_to=pay&x=%22%3E&lang=en", &page).await;
    assert_eq!((language(&spanish), spanish.title()), ("es", "Iniciar sesión"));
    assert!(spanish.body.contains("name=\"return_to\" value=\"pay\""));
    browser.cookies.clear();

    let help = browser.get("/help?biller=riverside-water").await;
    let spanish = in_spanish(&mut browser, "/help?biller=riverside-water", &help).await;
    assert_eq!(spanish.title(), "Ayuda para iniciar sesión en Riverside Water");
    browser.cookies.clear();

    // An address that a browser would take for another site's host.
    let page = browser.get("//evil.example/").await;
    assert!(page.body.contains("href=\"?lang=es\""), "{}", page.body);
}

#[tokio::test]
async fn changing_the_language_keeps_submitted_form_values() {
    let world = World::start().await;
    world.state.directory.billers().await.unwrap();
    for (name, title, keeps) in [
        ("one-moved", "Riverside Water tiene una nueva página de inicio de sesión", "/b/riverside-water?h="),
        ("two-moved", "¿En qué facturador quiere iniciar sesión?", "value=\"two-moved\""),
        ("", "Iniciar sesión", "Escriba su nombre de usuario"),
        ("a\nb", "Iniciar sesión", "caracteres invisibles"),
        (&"\"x".repeat(200), "Iniciar sesión", "más de 254 caracteres"),
    ] {
        let mut browser = world.browser();
        let page = browser.post("/login", &[("username", name), ("return_to", "pay")]).await;
        let spanish = in_spanish(&mut browser, "/login", &page).await;
        assert_eq!((language(&spanish), spanish.title(), spanish.status), ("es", title, page.status));
        assert!(spanish.body.contains(keeps), "{}", spanish.body);
        if name == "one-moved" {
            let go = browser.get(&spanish.link("Continuar al inicio de sesión de Riverside Water")).await;
            let address = url::Url::parse(&go.location()).unwrap();
            let sent: std::collections::HashMap<_, _> = address.query_pairs().collect();
            assert_eq!((&*sent["ui_locales"], &*sent["login_hint"]), ("es", "one-moved"));
            let callback = world.authenticate(&go.location(), "one-moved").await;
            let portal = browser.get(&callback).await.location();
            let payload = redeem(&world, portal.split("token=").nth(1).unwrap()).await.unwrap();
            assert_eq!((&payload["locale"], &payload["return_to"]), (&"es".into(), &"/bills/pay".into()));
        }
    }
    let mut browser = world.browser();
    let page = browser.post("/reset", &[("username", "one-legacy")]).await;
    let spanish = in_spanish(&mut browser, "/reset", &page).await;
    assert_eq!(spanish.title(), "Cómo elegir una contraseña nueva");
    let link = spanish.link("Restablecerla en Example Pay");
    let payload = redeem(&world, link.split("token=").nth(1).unwrap()).await.unwrap();
    assert_eq!((&payload["username"], &payload["locale"]), (&"one-legacy".into(), &"es".into()));
    let recover = payload["recover_url"].as_str().unwrap();
    let page = world.browser().get(recover).await;
    assert_eq!(language(&page), "es", "also without the cookie");
    for link in [
        "Restablecer mi contraseña</a>",
        "Recibir mi nombre de usuario y mis enlaces de inicio de sesión por correo electrónico",
    ] {
        let next = world.browser().get(&page.link(link)).await;
        assert_eq!(language(&next), "es", "{link}");
        assert!(next.body.contains("name=\"lang\" value=\"es\"") && next.body.contains("value=\"one-legacy\""));
    }
}

#[tokio::test]
async fn changing_the_language_repeats_no_side_effects() {
    let world = World::start().await;
    world.state.directory.billers().await.unwrap();
    for (path, name, status, title, keeps) in [
        ("/recover/links", "one-moved", 200, "Revise su correo electrónico", "href=\"/recover/links\""),
        ("/reset", "one-moved", 200, "Cómo elegir una contraseña nueva", "href=\"/login?t="),
        ("/b/riverside-water/reset", "one-moved", 200, "Cómo elegir una contraseña nueva", "\"/b/riverside-water\""),
        (
            "/recover/links",
            "",
            400,
            "Recibir mi nombre de usuario y mis enlaces de inicio de sesión por correo electrónico",
            "Escriba su correo",
        ),
        ("/b/riverside-water/reset", " ", 400, "Restablezca su contraseña", "\"/b/riverside-water/reset\""),
    ] {
        let mut browser = world.browser();
        let page = browser.post(path, &[("username", name)]).await;
        let before = queued_tasks(&world).await;
        let spanish = in_spanish(&mut browser, path, &page).await;
        assert_eq!((page.status.as_u16(), spanish.status.as_u16(), spanish.title()), (status, status, title));
        assert!(spanish.body.contains(keeps), "{}", spanish.body);
        assert_eq!(queued_tasks(&world).await, before, "{path}");
    }
    let sent = world.browser().get("/reset/sent?t=changed").await;
    assert_eq!(sent.location(), "/reset");
}

async fn queued_tasks(world: &World) -> i64 {
    let count = sql!("SELECT count(*) AS count FROM queued_task");
    world.state.db.one(count, Vec::new()).await.unwrap().unwrap().int("count").unwrap()
}

#[tokio::test]
async fn changing_the_language_of_an_error_page_has_no_side_effects() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water?return_to=pay").await;
    let state = start.location().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let path =
        format!("/callback/riverside-water?error=access_denied&state={state}&iss={}", world.issuer("riverside-water"));
    let page = browser.get(&path).await;
    assert_eq!((page.title(), page.status), ("You did not sign in", StatusCode::BAD_REQUEST));
    let spanish = in_spanish(&mut browser, &path, &page).await;
    assert_eq!((spanish.title(), spanish.status), ("No inició sesión", StatusCode::OK));
    assert_eq!(spanish.reference(), page.reference());
    assert_eq!(spanish.link("Iniciar sesión</a></p>"), page.link("Sign in</a></p>"), "the same way on");
    browser.cookies.clear();

    let refused = Request::post("/login").header("sec-fetch-site", "cross-site");
    let page = browser.send(refused).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let spanish = in_spanish(&mut browser, "/login", &page).await;
    assert_eq!((spanish.title(), language(&spanish)), ("Esta solicitud vino de otro sitio", "es"));
    let changed = browser.get("/error?t=changed&lang=es").await;
    assert_eq!((changed.status, changed.title()), (StatusCode::NOT_FOUND, "Esta página no existe"));
}

#[tokio::test]
async fn indistinguishable_responses_stay_so_in_every_language() {
    let world = World::start().await;
    let mut shapes = std::collections::BTreeSet::new();
    for name in ["nobody", "one-legacy", "moved-and-legacy", "two-legacy", "switched-off", "patient"] {
        for (path, accepted) in [("/login", "es"), ("/login", "en"), ("/login?lang=es", ""), ("/login?lang=en", "")] {
            let mut browser = world.browser();
            browser.accept_language = accepted;
            let answer = browser.post(path, &[("username", name)]).await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::SEE_OTHER, ""));
            shapes.insert((path, answer.header("set-cookie").to_owned(), answer.location().len()));
        }
    }
    assert_eq!(shapes.len(), 3, "{shapes:#?}");
}
