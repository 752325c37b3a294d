//! One decision: over random directories and arrivals, what a sign-in meets is what a simulation says, whoever asks.
//!
//! A world is a directory in some state and somebody at a door. Every sign-in goes through the router, from the request on, and
//! is read back from the decision log; the same is asked of `Routing::ask` (as the console does), of the API by HTTP, and of
//! the command line, which reads the same database by itself.

use std::io::Write;
use std::time::Duration;

use http::Request;
use secureauth_standin::IssuerState;
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::audit::{Action, LookupResult};
use signpost::directory::{Biller, FAILURES_TO_OPEN, IssuerEndpoint, Maintenance};
use signpost::routing::SimulationRequest;
use signpost::sql;
use signpost::web::client::Peer;
use signpost::web::device::Device;
use signpost_core::Slug;
use signpost_core::decision::{CiamState, KillSwitchState, OutagePolicy, SuspensionPolicy};

use crate::billers_api::ApiClient;
use crate::harness::{PROPAGATION_TIMEOUT, World, now, slug, wait_for};

const BILLERS: [&str; 7] =
    ["cedar-county", "clinic", "maple-electric", "oakdale-city", "pinehill-gas", "riverside-water", "summit-telecom"];
/// With an issuer that answers; only these become active.
const MIGRATABLE: [&str; 4] = ["cedar-county", "clinic", "maple-electric", "riverside-water"];
const NAMES: usize = 200;
const DIRECTORIES: usize = 50;
const SCENARIOS: usize = 200;

/// SplitMix64: the same worlds each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

/// People at every combination of billers, some deleted, some without a legacy account.
async fn fill(world: &World, dice: &mut Dice) {
    for biller in BILLERS {
        let mut rows = String::from("username,email,status\n");
        for name in 0..NAMES {
            if dice.one_in(4) {
                let status = dice.of(&["active", "active", "active", "created", "suspended", "deleted"]);
                rows.push_str(&format!("name{name},name{name}@{biller}.example,{status}\n"));
            }
        }
        world.import_csv(biller, &rows).await.unwrap();
    }
    let fewer = sql!("UPDATE membership SET legacy_account = 0 WHERE username_key LIKE '%3' OR username_key LIKE '%8'");
    world.state.db.run(fewer, vec![]).await.unwrap();
}

/// Another directory: billers in other states, held, away, down, rolled out to some; sometimes a kill switch. Answers at whose
/// own addresses somebody may knock without changing it: a sign-in at an issuer that is down may find that it is up again.
async fn randomize_billers(world: &World, dice: &mut Dice) -> Vec<&'static str> {
    let mut slugs = Vec::new();
    let directory = &world.state.directory;
    let actor = world.actor();
    for name in BILLERS {
        let movable = MIGRATABLE.contains(&name);
        let states: &[CiamState] = match (movable, name) {
            (true, _) => {
                &[CiamState::Active, CiamState::Active, CiamState::Active, CiamState::Suspended, CiamState::Enabling]
            }
            (false, "summit-telecom") => &[CiamState::Suspended, CiamState::Legacy],
            (false, _) => &[CiamState::Legacy],
        };
        let (state, percent, listed) = (dice.of(states), dice.one_in(4).then(|| dice.roll(101)), dice.one_in(5));
        let (paused, private, from) = (dice.one_in(15), dice.one_in(6), dice.one_in(6).then(|| dice.roll(3)));
        let (suspension, accounts) = (dice.of(&[SuspensionPolicy::Legacy, SuspensionPolicy::Hold]), !dice.one_in(8));
        let policy = dice.of(&[OutagePolicy::Hold, OutagePolicy::Legacy, OutagePolicy::Proceed]);
        let away = dice.one_in(8).then(|| dice.roll(2));
        let allow: Vec<String> = (0..NAMES).filter(|_| dice.one_in(3)).map(|name| format!("name{name}")).collect();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let change = |biller: &mut Biller| {
            biller.state = state;
            biller.active_from = from.map(|from| now().minus(hours(24)).plus(hours(24 * from as u64)));
            let settings = &mut biller.settings;
            (settings.paused, settings.private, settings.legacy_accounts) = (paused, private, accounts);
            (settings.when_suspended, settings.outage_policy) = (suspension, policy);
            settings.rollout.percent = percent.map(|percent| percent as u8);
            settings.rollout.allow = listed.then_some(allow);
            biller.maintenance = away.map(|away| {
                let from = now().minus(hours(1)).plus(hours(2 * away as u64));
                Maintenance { from, until: from.plus(hours(2)), utc_offset_minutes: 0 }
            });
        };
        directory.update_biller(&slug(name), (&actor, Action::BillerUpdated), change).await.unwrap();
        let biller = directory.biller_by_slug(&slug(name)).await.unwrap().unwrap();
        let is_down = dice.one_in(6);
        if !(is_down && policy == OutagePolicy::Proceed) {
            slugs.push(name);
        }
        if is_down {
            for _ in 0..FAILURES_TO_OPEN {
                directory.record_issuer_failure(&biller, IssuerEndpoint::Metadata, "timeout", now()).await.unwrap();
            }
        } else {
            directory.record_issuer_success(&biller, IssuerEndpoint::Token, now()).await.unwrap();
        }
    }
    let kill = match dice.roll(12) {
        0 => KillSwitchState::AllLegacy,
        1 => KillSwitchState::Hold,
        2 => KillSwitchState::BillerLegacy(slug(dice.of(&BILLERS))),
        _ => KillSwitchState::Off,
    };
    directory.set_kill_switch(&kill, &actor).await.unwrap();
    slugs
}

/// Somebody at a door.
#[derive(Clone, Debug)]
struct Scenario {
    question: SimulationRequest,
}

fn scenario(dice: &mut Dice, slugs: &[&str]) -> Scenario {
    let mut question = SimulationRequest { at: Some(now()), ..SimulationRequest::default() };
    let name = format!("{}{}", dice.of(&["name", "NAME", "Name"]), dice.roll(NAMES + 20));
    match dice.roll(10) {
        0 => question.entry = Some(format!("/b/{}", dice.of(slugs))),
        1 => question.entry = Some(dice.of(&["/old/login.aspx?biller=1", "/old/login.aspx?biller=2"]).to_owned()),
        _ => question.username = Some(name),
    }
    if question.username.is_some() && dice.one_in(3) {
        question.remembered = vec![slug(dice.of(&BILLERS))];
    }
    Scenario { question }
}

/// Knocks as a browser would.
async fn sign_in_as_browser(world: &World, scenario: &Scenario) {
    let mut browser = world.browser();
    if let Some(remembered) = scenario.question.remembered.first() {
        let biller = world.state.directory.biller_by_slug(remembered).await.unwrap().unwrap();
        let line = Device::default().remember(&world.state.keys, &biller);
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        browser.cookies.insert(name.to_owned(), value.to_owned());
    }
    match (&scenario.question.entry, &scenario.question.username) {
        (Some(path), _) => browser.get(path).await,
        (None, Some(name)) => {
            // From this machine, which is exempt from limits.
            let peer = Peer::Address(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
            let request = Request::post("/login")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin")
                .extension(peer);
            let body: String = form_urlencoded::Serializer::new(String::new()).append_pair("username", name).finish();
            browser.send_with(request, axum::body::Body::from(body)).await
        }
        (None, None) => unreachable!("an arrival has an address or a name"),
    };
}

/// The verdicts of the decision log, in the order they were made.
async fn logged_decisions(world: &World) -> Vec<Value> {
    world.state.decisions.flush().await;
    let rows = world.state.db.all(sql!("SELECT code FROM decision_log ORDER BY rowid"), vec![]).await.unwrap();
    let mut verdicts = Vec::new();
    for row in &rows {
        let code = row.text("code").unwrap();
        let LookupResult::Recorded(entry) = world.decision(&code).await else { panic!("{code} is recorded") };
        verdicts.push(entry.details["verdict"].clone());
    }
    if !rows.is_empty() {
        world.state.db.run(sql!("DELETE FROM decision_log"), vec![]).await.unwrap();
    }
    verdicts
}

fn parts(answer: &Value) -> Value {
    json!([answer["decision"], answer["row"], answer["biller"], answer["rule"], answer["trace"]])
}

/// Asks all of these at the command line.
async fn simulate_by_cli(world: &World, questions: &[SimulationRequest]) -> Vec<Value> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for question in questions {
        writeln!(file, "{}", json!(question)).unwrap();
    }
    let (status, out, error) = world.command(&["simulate", "--batch", file.path().to_str().unwrap()]).await;
    assert_eq!(status, 0, "{error}{out}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks all of these by API keys; each is limited by the minute.
async fn simulate_by_api(world: World, questions: Vec<SimulationRequest>) -> Vec<Value> {
    let mut answers = Vec::new();
    for some in questions.chunks(50) {
        let machine = ApiClient::new(&world, &[Scope::Simulate], None).await;
        for question in some {
            let (status, answer) = machine.send("POST", "/api/v1/simulations", &json!(question)).await;
            assert_eq!(status, 200, "{answer}");
            answers.push(answer);
        }
    }
    answers
}

async fn world() -> (World, Dice) {
    let world = World::with_settings("").await;
    world.issuers.set_issuer_state("cedar-county", IssuerState::Up);
    let mut dice = Dice(20_261_122);
    fill(&world, &mut dice).await;
    (world, dice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_console_api_and_cli_agree_in_ten_thousand_scenarios() {
    let (world, mut dice) = world().await;
    let (mut seen, mut worlds) = (std::collections::BTreeMap::<u64, usize>::new(), 0);
    for round in 0..DIRECTORIES {
        let slugs = randomize_billers(&world, &mut dice).await;
        let scenarios: Vec<Scenario> = (0..SCENARIOS).map(|_| scenario(&mut dice, &slugs)).collect();
        let questions: Vec<SimulationRequest> = scenarios.iter().map(|scenario| scenario.question.clone()).collect();
        let by_key = tokio::spawn(simulate_by_api(world.clone(), questions.clone()));
        let cli_results = simulate_by_cli(&world, &questions).await;
        let by_key = by_key.await.unwrap();
        for (at, scenario) in scenarios.iter().enumerate() {
            let asked = world.state.routing.simulate(&scenario.question, None).await.unwrap();
            let console = parts(&json!(asked.routing_result.verdict));
            assert_eq!(console, parts(&cli_results[at]), "round {round}: {scenario:?}");
            assert_eq!(console, parts(&by_key[at]), "round {round}: {scenario:?}");
            sign_in_as_browser(&world, scenario).await;
            *seen.entry(asked.routing_result.verdict.row.into()).or_default() += 1;
            worlds += 1;
        }
        let logged = logged_decisions(&world).await;
        assert_eq!(logged.len(), scenarios.len(), "one decision each");
        for ((scenario, cli_results), logged) in scenarios.iter().zip(&cli_results).zip(&logged) {
            assert_eq!(parts(cli_results), parts(logged), "round {round}: {scenario:?}");
        }
    }
    assert_eq!(worlds, 10_000);
    assert!((0..=8).all(|row| seen.get(&row).is_some_and(|count| *count > 30)), "every row was logged: {seen:?}");
}

#[tokio::test]
async fn the_binary_agrees_in_fifty_scenarios() {
    let (world, mut dice) = world().await;
    let server = ServerProcess::start(&world).await;
    for _ in 0..10 {
        let slugs = randomize_billers(&world, &mut dice).await;
        // The program sees the change soon: each round may ask as often as a key is allowed to.
        let key = ApiClient::new(&world, &[Scope::Simulate, Scope::DecisionsRead], None).await;
        for _ in 0..5 {
            let mut scenario = scenario(&mut dice, &slugs);
            // The program goes by the machine's clock: a moment at which nothing begins or ends.
            scenario.question.at = None;
            let question = json!(scenario.question);
            let mut arguments = vec!["simulate".to_owned(), "--format".to_owned(), "json".to_owned()];
            for (option, value) in [("--username", &scenario.question.username), ("--entry", &scenario.question.entry)]
            {
                if let Some(value) = value {
                    arguments.extend([option.to_owned(), value.clone()]);
                }
            }
            if !scenario.question.remembered.is_empty() {
                let names: Vec<&str> = scenario.question.remembered.iter().map(Slug::as_str).collect();
                arguments.extend(["--remembered".to_owned(), names.join(",")]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (status, out, error) = world.command(&arguments).await;
            assert_eq!(status, 0, "{error}");
            let cli_results = parts(&serde_json::from_str(&out).unwrap());
            let what = format!("the same answer of the server to {scenario:?}");
            wait_for(PROPAGATION_TIMEOUT, &what, || async {
                (cli_results == parts(&server.ask(key.key(), &question).await)).then_some(())
            })
            .await;
            server.sign_in_as_browser(&world, &scenario).await;
            assert_eq!(cli_results, parts(&server.last_decision(&world).await), "{scenario:?}");
        }
    }
}

/// How long a process may take to answer.
const SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// `signpost serve` on the database of a world.
struct ServerProcess {
    child: std::process::Child,
    address: String,
    client: reqwest::Client,
}

impl ServerProcess {
    #[expect(clippy::disallowed_methods, reason = "a client of the program")]
    async fn start(world: &World) -> Self {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.args(["serve", "--config"]).arg(world.settings_file());
        command
            .env("SIGNPOST__SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("SIGNPOST__OIDC__PROBE_SECONDS", "3600");
        let child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let server = Self { child, address: format!("http://127.0.0.1:{port}"), client };
        wait_for(SERVER_TIMEOUT, "the server", || async { server.get("/login").send().await.ok() }).await;
        server
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.address)).header("host", "localhost:8080")
    }

    async fn ask(&self, key: &str, question: &Value) -> Value {
        let request = self.client.post(format!("{}/api/v1/simulations", self.address)).header("host", "localhost:8080");
        let request = request.bearer_auth(key).header("content-type", "application/json").body(question.to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn sign_in_as_browser(&self, world: &World, scenario: &Scenario) {
        let request = match (&scenario.question.entry, &scenario.question.username) {
            (Some(path), _) => self.get(path),
            (None, name) => self
                .client
                .post(format!("{}/login", self.address))
                .header("host", "localhost:8080")
                .header("sec-fetch-site", "same-origin")
                .form(&[("username", name.as_deref().unwrap())]),
        };
        let request = match scenario.question.remembered.first() {
            None => request,
            Some(remembered) => {
                let biller = world.state.directory.biller_by_slug(remembered).await.unwrap().unwrap();
                let line = Device::default().remember(&world.state.keys, &biller);
                request.header("cookie", line.split(';').next().unwrap())
            }
        };
        let status = request.send().await.unwrap().status();
        assert!(!status.is_client_error(), "{status} {scenario:?}");
    }

    /// The newest decision record. The log is written in the background.
    async fn last_decision(&self, world: &World) -> Value {
        wait_for(SERVER_TIMEOUT, "the decision record", || async {
            logged_decisions(world).await.into_iter().next_back()
        })
        .await
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
