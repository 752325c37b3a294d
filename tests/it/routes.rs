//! The route table is the whole truth: routers serve exactly its routes, the API description agrees with it, and no path is written
//! anywhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use http::{Request, StatusCode};
use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;
use signpost::api::openapi::DOCUMENT;
use signpost::web::assets::{CONSOLE_STYLESHEET, STYLESHEET};
use signpost_core::routes::{self, Audience, Authentication, Method, Route};
use syn::visit::Visit;

use crate::console::ConsoleHarness;
use crate::harness::{Browser, World};

const ID: &str = "01a00000-0000-7000-8000-000000000000";
const BILLER: &str = "riverside-water";
const BRANDING: &str =
    "[[billers]]\nslug = \"riverside-water\"\nbranding = { accent = \"#1d4e89\", accent_dark = \"#8fbdf0\" }\n";

/// A path of the route at which something exists, in a world with [`BRANDING`].
fn existing_path(route: &Route, stylesheet: &str) -> String {
    if route.path == signpost_core::paths::STATIC {
        return stylesheet.to_owned();
    }
    let path = route.path.replace("{slug}", BILLER).replace("{id}", ID).replace("{code}", "7KQM-2XWD-94TR-HN3P");
    path.replace("{file}", "colours.0.css")
}

/// A path of every route of the gateway.
pub(crate) fn gateway_paths() -> Vec<(&'static Route, String)> {
    routes::gateway().iter().map(|route| (route, existing_path(route, &STYLESHEET.path))).collect()
}

async fn status(browser: &mut Browser, method: Method, path: &str) -> StatusCode {
    browser.send(Request::builder().method(method.as_str()).uri(path)).await.status
}

#[tokio::test]
async fn gateway_serves_the_routes_of_its_table() {
    let world = World::start().await;
    world.import_billers(BRANDING).await;
    for (route, path) in gateway_paths() {
        for method in Method::ALL {
            let status = status(&mut world.browser(), method, &path).await;
            let label = format!("{} {path}: {status}", method.as_str());
            match route.authentication(method) {
                None => assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{label}"),
                Some(Authentication::ApiKey(_)) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{label}"),
                // The page of an unknown error is that of an unknown address.
                Some(_) if route.path == signpost_core::paths::ERROR => assert_eq!(status, StatusCode::NOT_FOUND),
                Some(_) => {
                    assert!(![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status), "{label}");
                }
            }
        }
    }
}

#[tokio::test]
async fn console_serves_the_routes_of_its_table() {
    let harness = ConsoleHarness::open().await;
    harness.world.import_billers(BRANDING).await;
    for role in ["operator", "auditor"] {
        let signed_in = harness.sign_in(role).await;
        for route in signpost::console::routes::all() {
            let path = existing_path(route, &CONSOLE_STYLESHEET.path);
            for method in Method::ALL {
                let status = status(&mut signed_in.clone(), method, &path).await;
                let label = format!("{role}: {} {path}: {status}", method.as_str());
                // Routes of another role are forbidden, whatever the method.
                match route.authentication(method) {
                    _ if status == StatusCode::FORBIDDEN => {}
                    None => assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{label}"),
                    Some(_) if path.contains(ID) => assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{label}"),
                    Some(_) => {
                        assert!(![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status), "{label}");
                    }
                }
            }
        }
    }
}

#[test]
fn api_description_and_table_agree_on_methods_and_scopes() {
    let mut described = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["key"][0].as_str().unwrap().to_owned();
            described.insert((path.clone(), method.to_uppercase(), scope));
        }
    }
    let twins = described.iter().filter_map(|(path, method, scope)| {
        let rest = path.strip_prefix(signpost_core::paths::IDENTITY)?;
        Some((format!("{}{rest}", signpost_core::paths::POOLSIDE), method.clone(), scope.clone()))
    });
    described = twins.collect::<BTreeSet<_>>().union(&described).cloned().collect();
    let mut listed = BTreeSet::new();
    for route in routes::gateway() {
        for (method, authentication) in &route.methods {
            if let Authentication::ApiKey(scope) = authentication {
                listed.insert((route.path.to_string(), method.as_str().to_owned(), scope.as_str().to_owned()));
            }
        }
    }
    assert!(listed.len() > 40 && listed == described, "{:#?}", listed.symmetric_difference(&described));
    let public =
        |route: &&Route| route.audience == Audience::Api && !listed.iter().any(|(path, ..)| *path == route.path);
    let public: Vec<&str> = routes::gateway().iter().filter(public).map(|route| route.path.as_ref()).collect();
    assert_eq!(public, [signpost_core::paths::API_DOCS, signpost_core::paths::OPENAPI], "the description itself");
}

#[test]
fn operations_are_named_by_a_verb() {
    let verbs = [
        "add", "change", "check", "create", "decide", "delete", "email", "enable", "get", "list", "preview", "redeem",
        "remove", "request", "revoke", "set", "simulate", "stream", "update",
    ];
    for operation in DOCUMENT["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        let id = operation["operationId"].as_str().unwrap();
        let summary = operation["summary"].as_str().unwrap();
        let first = summary.split(' ').next().unwrap();
        assert!(verbs.iter().any(|verb| id.starts_with(verb)), "{id}");
        assert!(verbs.contains(&first.to_lowercase().as_str()) && first != first.to_lowercase(), "{id}: {summary}");
        assert!(!matches!(operation["description"], Value::String(ref text) if text.is_empty()), "{id}");
    }
}

/// The string literals and router calls of a file, without its tests and without attributes other than `utoipa::path`.
#[derive(Default)]
struct Literals {
    strings: Vec<String>,
    direct_routes: usize,
}

impl Literals {
    fn add_tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.strings.push(text.value());
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|only| only.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Literals {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && list.path.segments.last().is_some_and(|last| last.ident == "path")
        {
            self.add_tokens(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.add_tokens(invocation.tokens.clone());
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.strings.push(literal.value());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let mut receiver = &*call.receiver;
        while let syn::Expr::MethodCall(inner) = receiver {
            receiver = &inner.receiver;
        }
        if call.method == "route"
            && let syn::Expr::Call(constructor) = receiver
            && let syn::Expr::Path(path) = &*constructor.func
            && path.path.segments.iter().any(|segment| segment.ident.to_string().ends_with("Router"))
        {
            self.direct_routes += 1;
        }
        syn::visit::visit_expr_method_call(self, call);
    }
}

/// Every source file of the product with its literals.
fn sources() -> Vec<(PathBuf, Literals)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![root.join("src"), root.join("crates/signpost-core/src")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let mut literals = Literals::default();
                literals.visit_file(&syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap());
                found.push((path.strip_prefix(root).unwrap().to_owned(), literals));
            }
        }
    }
    assert!(found.len() > 200, "the sources were found");
    found
}

#[test]
fn no_path_is_written_twice() {
    let mut twice = Vec::new();
    for (file, literals) in sources() {
        // The management API of SecureAuth has paths of its own, and tests spell out what they expect.
        let is_other = file.starts_with("src/secureauth")
            || file.ends_with("signpost-core/src/paths.rs")
            || file.ends_with("tests.rs");
        if is_other {
            continue;
        }
        for text in literals.strings.iter().filter(|text| text.starts_with('/') && *text != "/") {
            let path = text.split(['?', '#', ' ', '"']).next().unwrap();
            let is_console = file.starts_with("src/console")
                && signpost::console::routes::all().iter().any(|route| route.path == path);
            if routes::is_reserved(path) && !is_console {
                twice.push(format!("{}: {text:?}", file.display()));
            }
        }
    }
    assert!(twice.is_empty(), "use signpost_core::paths:\n{}", twice.join("\n"));
}

#[test]
fn routers_are_built_from_the_table() {
    let direct = sources().into_iter().filter(|(_, literals)| literals.direct_routes > 0);
    let direct: Vec<_> = direct.map(|(file, _)| file.display().to_string()).collect();
    assert!(direct.is_empty(), "use web::routes::Routes: {direct:?}");
}

/// Addresses of links and forms that templates spell out, with the method that a browser uses for each.
fn template_links(template: &str) -> Vec<(Method, String)> {
    let (mut found, mut rest) = (Vec::new(), template);
    while let Some((before, after)) = rest.split_once("=\"/") {
        let address = after.split(['"', '?', '#']).next().unwrap();
        let path = address.split('/').map(|segment| if segment.contains("{{") { "x" } else { segment });
        let tag = before.rsplit('<').next().unwrap();
        let method = if tag.contains("method=\"post\"") { Method::Post } else { Method::Get };
        if before.ends_with("href") || before.ends_with("action") {
            found.push((method, format!("/{}", path.collect::<Vec<_>>().join("/"))));
        }
        rest = after;
    }
    found
}

#[test]
fn templates_link_to_routes_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let (mut links, mut folders) = (0, vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(&root).unwrap();
            let table = if file.starts_with("console") { signpost::console::routes::all() } else { routes::gateway() };
            for (method, link) in template_links(&std::fs::read_to_string(&path).unwrap()) {
                let route = table.iter().find(|route| route.matches(&link));
                let is_served = route.is_some_and(|route| route.authentication(method).is_some());
                assert!(is_served, "{}: {} {link}", file.display(), method.as_str());
                links += 1;
            }
        }
    }
    assert!(links > 30, "{links} links were found");
}
