//! What single steps of a request cost: `cargo bench --bench operations`. `scripts/bench` measures whole requests.
#![allow(clippy::unwrap_used, reason = "a benchmark panics on errors")]

use axum::Router;
use axum::body::Body;
use divan::Bencher;
use http::{Request, header};
use secureauth_standin::world::{Addresses, World, to_toml};
use serde_json::json;
use signpost::app::{App, router};
use signpost::audit::{Actor, ActorContext};
use signpost::config::{AddressPolicy, Config};
use signpost::db::Schema;
use signpost::directory::{import_billers, import_users};
use signpost::state::AppState;
use signpost_core::decision::{Biller, CiamState, Facts, Membership, decide};
use signpost_core::{Clock, KeyRing, Purpose, Random, Slug, Timestamp, Username, UsernameInput};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const BILLER: &str = "oakdale-city";
const USERS: usize = 10_000;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 3, 20])]
fn decision(bencher: Bencher<'_, '_>, billers: usize) {
    let states = [CiamState::Active, CiamState::Legacy, CiamState::Suspended];
    let member = |at: usize| {
        let slug = Slug::parse(&format!("biller-{at}")).unwrap();
        Membership::new(Biller::new(slug, states[at % states.len()]))
    };
    let facts = Facts::at_shared(Timestamp::from_millis(0), (0..billers).map(member).collect());
    bencher.bench(|| decide(divan::black_box(&facts)));
}

#[divan::bench(args = ["alice", "  Ａlice@Example.com ", "z\u{fc}rcher.straße"])]
fn username(typed: &str) -> bool {
    UsernameInput::parse(divan::black_box(typed)).is_ok()
}

#[divan::bench]
fn seal(bencher: Bencher<'_, '_>) {
    let keys = KeyRing::from_base64([KEY], Random::system()).unwrap();
    let value = json!({ "slug": BILLER, "nonce": "n".repeat(32), "pkce_verifier": "v".repeat(64) });
    bencher.bench(|| keys.seal(Purpose::AuthorizationRequest, "cookie", divan::black_box(&value)));
}

#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let keys = KeyRing::from_base64([KEY], Random::system()).unwrap();
    let token = keys.seal(Purpose::LoginHint, "", &"n".repeat(128));
    bencher.bench(|| keys.open::<String>(Purpose::LoginHint, "", divan::black_box(&token)).unwrap());
}

#[divan::bench]
fn look_up(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::start();
    let names: Vec<Username> = (0..USERS).map(|at| Username::parse(&user(at)).unwrap()).collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 7919) % USERS;
        gateway.runtime.block_on(gateway.state.directory.look_up(Some(&names[at]))).unwrap()
    });
}

#[divan::bench]
fn login_page(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::start();
    bencher.bench_local(|| gateway.request(Request::get("/login"), String::new()));
}

#[divan::bench]
fn username_form(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::start();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 7919) % USERS;
        let form = Request::post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        gateway.request(form, format!("username={}", user(at)));
    });
}

fn user(at: usize) -> String {
    format!("user{at}")
}

/// The gateway in this process, without a listener.
struct Gateway {
    runtime: Runtime,
    state: AppState,
    router: Router,
    _folder: TempDir,
}

impl Gateway {
    fn start() -> Self {
        // A second call finds the provider installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let state = runtime.block_on(build(&folder));
        Self { runtime, router: router(state.clone()), state, _folder: folder }
    }

    fn request(&self, request: http::request::Builder, body: String) {
        let request = request.header(header::HOST, "localhost:8080").body(Body::from(body)).unwrap();
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        assert!(response.status().as_u16() < 400, "{}", response.status());
    }
}

/// The demo world, with more users at one of its billers.
async fn build(folder: &TempDir) -> AppState {
    let address = |port: u16| format!("http://localhost:{port}");
    let world = World::new(Addresses {
        gateway: address(8080),
        secureauth: address(8081),
        legacy: address(8082),
        portal: address(8083),
        mail_port: 8084,
    });
    let database = format!("sqlite:{}", folder.path().join("bench.db").display());
    let mut settings = world.settings(&database, KEY);
    settings["limits"] =
        json!({ "lookups_per_address_per_minute": 1_000_000_000, "lookups_per_username_per_hour": 1_000_000_000 });
    let config = Config::from_text(&to_toml(&settings), []).unwrap();
    let state = App::build(config, Schema::Migrate, Clock::System, Random::system()).await.unwrap().state;
    let actor = ActorContext::new(Actor::System, &state.clock, &state.random);
    let context = import_billers::ImportContext {
        keys: state.keys.clone(),
        actor: actor.clone(),
        addresses: AddressPolicy::loopback(true),
        own_hosts: Vec::new(),
    };
    let rows = import_billers::parse(&world.billers_file(), true).unwrap();
    state.directory.import_billers(rows, &context, false).await.unwrap();
    let file = folder.path().join("users.csv");
    let lines: String = (0..USERS).map(|at| format!("{}\n", user(at))).collect();
    std::fs::write(&file, format!("username\n{lines}")).unwrap();
    let biller = state.directory.biller_by_slug(&Slug::parse(BILLER).unwrap()).await.unwrap().unwrap();
    let options = import_users::Options { legacy_accounts: true, dry_run: false, refuse_plain_passwords: false };
    let context = import_users::ImportContext { actor: &actor, keys: &state.keys };
    state.directory.import_users(&file, &biller, options, context, &|_| {}).await.unwrap();
    state
}
