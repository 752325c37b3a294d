// Customers, portals, reverse proxies, staff and machines, in a fixed mixture. Customers come from many networks.

import { setFlagsFromString } from "node:v8";

import { cookies, send } from "../cluster/http.mjs";
import { pause } from "../cluster/processes.mjs";
import { ACTIVE, LEGACY_USERS, PASSWORD, USERS } from "./world.mjs";

// Long runs keep few objects of this process alive.
setFlagsFromString("--max-semi-space-size=32");

/** A session is verified while it is younger than this: it would end after five minutes without a request. */
const VERIFIED_MS = 4 * 60_000;
const REMEMBERED_SESSIONS = 1000;
const RATE_STEP_MS = 20;

const any = (list) => list[Math.floor(Math.random() * list.length)];
const letters = (count) => Array.from({ length: count }, () => String.fromCharCode(97 + Math.floor(26 * Math.random()))).join("");

/** How often each journey begins, among the sum of all, and its requests. */
const JOURNEYS = {
  signIn: { weight: 20, run: (load) => load.signIn() },
  verify: { weight: 15, run: (load) => load.verify(load.session()) },
  unknown: { weight: 15, run: (load) => load.lookupToLegacy(letters(12)) },
  legacy: { weight: 15, run: (load) => load.lookupToLegacy(any(LEGACY_USERS)) },
  notice: { weight: 10, run: (load) => load.lookupToNotice() },
  page: { weight: 10, run: (load) => load.customer("login page", "/login", {}, 200) },
  abandoned: { weight: 4, run: (load) => load.customer("abandoned sign-in", `/b/${ACTIVE}`, {}, 303) },
  reset: { weight: 2, run: (load) => load.form("reset", `/b/${ACTIVE}/reset`, { username: any(USERS) }, 200) },
  mail: { weight: 2, run: (load) => load.form("mail", "/recover/links", { username: `${any(USERS)}@mail.example` }, 200) },
  simulation: { weight: 2, run: (load) => load.simulate() },
  decision: { weight: 1, run: (load) => load.lookupDecision() },
  users: { weight: 1, run: (load) => load.api("users", "GET", "/identity/v1/users?page_size=50") },
  change: { weight: 1, run: (load) => load.changeUser() },
  member: { weight: 1, run: (load) => load.addMember() },
  console: { weight: 1, run: (load) => load.console(any(["/billers", "/health", "/audit", `/billers/${ACTIVE}`])) },
};
const MIXTURE = Object.entries(JOURNEYS).flatMap(([name, { weight }]) => Array(weight).fill(name));

export class Load {
  sessions = [];
  codes = [];
  requests = 0;
  journeys = 0;
  latencies = [];
  /** Unexpected responses, by step and status. */
  failures = {};

  constructor(world) {
    this.world = world;
    this.pending = new Set();
  }

  /** Signs staff in and learns the ids of users. */
  async prepare() {
    this.staff = await this.world.signInStaff();
    const page = await this.api("users", "GET", "/identity/v1/users?page_size=100");
    this.userIds = JSON.parse(page.body).users.map(({ id }) => id);
    this.teamId = JSON.parse((await this.api("teams", "GET", "/identity/v1/teams")).body).teams.find(({ name }) => name === "Soak Water").id;
  }

  /** Journeys one after the other, `width` at once, for a time. Returns how many there were in a second. */
  async runAtFullSpeed(seconds, width) {
    const begin = performance.now();
    const before = this.journeys;
    const worker = async () => {
      while (performance.now() - begin < seconds * 1000) await this.#journey();
    };
    await Promise.all(Array.from({ length: width }, worker));
    return (this.journeys - before) / ((performance.now() - begin) / 1000);
  }

  /** Starts so many journeys a second, whether or not earlier ones have ended. */
  async runAtRate(perSecond, seconds) {
    const begin = performance.now();
    let started = 0;
    for (;;) {
      const elapsed = (performance.now() - begin) / 1000;
      if (elapsed > seconds) break;
      for (; started < elapsed * perSecond; started += 1) {
        const done = this.#journey().finally(() => this.pending.delete(done));
        this.pending.add(done);
      }
      await pause(RATE_STEP_MS);
    }
    await Promise.all(this.pending);
  }

  async #journey() {
    try {
      await JOURNEYS[any(MIXTURE)].run(this);
    } catch (error) {
      if (!error.isUnexpected) throw error;
      this.failures[error.message] = (this.failures[error.message] ?? 0) + 1;
    }
    this.journeys += 1;
  }

  /** A request to Signpost and the status that it must have. */
  async step(name, url, options, expected) {
    const start = performance.now();
    const answer = await send(url, options).catch((error) => ({ status: 0, body: error.message }));
    this.latencies.push(performance.now() - start);
    this.requests += 1;
    if (answer.status === expected) return answer;
    throw Object.assign(new Error(`${name}: ${answer.status || answer.body}`), { isUnexpected: true });
  }

  /** A request of a browser. */
  customer(name, path, { network = this.anyNetwork(), headers = {}, ...options }, expected) {
    const all = { accept: "text/html", "x-forwarded-for": network, ...headers };
    const url = path.startsWith("http") ? path : this.world.gateway + path;
    return this.step(name, url, { ...options, headers: all }, expected);
  }

  anyNetwork() {
    return `198.18.${Math.floor(256 * Math.random())}.${Math.floor(256 * Math.random())}`;
  }

  api(name, method, path, json, { key = this.world.keys.api, expected = 200, headers = {} } = {}) {
    const all = { authorization: `Bearer ${key}`, ...headers };
    return this.step(name, this.world.gateway + path, { method, json, headers: all }, expected);
  }

  /** The whole way from the biller's address to the portal. Half of the customers sign out at once. */
  async signIn() {
    const number = Math.floor(USERS.length * Math.random());
    // Everyone has a network of their own, so that the known networks are bounded.
    const network = `198.19.0.${number}`;
    const started = await this.customer("start", `/b/${ACTIVE}`, { network }, 303);
    const authorize = new URL(started.headers.location);
    const form = { ...Object.fromEntries(authorize.searchParams), username: USERS[number], password: PASSWORD };
    const agreed = await send(authorize.origin + authorize.pathname, { method: "POST", form });
    const cookie = cookies(started);
    const returned = await this.customer("return", agreed.headers.location, { network, headers: { cookie } }, 303);
    const session = { cookie: cookies(returned), at: performance.now() };
    await this.redeem("portal", returned);
    await this.verify(session);
    if (Math.random() < 0.5) {
      const request = { network, method: "POST", form: { biller: ACTIVE }, headers: { cookie: session.cookie } };
      await this.customer("sign-out", "/logout", request, 303);
    } else {
      this.sessions.push(session);
      if (this.sessions.length > REMEMBERED_SESSIONS) this.sessions.shift();
    }
  }

  redeem(name, redirect) {
    const token = new URL(redirect.headers.location).searchParams.get("token");
    return this.api(`${name} redemption`, "POST", "/api/v1/handoffs/redeem", { token }, { key: this.world.keys[name] });
  }

  session() {
    const young = this.sessions.filter(({ at }) => performance.now() - at < VERIFIED_MS);
    this.sessions = young;
    return any(young);
  }

  async verify(session) {
    if (!session) return;
    const headers = { cookie: session.cookie };
    await this.customer("verify", `/auth/verify?biller=${ACTIVE}`, { headers }, 200);
  }

  form(name, path, form, expected) {
    return this.customer(name, path, { method: "POST", form }, expected);
  }

  async lookupToLegacy(username) {
    await this.redeem("legacy", await this.form("lookup", "/login", { username }, 303));
  }

  async lookupToNotice() {
    const { body } = await this.form("notice", "/login", { username: any(USERS) }, 200);
    const code = /\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b/.exec(body)[0];
    this.codes.push(code);
    if (this.codes.length > 100) this.codes.shift();
  }

  /** A decision that was made a while ago, since the log is written later. */
  async lookupDecision() {
    if (this.codes.length === 100) await this.api("decision", "GET", `/api/v1/decisions/${this.codes[0]}?reason=soak`);
  }

  simulate() {
    return this.api("simulation", "POST", "/api/v1/simulations", { username: any([...USERS, ...LEGACY_USERS]) });
  }

  /** Reaches SecureAuth through the queue of user changes. */
  changeUser() {
    return this.api("change of a user", "PATCH", `/identity/v1/users/${any(this.userIds)}`, { name: `Demo ${letters(8)}` });
  }

  /** Makes a member of the team a member: it changes nothing, but the response is kept for the key. */
  addMember() {
    const headers = { "idempotency-key": letters(20) };
    const json = { user_ids: [any(this.userIds)] };
    return this.api("member", "POST", `/identity/v1/teams/${this.teamId}/members/add`, json, { headers });
  }

  async console(path) {
    const host = new URL(this.world.standins.console).host;
    const headers = { host, cookie: this.staff, accept: "text/html" };
    await this.step(`console ${path}`, `http://127.0.0.1:${this.world.ports.console}${path}`, { headers }, 200);
  }
}
